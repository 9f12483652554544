#include "authority/rpc_stream.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <grpc/byte_buffer.h>
#include <grpc/byte_buffer_reader.h>
#include <grpc/grpc.h>
#include <grpc/slice.h>

#include "authority/rpc_tag.h"
#include "base/check.h"

struct rpc_stream {
    const struct rpc_stream_host *host;
    grpc_call *call; // NULL until a call has come
    grpc_call_details details;
    grpc_metadata_array metadata;
    grpc_byte_buffer *request;
    grpc_byte_buffer *waiting; // the message to send next
    void *data;

    struct rpc_tag requested; // a call has come
    struct rpc_tag closed;    // the call is over for both sides
    struct rpc_tag received;  // the request message is there, or will not come
    struct rpc_tag sent;      // a message has been taken
    struct rpc_tag finished;  // the status has been taken
    unsigned num_pending;     // tags that are out
    int cancelled;

    bool opened;        // the handler knows this stream
    bool over;          // `closed` has come
    bool metadata_sent; // initial metadata
    bool sending;       // `sent` is out
    bool finishing;     // `status` is to be sent
    bool status_sent;
    struct rpc_refusal status;
};

#define STREAM_OF(tag, member)                                                                     \
    ((struct rpc_stream *)(void *)((char *)(tag)-offsetof(struct rpc_stream, member)))

static void stream_free(struct rpc_stream *stream) {
    const struct rpc_stream_host *host = stream->host;
    if (stream->call != NULL) {
        grpc_call_unref(stream->call);
    }
    grpc_call_details_destroy(&stream->details);
    grpc_metadata_array_destroy(&stream->metadata);
    grpc_byte_buffer_destroy(stream->request);
    grpc_byte_buffer_destroy(stream->waiting);
    free(stream);
    host->freed(host->arg);
}

// Only misuse makes this fail: a call that has ended takes operations and fails their tags.
static void start(struct rpc_stream *stream, const grpc_op *ops, size_t num, struct rpc_tag *tag) {
    CHECK(grpc_call_start_batch(stream->call, ops, num, tag, NULL) == GRPC_CALL_OK);
    stream->num_pending++;
}

// Adds the initial metadata in front of the first thing that is sent.
static size_t begin_ops(struct rpc_stream *stream, grpc_op ops[2]) {
    memset(ops, 0, 2 * sizeof(*ops));
    if (stream->metadata_sent) {
        return 0;
    }
    stream->metadata_sent = true;
    ops[0].op = GRPC_OP_SEND_INITIAL_METADATA;
    return 1;
}

static void start_message(struct rpc_stream *stream) {
    grpc_op ops[2];
    size_t num = begin_ops(stream, ops);
    ops[num].op = GRPC_OP_SEND_MESSAGE;
    ops[num].data.send_message.send_message = stream->waiting;
    start(stream, ops, num + 1, &stream->sent);
    stream->sending = true;
    grpc_byte_buffer_destroy(stream->waiting); // gRPC has taken what was in it
    stream->waiting = NULL;
}

static void start_status(struct rpc_stream *stream) {
    grpc_op ops[2];
    size_t num = begin_ops(stream, ops);
    grpc_slice reason = grpc_slice_from_static_string(stream->status.reason);
    ops[num].op = GRPC_OP_SEND_STATUS_FROM_SERVER;
    ops[num].data.send_status_from_server.status = (grpc_status_code)stream->status.code;
    ops[num].data.send_status_from_server.status_details = &reason;
    start(stream, ops, num + 1, &stream->finished);
    stream->status_sent = true;
}

// Decides what is sent next. Never frees.
static void arm(struct rpc_stream *stream) {
    if (stream->over || stream->sending || stream->status_sent) {
        return;
    }
    if (stream->finishing) {
        start_status(stream);
    } else if (stream->waiting != NULL) {
        start_message(stream);
    }
}

// After every tag: one place that goes on and the only one that frees.
static void step(struct rpc_stream *stream) {
    CHECK(stream->num_pending > 0);
    stream->num_pending--;
    if (stream->over && stream->opened) {
        stream->opened = false;
        stream->host->handler->closed(stream->host->handler->arg, stream);
    }
    arm(stream);
    if (stream->num_pending == 0 && (stream->over || stream->call == NULL)) {
        stream_free(stream);
    }
}

static void on_sent(struct rpc_tag *tag) {
    struct rpc_stream *stream = STREAM_OF(tag, sent);
    stream->sending = false;
    step(stream);
}

static void on_finished(struct rpc_tag *tag) {
    step(STREAM_OF(tag, finished));
}

static void on_closed(struct rpc_tag *tag) {
    struct rpc_stream *stream = STREAM_OF(tag, closed);
    stream->over = true;
    step(stream);
}

static void on_received(struct rpc_tag *tag) {
    struct rpc_stream *stream = STREAM_OF(tag, received);
    if (!stream->over && stream->request == NULL) {
        rpc_stream_finish(stream, GRPC_CODE_INVALID_ARGUMENT, "the request message is missing");
    } else if (!stream->over) {
        stream->opened = true;
        stream->host->handler->opened(stream->host->handler->arg, stream);
        grpc_byte_buffer_destroy(stream->request);
        stream->request = NULL;
    }
    step(stream);
}

static void start_receiving(struct rpc_stream *stream) {
    grpc_op op;
    memset(&op, 0, sizeof(op));
    op.op = GRPC_OP_RECV_MESSAGE;
    op.data.recv_message.recv_message = &stream->request;
    start(stream, &op, 1, &stream->received);
}

static void on_requested(struct rpc_tag *tag) {
    struct rpc_stream *stream = STREAM_OF(tag, requested);
    const struct rpc_stream_host *host = stream->host;
    if (!tag->ok || stream->call == NULL) { // the connection is ending
        step(stream);
        return;
    }
    grpc_op op;
    memset(&op, 0, sizeof(op));
    op.op = GRPC_OP_RECV_CLOSE_ON_SERVER;
    op.data.recv_close_on_server.cancelled = &stream->cancelled;
    start(stream, &op, 1, &stream->closed);
    struct rpc_refusal refusal = host->handler->admit(host->handler->arg, stream);
    if (refusal.code == GRPC_CODE_OK) {
        start_receiving(stream);
    } else {
        rpc_stream_finish(stream, refusal.code, refusal.reason);
    }
    host->accepted(host->arg);
    step(stream);
}

bool rpc_stream_listen(const struct rpc_stream_host *host) {
    struct rpc_stream *stream = calloc(1, sizeof(*stream));
    if (stream == NULL) {
        return false;
    }
    stream->host = host;
    stream->requested.done = on_requested;
    stream->closed.done = on_closed;
    stream->received.done = on_received;
    stream->sent.done = on_sent;
    stream->finished.done = on_finished;
    grpc_call_details_init(&stream->details);
    grpc_metadata_array_init(&stream->metadata);
    stream->num_pending = 1;
    CHECK(grpc_server_request_call(host->server, &stream->call, &stream->details, &stream->metadata,
                                   host->queue, host->queue, &stream->requested) == GRPC_CALL_OK);
    return true;
}

uid_t rpc_stream_uid(const struct rpc_stream *stream) {
    return stream->host->uid;
}

static struct span slice_span(const grpc_slice *slice) {
    return span_of(GRPC_SLICE_START_PTR(*slice), GRPC_SLICE_LENGTH(*slice));
}

struct span rpc_stream_method(const struct rpc_stream *stream) {
    return slice_span(&stream->details.method);
}

bool rpc_stream_metadata(const struct rpc_stream *stream, const char *key, struct span *value) {
    unsigned num = 0;
    for (size_t i = 0; i < stream->metadata.count; i++) {
        const grpc_metadata *pair = &stream->metadata.metadata[i];
        if (span_equal_text(slice_span(&pair->key), key)) {
            num++;
            *value = slice_span(&pair->value);
        }
    }
    return num == 1;
}

bool rpc_stream_has_metadata(const struct rpc_stream *stream, const char *key, const char *value) {
    struct span found;
    return rpc_stream_metadata(stream, key, &found) && span_equal_text(found, value);
}

bool rpc_stream_request(const struct rpc_stream *stream, struct buf *out) {
    grpc_byte_buffer_reader reader;
    if (stream->request == NULL || !grpc_byte_buffer_reader_init(&reader, stream->request)) {
        return false;
    }
    grpc_slice all = grpc_byte_buffer_reader_readall(&reader);
    struct span bytes = slice_span(&all);
    bool ok = bytes.len == 0 || buf_append(out, bytes.ptr, bytes.len);
    grpc_slice_unref(all);
    grpc_byte_buffer_reader_destroy(&reader);
    return ok;
}

void rpc_stream_set_data(struct rpc_stream *stream, void *data) {
    stream->data = data;
}

void *rpc_stream_data(const struct rpc_stream *stream) {
    return stream->data;
}

void rpc_stream_send(struct rpc_stream *stream, struct span message) {
    grpc_slice slice = grpc_slice_from_copied_buffer((const char *)message.ptr, message.len);
    grpc_byte_buffer_destroy(stream->waiting);
    stream->waiting = grpc_raw_byte_buffer_create(&slice, 1);
    grpc_slice_unref(slice);
    arm(stream);
}

void rpc_stream_finish(struct rpc_stream *stream, enum grpc_code code, const char *reason) {
    if (stream->finishing) {
        return;
    }
    stream->finishing = true;
    stream->status = (struct rpc_refusal){.code = code, .reason = reason};
    arm(stream);
}
