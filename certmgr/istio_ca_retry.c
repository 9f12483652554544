#include "certmgr/istio_ca_retry.h"

#include <stdio.h>

#include "certmgr/grpc_code.h"

enum kind { KIND_PASSING, KIND_MISTAKE, KIND_UNKNOWN_CALLER, KIND_FORBIDDEN };

struct code_row {
    const char *name;
    enum kind kind;
    const char *advice;
};

#define SEE_LOG "see the log of the CA"
#define CHECK_ADDRESS "check that identity.istioCa.address is an Istio CA"

static const struct code_row CODES[] = {
    [GRPC_CODE_OK] = {"OK", KIND_PASSING, SEE_LOG},
    [GRPC_CODE_CANCELLED] = {"CANCELLED", KIND_PASSING, SEE_LOG},
    [GRPC_CODE_UNKNOWN] = {"UNKNOWN", KIND_PASSING, SEE_LOG},
    [GRPC_CODE_INVALID_ARGUMENT] = {"INVALID_ARGUMENT", KIND_MISTAKE,
                                    "check identity.lifetime against what the CA allows"},
    [GRPC_CODE_DEADLINE_EXCEEDED] = {"DEADLINE_EXCEEDED", KIND_PASSING, SEE_LOG},
    [GRPC_CODE_NOT_FOUND] = {"NOT_FOUND", KIND_MISTAKE, CHECK_ADDRESS},
    [GRPC_CODE_ALREADY_EXISTS] = {"ALREADY_EXISTS", KIND_MISTAKE, SEE_LOG},
    [GRPC_CODE_PERMISSION_DENIED] = {"PERMISSION_DENIED", KIND_FORBIDDEN,
                                     "the CA does not give this workload an identity"},
    [GRPC_CODE_RESOURCE_EXHAUSTED] = {"RESOURCE_EXHAUSTED", KIND_PASSING,
                                      "the CA limits us, or its answer is longer than 1 MiB"},
    [GRPC_CODE_FAILED_PRECONDITION] = {"FAILED_PRECONDITION", KIND_MISTAKE, SEE_LOG},
    [GRPC_CODE_ABORTED] = {"ABORTED", KIND_PASSING, SEE_LOG},
    [GRPC_CODE_OUT_OF_RANGE] = {"OUT_OF_RANGE", KIND_MISTAKE, SEE_LOG},
    [GRPC_CODE_UNIMPLEMENTED] = {"UNIMPLEMENTED", KIND_MISTAKE, CHECK_ADDRESS},
    [GRPC_CODE_INTERNAL] = {"INTERNAL", KIND_PASSING, SEE_LOG},
    [GRPC_CODE_UNAVAILABLE] = {"UNAVAILABLE", KIND_PASSING, SEE_LOG},
    [GRPC_CODE_DATA_LOSS] = {"DATA_LOSS", KIND_PASSING, SEE_LOG},
    [GRPC_CODE_UNAUTHENTICATED] =
        {"UNAUTHENTICATED", KIND_UNKNOWN_CALLER,
         "the CA does not accept our token: is the one in identity.istioCa.tokenFile current, and "
         "is identity.istioCa.clusterId right?"},
};

static const struct code_row *row_of(int code) {
    static const struct code_row other = {"an unknown code", KIND_MISTAKE, SEE_LOG};
    bool is_known = code >= 0 && (size_t)code < sizeof(CODES) / sizeof(CODES[0]);
    return is_known ? &CODES[code] : &other;
}

struct istio_ca_verdict istio_ca_retry_decide(int code) {
    enum kind kind = row_of(code)->kind;
    bool is_denied = kind == KIND_UNKNOWN_CALLER || kind == KIND_FORBIDDEN;
    // A token that has just expired is replaced within seconds: that is no reason to wait long, nor
    // to drop a certificate that is still good.
    return (struct istio_ca_verdict){
        .state = is_denied ? SOURCE_DENIED : SOURCE_CONNECTING,
        .is_slow = kind == KIND_MISTAKE,
        .withdraw = kind == KIND_FORBIDDEN,
    };
}

void istio_ca_retry_explain(int code, const char *address, const char *details, char *out,
                            size_t out_len) {
    const struct code_row *row = row_of(code);
    snprintf(out, out_len, "the CA at %s answered %s: %s; retrying; %s", address, row->name,
             details[0] != '\0' ? details : "no details given", row->advice);
}
