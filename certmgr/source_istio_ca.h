// An Istio CA as a source: CreateCertificate with a token and a fresh key each time, over our own
// TLS, in its own thread. Each request reads the token and the roots again, opens a
// connection of its own and closes it. When to ask is renewal.h's decision: early on the wall
// clock, with backoff and jitter after failures. PERMISSION_DENIED withdraws; any other failure
// leaves the certificate that we have in force.
#ifndef CERTMGR_SOURCE_ISTIO_CA_H
#define CERTMGR_SOURCE_ISTIO_CA_H

#include <stdint.h>

#include "base/err.h"
#include "base/own.h"
#include "certmgr/renewal.h"
#include "certmgr/source.h"

struct source_istio_ca_options { // the strings are copied
    const char *address;         // "host:port"
    const char *roots_file;      // what the CA's own certificate is verified by
    const char *token_file;
    const char *server_name; // NULL: the host of `address`
    const char *cluster_id;  // NULL: not sent
    const char *spiffe_id;   // NULL: whatever the CA says; else put into the request and demanded
    int64_t lifetime_ms;     // to ask for
    struct renewal_window renewal;
    int connect_ms; // until the connection is verified; 0: the default
    int call_ms;    // until the answer; 0: the default
};
#define SOURCE_ISTIO_CA_CONNECT_MS 10000
#define SOURCE_ISTIO_CA_CALL_MS 15000

// Starts the thread. `sink` is borrowed and outlives the source. NULL with the sentence on error.
struct source *source_istio_ca_new(const struct source_istio_ca_options *options,
                                   struct source_sink *sink, struct err *err) MUST_USE;

#endif
