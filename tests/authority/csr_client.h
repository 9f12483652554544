// A caller of the authority's CSR signing, as a test wants it: any token, any request bytes.
#ifndef TESTS_AUTHORITY_CSR_CLIENT_H
#define TESTS_AUTHORITY_CSR_CLIENT_H

#include <stdint.h>

#include "base/buf.h"
#include "base/span.h"
#include "certmgr/grpc_unary.h"

struct csr_client {
    char address[64];
    char roots_file[256];
};

// A port of 127.0.0.1 that is free now.
uint16_t csr_client_free_port(void);

// Sends `request` with `authorization` (NULL: without). The answer goes to `response`.
struct grpc_unary_result csr_client_call(const struct csr_client *client, const char *method,
                                         const char *authorization, struct span request,
                                         struct buf *response);

#endif
