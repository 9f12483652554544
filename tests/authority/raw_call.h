// One gRPC call as a test wants it, also such as no client makes: with any metadata, without its
// request message, or with a large one. Blocks until the status is there.
#ifndef TESTS_AUTHORITY_RAW_CALL_H
#define TESTS_AUTHORITY_RAW_CALL_H

#include <stdbool.h>
#include <stddef.h>

#define RAW_CALL_DETAILS_MAX 128

struct raw_call {
    const char *target;
    const char *method;
    const char *const *metadata; // key, value, key, value, NULL
    bool no_message;             // half-closes at once instead
    size_t message_len;          // zero bytes
    size_t num_messages;         // cancels the call after so many responses; 0: never
};

struct raw_result {
    int status; // enum grpc_code
    size_t num_messages;
    char details[RAW_CALL_DETAILS_MAX];
};

struct raw_result raw_call(const struct raw_call *call);

#endif
