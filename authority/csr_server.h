// CSR signing over TLS (`--listen`, `--tokens`): the TLS front, the gRPC server behind it, the
// service and the server's own certificate, as one thing with one descriptor. One owner, the loop's
// thread. It never logs: what happened goes to the observer.
#ifndef AUTHORITY_CSR_SERVER_H
#define AUTHORITY_CSR_SERVER_H

#include <stdbool.h>
#include <stdint.h>

#include "authority/ca.h"
#include "authority/csr_service.h"
#include "base/err.h"
#include "base/netaddr.h"

#define CSR_SERVER_CERTIFICATE_S ((int64_t)24 * 3600) // life of the TLS server's own certificate

struct csr_server_options { // the strings are borrowed and outlive the server
    struct netaddr listen;
    const char *tokens_path;
    const char *trust_domain;
    int64_t ttl_ms; // the longest validity
};

struct csr_server;

// The CA is borrowed and outlives the server. NULL with the sentence on error.
struct csr_server *csr_server_new(const struct ca *ca, const struct csr_server_options *options,
                                  struct csr_observer observer, struct err *err) MUST_USE;
void csr_server_free(struct csr_server *server);
OWN_DEFINE(struct csr_server, csr_server_free)

// Readable when csr_server_process has something to do. Borrowed.
int csr_server_fd(const struct csr_server *server);
void csr_server_process(struct csr_server *server);
// What is due at `now` (Unix seconds): deadlines, and another certificate at half of the old one's
// life or when the CA has `changed`. To be called about once a second.
void csr_server_tick(struct csr_server *server, int64_t now, bool changed);

// Reads the tokens again. On error the old ones stay. `num` is how many there are.
bool csr_server_reload(struct csr_server *server, size_t *num, struct err *err) MUST_USE;

#endif
