// The server's side of TLS for one connection, blocking, with the timeouts of the socket. The
// certificate is read for each connection, so that a rotated file is in use at once. The
// injector's only door to TLS.
#ifndef AGENT_INJECTOR_INJECTOR_TLS_H
#define AGENT_INJECTOR_INJECTOR_TLS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/own.h"
#include "base/span.h"

struct injector_tls;

// Whether the files can be used: a certificate, and the key to it.
bool injector_tls_check(const char *certificate, const char *key, struct err *err) MUST_USE;
// Shakes hands on `fd`, which stays the caller's. NULL with the sentence on failure.
struct injector_tls *injector_tls_accept(int fd, const char *certificate, const char *key,
                                         struct err *err) MUST_USE;
void injector_tls_free(struct injector_tls *tls); // accepts NULL
// The bytes that came, 0 at the end or on failure.
size_t injector_tls_read(struct injector_tls *tls, uint8_t *into, size_t cap);
bool injector_tls_write(struct injector_tls *tls, struct span bytes) MUST_USE;

#endif
