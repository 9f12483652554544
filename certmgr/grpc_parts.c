#include "certmgr/grpc_parts.h"

#include <stdint.h>

#include <grpc/support/time.h>

grpc_arg grpc_parts_int(const char *key, int value) {
    return (grpc_arg){
        .type = GRPC_ARG_INTEGER, .key = (char *)(uintptr_t)key, .value.integer = value};
}

grpc_arg grpc_parts_text(const char *key, const char *value) {
    return (grpc_arg){.type = GRPC_ARG_STRING,
                      .key = (char *)(uintptr_t)key,
                      .value.string = (char *)(uintptr_t)value};
}

void grpc_parts_queue_destroy(grpc_completion_queue *queue) {
    grpc_completion_queue_shutdown(queue);
    grpc_event event;
    do {
        event = grpc_completion_queue_next(queue, gpr_inf_future(GPR_CLOCK_MONOTONIC), NULL);
    } while (event.type != GRPC_QUEUE_SHUTDOWN);
    grpc_completion_queue_destroy(queue);
}

void grpc_parts_details(grpc_slice details, char *out, size_t cap) {
    size_t len = GRPC_SLICE_LENGTH(details);
    size_t num = len < cap ? len : cap - 1;
    for (size_t i = 0; i < num; i++) {
        uint8_t byte = GRPC_SLICE_START_PTR(details)[i];
        out[i] = byte >= ' ' && byte <= '~' ? (char)byte : '?';
    }
    out[num] = '\0';
}
