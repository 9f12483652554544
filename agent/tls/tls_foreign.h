// A tls_stream whose SSL and whose judgement of the peer are somebody else's: TLS at the edges. It
// has no tls_context and no tls_stream_peer.
#ifndef AGENT_TLS_TLS_FOREIGN_H
#define AGENT_TLS_TLS_FOREIGN_H

#include <stdint.h>

#include <openssl/base.h>

#include "certmgr/verify.h"

struct tls_foreign {
    SSL *ssl;  // taken; NULL: memory is short. State, application data and verification are set.
    void *arg; // taken
    // At the end of the handshake: NULL, or why it is refused and `*alert`.
    const char *(*finish)(void *arg, SSL *ssl, uint8_t *alert);
    const char *(*refusal)(const void *arg); // why it failed, where that is ours to say; else NULL
    enum verify_result (*result)(const void *arg); // of verifying the peer; may be NULL
    void (*free)(void *arg);
};

#endif
