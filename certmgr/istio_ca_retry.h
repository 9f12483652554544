// What a failed CreateCertificate means: how soon to try again, and what to tell people. Every
// failure is tried again, because a CA's and a token's mistakes are mended without us. Pure.
#ifndef CERTMGR_ISTIO_CA_RETRY_H
#define CERTMGR_ISTIO_CA_RETRY_H

#include <stdbool.h>
#include <stddef.h>

#include "certmgr/source.h"

struct istio_ca_verdict {
    enum source_state state; // until the next attempt
    bool is_slow;            // does not pass by itself: try again at long intervals
    bool withdraw;           // PERMISSION_DENIED: the identity is not ours (any more)
};

struct istio_ca_verdict istio_ca_retry_decide(int code); // enum grpc_code, not OK

// One sentence: what happened, and what to do about it.
void istio_ca_retry_explain(int code, const char *address, const char *details, char *out,
                            size_t out_len);

#endif
