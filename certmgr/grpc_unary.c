// All six operations in one batch, which completes when the call is over: a unary call needs no
// state between them. An answer of several messages leaves the rest unread, so that the status
// stays back: the deadline ends such a call.
#include "certmgr/grpc_unary.h"

#include <limits.h>
#include <stdlib.h>
#include <unistd.h>

#include <grpc/byte_buffer.h>
#include <grpc/byte_buffer_reader.h>
#include <grpc/grpc.h>
#include <grpc/grpc_posix.h>
#include <grpc/grpc_security.h>
#include <grpc/support/time.h>

#include "base/check.h"
#include "certmgr/grpc_code.h"
#include "certmgr/grpc_parts.h"

#define NUM_OPS 6

struct grpc_unary {
    grpc_completion_queue *queue;
    grpc_channel *channel;
    grpc_call *call;
    bool is_pending;
    grpc_metadata_array initial_metadata;
    grpc_metadata_array trailing_metadata;
    grpc_byte_buffer *received;
    grpc_status_code status;
    grpc_slice details;
};

// gRPC takes the descriptor, and aborts the process when it is not a socket.
static grpc_channel *channel_open(const struct grpc_unary_options *options) {
    int most = options->response_max < INT_MAX ? (int)options->response_max : INT_MAX;
    grpc_arg args[] = {
        grpc_parts_text(GRPC_ARG_DEFAULT_AUTHORITY, options->authority),
        grpc_parts_text(GRPC_ARG_HTTP2_SCHEME, "https"),
        grpc_parts_int(GRPC_ARG_MAX_RECEIVE_MESSAGE_LENGTH, most),
        grpc_parts_int(GRPC_ARG_ENABLE_RETRIES, 0),
        // A compressed message could unpack to far more than the limit; identity is all we offer.
        grpc_parts_int(GRPC_ARG_ENABLE_PER_MESSAGE_DECOMPRESSION, 0),
        grpc_parts_int(GRPC_COMPRESSION_CHANNEL_ENABLED_ALGORITHMS_BITSET, 1 << GRPC_COMPRESS_NONE),
    };
    grpc_channel_args channel_args = {.num_args = sizeof(args) / sizeof(args[0]), .args = args};
    grpc_channel_credentials *plain = grpc_insecure_credentials_create();
    grpc_channel *channel =
        grpc_channel_create_from_fd(options->authority, options->fd, plain, &channel_args);
    grpc_channel_credentials_release(plain);
    return channel;
}

static bool batch_start(struct grpc_unary *call, grpc_metadata *metadata, size_t num_metadata,
                        struct span request) {
    grpc_slice body = grpc_slice_from_copied_buffer((const char *)request.ptr, request.len);
    grpc_byte_buffer *message = grpc_raw_byte_buffer_create(&body, 1);
    grpc_op ops[NUM_OPS] = {{0}};
    ops[0].op = GRPC_OP_SEND_INITIAL_METADATA;
    ops[0].data.send_initial_metadata.count = num_metadata;
    ops[0].data.send_initial_metadata.metadata = metadata;
    ops[1].op = GRPC_OP_SEND_MESSAGE;
    ops[1].data.send_message.send_message = message;
    ops[2].op = GRPC_OP_SEND_CLOSE_FROM_CLIENT;
    ops[3].op = GRPC_OP_RECV_INITIAL_METADATA;
    ops[3].data.recv_initial_metadata.recv_initial_metadata = &call->initial_metadata;
    ops[4].op = GRPC_OP_RECV_MESSAGE;
    ops[4].data.recv_message.recv_message = &call->received;
    ops[5].op = GRPC_OP_RECV_STATUS_ON_CLIENT;
    ops[5].data.recv_status_on_client.trailing_metadata = &call->trailing_metadata;
    ops[5].data.recv_status_on_client.status = &call->status;
    ops[5].data.recv_status_on_client.status_details = &call->details;
    // A refused batch never brings its tag.
    call->is_pending = grpc_call_start_batch(call->call, ops, NUM_OPS, call, NULL) == GRPC_CALL_OK;
    grpc_byte_buffer_destroy(message);
    grpc_slice_unref(body);
    return call->is_pending;
}

static bool call_start(struct grpc_unary *call, const struct grpc_unary_options *options,
                       struct span request) {
    grpc_metadata metadata[GRPC_UNARY_METADATA_MAX];
    grpc_slice method = grpc_slice_from_copied_string(options->method);
    gpr_timespec deadline = gpr_time_add(gpr_now(GPR_CLOCK_MONOTONIC),
                                         gpr_time_from_millis(options->timeout_ms, GPR_TIMESPAN));
    call->call = grpc_channel_create_call(call->channel, NULL, GRPC_PROPAGATE_DEFAULTS, call->queue,
                                          method, NULL, deadline, NULL);
    grpc_slice_unref(method);
    CHECK(options->num_metadata <= GRPC_UNARY_METADATA_MAX);
    for (size_t i = 0; i < options->num_metadata; i++) {
        metadata[i] = (grpc_metadata){
            .key = grpc_slice_from_copied_string(options->metadata[i].key),
            .value = grpc_slice_from_copied_string(options->metadata[i].value),
        };
    }
    bool ok = call->call != NULL && batch_start(call, metadata, options->num_metadata, request);
    for (size_t i = 0; i < options->num_metadata; i++) {
        grpc_slice_unref(metadata[i].key);
        grpc_slice_unref(metadata[i].value);
    }
    return ok;
}

struct grpc_unary *grpc_unary_start(const struct grpc_unary_options *options, struct span request,
                                    struct err *err) {
    struct grpc_unary *call OWNED(grpc_unary_free) = calloc(1, sizeof(*call));
    if (call == NULL) {
        (void)close(options->fd);
        ERR_NO_MEMORY(err, "starting a gRPC call");
        return NULL;
    }
    grpc_metadata_array_init(&call->initial_metadata);
    grpc_metadata_array_init(&call->trailing_metadata);
    call->details = grpc_empty_slice();
    call->queue = grpc_completion_queue_create_for_next(NULL);
    call->channel = channel_open(options);
    if (call->channel == NULL || !call_start(call, options, request)) {
        ERR_SET(err, ERR_ENVIRONMENT, "gRPC cannot start a call");
        return NULL;
    }
    return take(&call);
}

static void await(struct grpc_unary *call) {
    while (call->is_pending) {
        grpc_event event =
            grpc_completion_queue_next(call->queue, gpr_inf_future(GPR_CLOCK_MONOTONIC), NULL);
        CHECK(event.type == GRPC_OP_COMPLETE && event.tag == call);
        call->is_pending = false;
    }
}

void grpc_unary_free(struct grpc_unary *call) {
    if (call == NULL) {
        return;
    }
    if (call->call != NULL) { // nothing may refer to it when it goes
        grpc_call_cancel(call->call, NULL);
        await(call);
        grpc_call_unref(call->call);
    }
    if (call->channel != NULL) {
        grpc_channel_destroy(call->channel);
    }
    grpc_parts_queue_destroy(call->queue);
    grpc_byte_buffer_destroy(call->received);
    grpc_metadata_array_destroy(&call->initial_metadata);
    grpc_metadata_array_destroy(&call->trailing_metadata);
    grpc_slice_unref(call->details);
    free(call);
}

static bool message_move(grpc_byte_buffer *from, struct buf *to) {
    grpc_byte_buffer_reader reader;
    if (from->data.raw.compression != GRPC_COMPRESS_NONE ||
        !grpc_byte_buffer_reader_init(&reader, from)) {
        return false;
    }
    grpc_slice all = grpc_byte_buffer_reader_readall(&reader);
    bool ok = buf_append(to, GRPC_SLICE_START_PTR(all), GRPC_SLICE_LENGTH(all));
    grpc_slice_unref(all);
    grpc_byte_buffer_reader_destroy(&reader);
    return ok;
}

struct grpc_unary_result grpc_unary_wait(struct grpc_unary *call, struct buf *response) {
    await(call);
    if (call->status != GRPC_STATUS_OK) {
        struct grpc_unary_result result = {.code = (int)call->status};
        grpc_parts_details(call->details, result.details, sizeof(result.details));
        return result;
    }
    if (call->received == NULL || !message_move(call->received, response)) {
        return (struct grpc_unary_result){GRPC_CODE_INTERNAL,
                                          "the answer is missing, compressed or cannot be kept"};
    }
    return (struct grpc_unary_result){.code = GRPC_CODE_OK};
}

void grpc_unary_cancel(struct grpc_unary *call) {
    grpc_call_cancel(call->call, NULL);
}
