// A TCP listener that speaks TLS for a gRPC server without it: accepts, shakes hands, and hands on
// one end of a local socket pair for each connection, between which and the network it moves the
// bytes (certmgr/tls_pump.h). Numbers and times are bounded: connections, handshakes, and the life
// of each connection. One owner, the loop's thread.
#ifndef AUTHORITY_TLS_FRONT_H
#define AUTHORITY_TLS_FRONT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/netaddr.h"
#include "base/own.h"
#include "base/span.h"

#define TLS_FRONT_CONNECTIONS_MAX 256
#define TLS_FRONT_PER_ADDRESS_MAX 64 // of one client's address
#define TLS_FRONT_HANDSHAKE_MS 10000
#define TLS_FRONT_LIFE_MS 120000 // whatever it does: clients connect anew

struct tls_front_handler {
    // A handshake is done; `fd` is taken. False when it cannot be served.
    bool (*serve)(void *arg, int fd);
    // A connection was refused or failed before it was served.
    void (*refused)(void *arg, const struct netaddr *peer, const char *reason);
    void *arg;
};

struct tls_front;

// Binds and listens. tls_front_set_certificate is next. NULL with the sentence on error.
struct tls_front *tls_front_new(const struct netaddr *listen,
                                const struct tls_front_handler *handler, struct err *err) MUST_USE;
void tls_front_free(struct tls_front *front);
OWN_DEFINE(struct tls_front, tls_front_free)

// What new connections are shown: a DER leaf and its PKCS#8 key.
bool tls_front_set_certificate(struct tls_front *front, struct span leaf_der, struct span key_der,
                               struct err *err) MUST_USE;

// Readable when tls_front_process has something to do. Borrowed.
int tls_front_fd(const struct tls_front *front);
uint16_t tls_front_port(const struct tls_front *front); // 0 when the system does not say
void tls_front_process(struct tls_front *front);
// Ends what has taken too long; to be called about once a second.
void tls_front_tick(struct tls_front *front);

#endif
