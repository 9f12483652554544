// Four batches: START sends the request and receives the initial metadata,
// without which the status never arrives; STATUS waits for the end; MESSAGE is armed again after
// each message; SEND is one more message of ours. The order in which they complete is not fixed:
// the stream has ended when no tag is outstanding.
#include "certmgr/grpc_stream.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include <grpc/byte_buffer.h>
#include <grpc/byte_buffer_reader.h>
#include <grpc/grpc.h>
#include <grpc/grpc_security.h>
#include <grpc/support/log.h>
#include <grpc/support/time.h>

#include "base/check.h"
#include "certmgr/grpc_parts.h"

enum tag { TAG_START, TAG_STATUS, TAG_MESSAGE, TAG_SEND, TAG_COUNT };

struct grpc_stream {
    grpc_completion_queue *queue;
    grpc_channel *channel;
    grpc_call *call;
    char tags[TAG_COUNT]; // only their addresses matter
    bool pending[TAG_COUNT];
    bool had_message;
    grpc_metadata_array initial_metadata;
    grpc_metadata_array trailing_metadata;
    grpc_byte_buffer *received;
    grpc_byte_buffer *waiting; // to be sent when SEND and START are back
    grpc_status_code status;
    grpc_slice details;
};

static void log_nothing(gpr_log_func_args *args) {
    (void)args;
}

void grpc_stream_library_init(void) {
    gpr_set_log_function(log_nothing);
    grpc_init();
}

void grpc_stream_library_fini(void) {
    grpc_shutdown_blocking();
}

static grpc_channel *channel_open(const struct grpc_stream_options *options) {
    int message_max = options->message_max > INT_MAX ? INT_MAX : (int)options->message_max;
    int keepalive_ms = options->keepalive_ms > 0 ? options->keepalive_ms : INT_MAX; // INT_MAX: off
    grpc_arg args[] = {
        grpc_parts_text(GRPC_ARG_DEFAULT_AUTHORITY, "localhost"),
        grpc_parts_int(GRPC_ARG_MAX_RECEIVE_MESSAGE_LENGTH, message_max),
        grpc_parts_int(GRPC_ARG_ENABLE_HTTP_PROXY, 0),
        grpc_parts_int(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1),
        grpc_parts_int(GRPC_ARG_ENABLE_RETRIES, 0),
        grpc_parts_int(GRPC_ARG_SERVICE_CONFIG_DISABLE_RESOLUTION, 1),
        // gRPC takes the minimum backoff as the time that one connection attempt may take.
        grpc_parts_int(GRPC_ARG_MIN_RECONNECT_BACKOFF_MS, options->connect_ms),
        grpc_parts_int(GRPC_ARG_KEEPALIVE_TIME_MS, keepalive_ms),
        grpc_parts_int(GRPC_ARG_HTTP2_MAX_PINGS_WITHOUT_DATA, 0),
        // A compressed message could unpack to far more than the limit; identity is all we offer.
        grpc_parts_int(GRPC_ARG_ENABLE_PER_MESSAGE_DECOMPRESSION, 0),
        grpc_parts_int(GRPC_COMPRESSION_CHANNEL_ENABLED_ALGORITHMS_BITSET, 1 << GRPC_COMPRESS_NONE),
    };
    grpc_channel_args channel_args = {.num_args = sizeof(args) / sizeof(args[0]), .args = args};
    grpc_channel_credentials *plain = grpc_insecure_credentials_create();
    grpc_channel *channel = grpc_channel_create(options->target, plain, &channel_args);
    grpc_channel_credentials_release(plain);
    return channel;
}

// A refused batch never brings its tag.
static bool batch_start(struct grpc_stream *stream, enum tag tag, const grpc_op *ops, size_t num) {
    grpc_call_error error = grpc_call_start_batch(stream->call, ops, num, &stream->tags[tag], NULL);
    stream->pending[tag] = error == GRPC_CALL_OK;
    return stream->pending[tag];
}

static grpc_byte_buffer *message_copy(struct span bytes) {
    grpc_slice body = grpc_slice_from_copied_buffer((const char *)bytes.ptr, bytes.len);
    grpc_byte_buffer *message = grpc_raw_byte_buffer_create(&body, 1);
    grpc_slice_unref(body);
    return message;
}

static bool start_start(struct grpc_stream *stream, const struct grpc_stream_options *options,
                        struct span request) {
    bool has_metadata = options->metadata_key != NULL;
    grpc_metadata metadata = {
        .key = grpc_slice_from_copied_string(has_metadata ? options->metadata_key : ""),
        .value = grpc_slice_from_copied_string(has_metadata ? options->metadata_value : ""),
    };
    grpc_byte_buffer *message = message_copy(request);
    grpc_op ops[4] = {{0}};
    ops[0].op = GRPC_OP_SEND_INITIAL_METADATA;
    ops[0].data.send_initial_metadata.count = has_metadata ? 1 : 0;
    ops[0].data.send_initial_metadata.metadata = &metadata;
    ops[1].op = GRPC_OP_SEND_MESSAGE;
    ops[1].data.send_message.send_message = message;
    ops[2].op = GRPC_OP_RECV_INITIAL_METADATA;
    ops[2].data.recv_initial_metadata.recv_initial_metadata = &stream->initial_metadata;
    ops[3].op = GRPC_OP_SEND_CLOSE_FROM_CLIENT;
    bool ok = batch_start(stream, TAG_START, ops, options->is_bidi ? 3 : 4);
    grpc_byte_buffer_destroy(message);
    grpc_slice_unref(metadata.key);
    grpc_slice_unref(metadata.value);
    return ok;
}

static bool status_start(struct grpc_stream *stream) {
    grpc_op op = {.op = GRPC_OP_RECV_STATUS_ON_CLIENT};
    op.data.recv_status_on_client.trailing_metadata = &stream->trailing_metadata;
    op.data.recv_status_on_client.status = &stream->status;
    op.data.recv_status_on_client.status_details = &stream->details;
    return batch_start(stream, TAG_STATUS, &op, 1);
}

static bool message_start(struct grpc_stream *stream) {
    grpc_op op = {.op = GRPC_OP_RECV_MESSAGE};
    op.data.recv_message.recv_message = &stream->received;
    return batch_start(stream, TAG_MESSAGE, &op, 1);
}

static bool call_start(struct grpc_stream *stream, const struct grpc_stream_options *options,
                       struct span request) {
    grpc_slice method = grpc_slice_from_copied_string(options->method);
    stream->call =
        grpc_channel_create_call(stream->channel, NULL, GRPC_PROPAGATE_DEFAULTS, stream->queue,
                                 method, NULL, gpr_inf_future(GPR_CLOCK_MONOTONIC), NULL);
    grpc_slice_unref(method);
    return stream->call != NULL && status_start(stream) && start_start(stream, options, request) &&
           message_start(stream);
}

struct grpc_stream *grpc_stream_open(const struct grpc_stream_options *options, struct span request,
                                     struct err *err) {
    struct grpc_stream *stream OWNED(grpc_stream_free) = calloc(1, sizeof(*stream));
    if (stream == NULL) {
        ERR_NO_MEMORY(err, "opening a gRPC stream");
        return NULL;
    }
    grpc_metadata_array_init(&stream->initial_metadata);
    grpc_metadata_array_init(&stream->trailing_metadata);
    stream->details = grpc_empty_slice();
    stream->queue = grpc_completion_queue_create_for_next(NULL);
    stream->channel = channel_open(options);
    if (stream->channel == NULL || !call_start(stream, options, request)) {
        ERR_SET(err, ERR_ENVIRONMENT, "gRPC cannot start a call to %s", options->target);
        return NULL;
    }
    return take(&stream);
}

static bool is_pending(const struct grpc_stream *stream) {
    bool pending = false;
    for (int tag = 0; tag < TAG_COUNT; tag++) {
        pending |= stream->pending[tag];
    }
    return pending;
}

static void tag_done(struct grpc_stream *stream, void *tag) {
    ptrdiff_t index = (char *)tag - stream->tags;
    CHECK(index >= 0 && index < TAG_COUNT && stream->pending[index]);
    stream->pending[index] = false;
}

static void tags_await(struct grpc_stream *stream) {
    while (is_pending(stream)) {
        grpc_event event =
            grpc_completion_queue_next(stream->queue, gpr_inf_future(GPR_CLOCK_MONOTONIC), NULL);
        CHECK(event.type == GRPC_OP_COMPLETE);
        tag_done(stream, event.tag);
    }
}

void grpc_stream_free(struct grpc_stream *stream) {
    if (stream == NULL) {
        return;
    }
    if (stream->call != NULL) { // nothing may refer to it when it goes
        grpc_call_cancel(stream->call, NULL);
        tags_await(stream);
        grpc_call_unref(stream->call);
    }
    if (stream->channel != NULL) {
        grpc_channel_destroy(stream->channel);
    }
    grpc_parts_queue_destroy(stream->queue);
    grpc_byte_buffer_destroy(stream->received);
    grpc_byte_buffer_destroy(stream->waiting);
    grpc_metadata_array_destroy(&stream->initial_metadata);
    grpc_metadata_array_destroy(&stream->trailing_metadata);
    grpc_slice_unref(stream->details);
    free(stream);
}

// Moves the message's bytes out of gRPC's slices and wipes them there: they hold a private key.
static bool message_move(grpc_byte_buffer *from, struct buf *to) {
    size_t len = grpc_byte_buffer_length(from);
    uint8_t *out = len == 0 ? NULL : buf_reserve(to, len);
    grpc_byte_buffer_reader reader;
    if ((out == NULL && len > 0) || !grpc_byte_buffer_reader_init(&reader, from)) {
        return false;
    }
    size_t done = 0;
    grpc_slice *slice;
    while (grpc_byte_buffer_reader_peek(&reader, &slice)) {
        size_t slice_len = GRPC_SLICE_LENGTH(*slice);
        CHECK(slice_len <= len - done);
        if (slice_len > 0) {
            memcpy(out + done, GRPC_SLICE_START_PTR(*slice), slice_len);
            explicit_bzero(GRPC_SLICE_START_PTR(*slice), slice_len);
        }
        done += slice_len;
    }
    grpc_byte_buffer_reader_destroy(&reader);
    if (done > 0) {
        buf_commit(to, done);
    }
    return true;
}

// True when `message` has one more; false at the end of the stream.
static bool message_take(struct grpc_stream *stream, struct buf *message) {
    grpc_byte_buffer *received = take(&stream->received);
    if (received == NULL) {
        return false;
    }
    bool plain = received->data.raw.compression == GRPC_COMPRESS_NONE;
    bool moved = plain && message_move(received, message);
    grpc_byte_buffer_destroy(received);
    if (!moved) {
        grpc_call_cancel_with_status(stream->call, GRPC_STATUS_INTERNAL,
                                     plain ? "cannot allocate memory for a message"
                                           : "the server compressed a message unasked",
                                     NULL);
    }
    // Also after a cancel: unread data would keep the status back.
    if (!message_start(stream)) {
        grpc_call_cancel(stream->call, NULL);
    }
    return moved;
}

// A batch with a message may not start before the one before is back. Once the stream has ended the
// batch is refused or fails, which is as good.
static void send_next(struct grpc_stream *stream) {
    if (stream->waiting == NULL || stream->pending[TAG_START] || stream->pending[TAG_SEND]) {
        return;
    }
    grpc_byte_buffer *message = take(&stream->waiting);
    grpc_op op = {.op = GRPC_OP_SEND_MESSAGE};
    op.data.send_message.send_message = message;
    (void)batch_start(stream, TAG_SEND, &op, 1);
    grpc_byte_buffer_destroy(message);
}

bool grpc_stream_send(struct grpc_stream *stream, struct span message) {
    grpc_byte_buffer *copy = message_copy(message);
    if (copy == NULL) {
        return false;
    }
    grpc_byte_buffer_destroy(stream->waiting);
    stream->waiting = copy;
    send_next(stream);
    return true;
}

static gpr_timespec deadline_after(int64_t timeout_ms) {
    return timeout_ms < 0 ? gpr_inf_future(GPR_CLOCK_MONOTONIC)
                          : gpr_time_add(gpr_now(GPR_CLOCK_MONOTONIC),
                                         gpr_time_from_millis(timeout_ms, GPR_TIMESPAN));
}

enum grpc_stream_event grpc_stream_next(struct grpc_stream *stream, int64_t timeout_ms,
                                        struct buf *message) {
    gpr_timespec deadline = deadline_after(timeout_ms);
    while (is_pending(stream)) {
        grpc_event event = grpc_completion_queue_next(stream->queue, deadline, NULL);
        if (event.type == GRPC_QUEUE_TIMEOUT) {
            return GRPC_STREAM_TIMEOUT;
        }
        tag_done(stream, event.tag);
        send_next(stream);
        if (event.tag == &stream->tags[TAG_MESSAGE] && message_take(stream, message)) {
            stream->had_message = true;
            return GRPC_STREAM_MESSAGE;
        }
    }
    return GRPC_STREAM_ENDED;
}

struct grpc_stream_end grpc_stream_end(const struct grpc_stream *stream) {
    CHECK(!is_pending(stream));
    // The channel gives up only when it could not connect; a server that was reached leaves it
    // ready, or idle once the connection is gone.
    grpc_connectivity_state state = grpc_channel_check_connectivity_state(stream->channel, 0);
    struct grpc_stream_end end = {
        .code = (int)stream->status,
        .reached = stream->had_message || state == GRPC_CHANNEL_READY || state == GRPC_CHANNEL_IDLE,
    };
    grpc_parts_details(stream->details, end.details, sizeof(end.details));
    return end;
}

void grpc_stream_cancel(struct grpc_stream *stream) {
    grpc_call_cancel(stream->call, NULL);
}
