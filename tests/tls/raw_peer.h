// A TLS peer of plain BoringSSL, not of our making, for tests: it presents what it is told to
// and believes everything.
#ifndef TESTS_TLS_RAW_PEER_H
#define TESTS_TLS_RAW_PEER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <openssl/ssl.h>

#include "tests/tls/tls_pair.h"

struct raw_options {
    bool server;
    bool ask_certificate;    // servers
    const char *alpn;        // one protocol; NULL: none
    const char *server_name; // clients: SNI; NULL: none
    uint16_t max_version;    // 0: TLS 1.3
    CRYPTO_BUFFER *const *chain;
    size_t num_chain; // 0: no certificate
    EVP_PKEY *key;
    bool key_is_foreign;        // signs with `key` although the leaf has another one
    SSL_SESSION *session;       // clients: offered; borrowed
    const uint8_t *ticket_keys; // servers: 48 bytes, so that several share sessions
};

struct raw_peer {
    SSL_CTX *ctx;
    SSL *ssl;
    EVP_PKEY *foreign_key; // borrowed
    int num_tickets;       // NewSessionTickets received
    SSL_SESSION *session;  // the last of them
};

void raw_peer_init(struct raw_peer *raw, const struct raw_options *options);
void raw_peer_fini(struct raw_peer *raw);

// Sends what `raw` has written to `side`; gives `raw` what is in `wire`.
void raw_peer_send(struct raw_peer *raw, struct tls_side *side);
void raw_peer_receive(struct raw_peer *raw, struct tls_pair *pair, struct tls_side *side);
// The handshake of `raw` with `side` (its counterpart in `pair` is not used).
// True when raw's own part succeeded.
bool raw_peer_handshake(struct raw_peer *raw, struct tls_pair *pair, struct tls_side *side);
// SSL_read of at most `cap` bytes; negative: the alert received, as a negative number.
int raw_peer_read(struct raw_peer *raw, uint8_t *out, int cap);

#endif
