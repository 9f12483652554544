// Istio's CreateCertificate as a gRPC handler: who a caller is by its token, and a certificate for
// the key of its CSR. Nothing else in the CSR counts. One owner, the loop's thread.
// It never logs: what happened goes to an observer.
#ifndef AUTHORITY_CSR_SERVICE_H
#define AUTHORITY_CSR_SERVICE_H

#include <stdint.h>

#include "authority/ca.h"
#include "authority/rpc_stream.h"
#include "authority/tokens.h"

enum csr_event_kind {
    CSR_SIGNED,
    CSR_REFUSED,            // a call, `reason`
    CSR_FAILED,             // a certificate could not be made, `reason`
    CSR_CONNECTION_REFUSED, // before any call, `reason`
};

struct csr_event { // the strings are borrowed; none of them is the token
    enum csr_event_kind kind;
    const char *spiffe_id; // NULL when the caller is not known
    const char *serial;    // CSR_SIGNED
    int64_t not_after;     // CSR_SIGNED; Unix seconds
    const char *reason;
};

struct csr_observer {
    void (*event)(void *arg, const struct csr_event *event);
    void *arg;
};

struct csr_service;

// The CA is borrowed; the tokens are taken in any case. No certificate lives longer than `ttl_ms`.
struct csr_service *csr_service_new(const struct ca *ca, struct tokens *tokens, int64_t ttl_ms,
                                    struct csr_observer observer, struct err *err) MUST_USE;
void csr_service_free(struct csr_service *service);
OWN_DEFINE(struct csr_service, csr_service_free)

// To give to rpc_server_new; lives as long as the service.
const struct rpc_handler *csr_service_handler(const struct csr_service *service);

// Takes new tokens, for the calls that come from now on.
void csr_service_set_tokens(struct csr_service *service, struct tokens *tokens);

#endif
