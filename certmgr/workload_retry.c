#include "certmgr/workload_retry.h"

#include <stdio.h>

#include "certmgr/grpc_code.h"

enum verdict { VERDICT_RETRY, VERDICT_DENIED, VERDICT_STOP };

struct code_row {
    const char *name;
    enum verdict verdict;
    const char *advice;
};

static const struct code_row CODES[] = {
    [GRPC_CODE_OK] = {"OK", VERDICT_RETRY, "the source ended the stream; reconnecting"},
    [GRPC_CODE_CANCELLED] = {"CANCELLED", VERDICT_RETRY, "retrying"},
    [GRPC_CODE_UNKNOWN] = {"UNKNOWN", VERDICT_RETRY, "retrying; see the log of the source"},
    [GRPC_CODE_INVALID_ARGUMENT] =
        {"INVALID_ARGUMENT", VERDICT_STOP,
         "not retrying; check that identity.endpoint is a SPIFFE Workload API"},
    [GRPC_CODE_DEADLINE_EXCEEDED] = {"DEADLINE_EXCEEDED", VERDICT_RETRY,
                                     "retrying; see the log of the source"},
    [GRPC_CODE_NOT_FOUND] = {"NOT_FOUND", VERDICT_RETRY, "retrying"},
    [GRPC_CODE_ALREADY_EXISTS] = {"ALREADY_EXISTS", VERDICT_RETRY, "retrying"},
    [GRPC_CODE_PERMISSION_DENIED] =
        {"PERMISSION_DENIED", VERDICT_DENIED,
         "retrying; register this workload (its user or selectors) with the source"},
    [GRPC_CODE_RESOURCE_EXHAUSTED] =
        {"RESOURCE_EXHAUSTED", VERDICT_RETRY,
         "retrying; the source limits us, or its answer is longer than 4 MiB"},
    [GRPC_CODE_FAILED_PRECONDITION] = {"FAILED_PRECONDITION", VERDICT_RETRY, "retrying"},
    [GRPC_CODE_ABORTED] = {"ABORTED", VERDICT_RETRY, "retrying"},
    [GRPC_CODE_OUT_OF_RANGE] = {"OUT_OF_RANGE", VERDICT_RETRY, "retrying"},
    [GRPC_CODE_UNIMPLEMENTED] =
        {"UNIMPLEMENTED", VERDICT_STOP,
         "not retrying; check that identity.endpoint is a SPIFFE Workload API"},
    [GRPC_CODE_INTERNAL] = {"INTERNAL", VERDICT_RETRY, "retrying; see the log of the source"},
    [GRPC_CODE_UNAVAILABLE] = {"UNAVAILABLE", VERDICT_RETRY,
                               "retrying; the source is not ready or has gone away"},
    [GRPC_CODE_DATA_LOSS] = {"DATA_LOSS", VERDICT_RETRY, "retrying"},
    [GRPC_CODE_UNAUTHENTICATED] = {"UNAUTHENTICATED", VERDICT_RETRY,
                                   "retrying; see the log of the source"},
};

// SPIRE and Istio answer so to a name that they do not have (yet).
static const struct code_row SDS_INVALID_ARGUMENT = {
    "INVALID_ARGUMENT", VERDICT_RETRY,
    "retrying; check identity.sds.certificate and identity.sds.bundle, and that this workload is "
    "registered"};
static const struct code_row SDS_UNIMPLEMENTED = {
    "UNIMPLEMENTED", VERDICT_STOP, "not retrying; check that identity.endpoint is an SDS server"};

// A code that the standard does not know is UNKNOWN (grpc/grpc: doc/statuscodes.md).
static const struct code_row *code_row(enum workload_service service, int code) {
    if (service == WORKLOAD_SERVICE_SDS && code == GRPC_CODE_INVALID_ARGUMENT) {
        return &SDS_INVALID_ARGUMENT;
    }
    if (service == WORKLOAD_SERVICE_SDS && code == GRPC_CODE_UNIMPLEMENTED) {
        return &SDS_UNIMPLEMENTED;
    }
    size_t num = sizeof(CODES) / sizeof(CODES[0]);
    return code >= 0 && (size_t)code < num ? &CODES[code] : &CODES[GRPC_CODE_UNKNOWN];
}

// Doubles with each failure up to `max`; between half of that and all of it.
static int64_t backoff_ms(unsigned failures, int64_t max, uint32_t random) {
    int64_t delay = WORKLOAD_RETRY_BASE_MS;
    for (unsigned i = 0; i < failures && delay < max; i++) {
        delay *= 2;
    }
    if (delay > max) {
        delay = max;
    }
    int64_t half = delay / 2;
    return delay - (int64_t)(((uint64_t)half * random) >> 32);
}

struct workload_decision workload_retry_decide(struct workload_retry *retry,
                                               const struct workload_end *end, uint32_t random) {
    enum verdict verdict = code_row(end->service, end->code)->verdict;
    if (end->message_seen) {
        retry->failures = 0;
    }
    if (verdict == VERDICT_STOP) {
        retry->failures = 0;
        return (struct workload_decision){.state = SOURCE_FAILED};
    }
    struct workload_decision decision = {
        .state = verdict == VERDICT_DENIED ? SOURCE_DENIED : SOURCE_CONNECTING,
        .retry = true,
        .withdraw = verdict == VERDICT_DENIED,
    };
    bool ended_well = end->code == GRPC_CODE_OK && end->message_seen;
    if (ended_well && end->lived_ms >= WORKLOAD_RETRY_LIVED_MS) {
        return decision;
    }
    int64_t max = end->reached ? WORKLOAD_RETRY_MAX_MS : WORKLOAD_RETRY_UNREACHED_MAX_MS;
    decision.delay_ms = backoff_ms(retry->failures, max, random);
    if (!ended_well) {
        retry->failures++;
    }
    return decision;
}

void workload_retry_explain(const struct workload_end *end, char *out, size_t out_len) {
    const struct code_row *row = code_row(end->service, end->code);
    bool has_details = end->details != NULL && end->details[0] != '\0';
    const char *details = has_details ? end->details : "no details given";
    if (!end->reached && row->verdict == VERDICT_RETRY) {
        snprintf(out, out_len,
                 "cannot connect to the identity source at %s: %s; retrying; is it running, and "
                 "may this user open it?",
                 end->endpoint, details);
        return;
    }
    snprintf(out, out_len, "the identity source at %s answered %s: %s; %s", end->endpoint,
             row->name, details, row->advice);
}
