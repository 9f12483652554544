// Moves bytes between a TLS connection and a local socket, because gRPC core without TLS can be
// given a connected descriptor and nothing else. Either side of TLS. Never waits:
// the owner polls what tls_pump_arm says and calls tls_pump_step. Memory is bounded: one record's
// plaintext in each direction.
//
// One owner, one thread. SIGPIPE is blocked or ignored.
#ifndef CERTMGR_TLS_PUMP_H
#define CERTMGR_TLS_PUMP_H

#include <poll.h>
#include <stdbool.h>

#include <openssl/base.h>

#include "base/err.h"
#include "base/own.h"

enum tls_pump_state {
    TLS_PUMP_HANDSHAKE,
    TLS_PUMP_OPEN,  // authenticated as the SSL demands, and with the ALPN protocol demanded
    TLS_PUMP_ENDED, // by either end; tls_pump_error says why, if it was an error
};

struct tls_pump;

// Takes both in any case. `ssl` knows its side and whom to trust; `socket` is connected and
// non-blocking. NULL when memory is short.
struct tls_pump *tls_pump_new(SSL *ssl, int socket) MUST_USE;
void tls_pump_free(struct tls_pump *pump); // closes both sockets
OWN_DEFINE(struct tls_pump, tls_pump_free)

// Demands this ALPN protocol (static text) instead of "h2"; "" for whatever comes.
void tls_pump_demand(struct tls_pump *pump, const char *protocol);

// Does what can be done now, up to a limit so that others have their turn.
enum tls_pump_state tls_pump_step(struct tls_pump *pump);

// Once open: makes the local socket pair. Returns the end for gRPC (non-blocking, close-on-exec;
// the caller's), or -1 with the sentence.
int tls_pump_attach(struct tls_pump *pump, struct err *err) MUST_USE;

#define TLS_PUMP_FDS 2
// What to poll for: the network's socket, then the local one. fd is -1 where there is nothing.
void tls_pump_arm(const struct tls_pump *pump, struct pollfd out[TLS_PUMP_FDS]);

const char *tls_pump_error(const struct tls_pump *pump); // "" when there is none
const SSL *tls_pump_ssl(const struct tls_pump *pump);    // borrowed

#endif
