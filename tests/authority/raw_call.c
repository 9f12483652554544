#include "tests/authority/raw_call.h"

#include <stdio.h>
#include <string.h>

#include <grpc/byte_buffer.h>
#include <grpc/grpc.h>
#include <grpc/grpc_security.h>
#include <grpc/slice.h>
#include <grpc/support/alloc.h>
#include <grpc/support/time.h>

#include "base/check.h"

#define METADATA_MAX 8
#define WAIT_S 20 // only a hang reaches it

enum tag { TAG_SENT = 1, TAG_STATUS, TAG_MESSAGE };

struct session {
    grpc_completion_queue *queue;
    grpc_channel *channel;
    grpc_call *call;
    grpc_metadata_array initial;
    grpc_metadata_array trailing;
    grpc_byte_buffer *message;
    grpc_status_code status;
    grpc_slice details;
    const char *error_text;
    unsigned num_pending;
};

static void start(struct session *session, const grpc_op *ops, size_t num, enum tag tag) {
    void *name = (void *)(intptr_t)tag;
    CHECK(grpc_call_start_batch(session->call, ops, num, name, NULL) == GRPC_CALL_OK);
    session->num_pending++;
}

static void start_sending(struct session *session, const struct raw_call *call) {
    grpc_metadata metadata[METADATA_MAX];
    char zeros[8192] = {0};
    grpc_op ops[4];
    size_t num_metadata = 0;
    size_t num = 0;
    memset(ops, 0, sizeof(ops));
    memset(metadata, 0, sizeof(metadata));
    for (const char *const *it = call->metadata; it != NULL && *it != NULL; it += 2) {
        CHECK(num_metadata < METADATA_MAX);
        metadata[num_metadata].key = grpc_slice_from_static_string(it[0]);
        metadata[num_metadata++].value = grpc_slice_from_static_string(it[1]);
    }
    ops[num].op = GRPC_OP_SEND_INITIAL_METADATA;
    ops[num].data.send_initial_metadata.count = num_metadata;
    ops[num++].data.send_initial_metadata.metadata = metadata;
    CHECK(call->message_len <= sizeof(zeros));
    grpc_slice slice = grpc_slice_from_copied_buffer(zeros, call->message_len);
    grpc_byte_buffer *request = grpc_raw_byte_buffer_create(&slice, 1);
    if (!call->no_message) {
        ops[num].op = GRPC_OP_SEND_MESSAGE;
        ops[num++].data.send_message.send_message = request;
    }
    ops[num++].op = GRPC_OP_SEND_CLOSE_FROM_CLIENT;
    ops[num].op = GRPC_OP_RECV_INITIAL_METADATA;
    ops[num++].data.recv_initial_metadata.recv_initial_metadata = &session->initial;
    start(session, ops, num, TAG_SENT);
    grpc_byte_buffer_destroy(request);
    grpc_slice_unref(slice);
}

static void start_status(struct session *session) {
    grpc_op op;
    memset(&op, 0, sizeof(op));
    op.op = GRPC_OP_RECV_STATUS_ON_CLIENT;
    op.data.recv_status_on_client.trailing_metadata = &session->trailing;
    op.data.recv_status_on_client.status = &session->status;
    op.data.recv_status_on_client.status_details = &session->details;
    op.data.recv_status_on_client.error_string = &session->error_text;
    start(session, &op, 1, TAG_STATUS);
}

static void start_receiving(struct session *session) {
    grpc_op op;
    memset(&op, 0, sizeof(op));
    op.op = GRPC_OP_RECV_MESSAGE;
    op.data.recv_message.recv_message = &session->message;
    start(session, &op, 1, TAG_MESSAGE);
}

static void session_open(struct session *session, const struct raw_call *call) {
    grpc_init();
    grpc_channel_credentials *plain = grpc_insecure_credentials_create();
    memset(session, 0, sizeof(*session));
    session->queue = grpc_completion_queue_create_for_next(NULL);
    session->channel = grpc_channel_create(call->target, plain, NULL);
    grpc_channel_credentials_release(plain);
    grpc_metadata_array_init(&session->initial);
    grpc_metadata_array_init(&session->trailing);
    session->details = grpc_empty_slice();
    session->call =
        grpc_channel_create_call(session->channel, NULL, GRPC_PROPAGATE_DEFAULTS, session->queue,
                                 grpc_slice_from_static_string(call->method), NULL,
                                 gpr_inf_future(GPR_CLOCK_REALTIME), NULL);
}

static void session_close(struct session *session) {
    grpc_call_unref(session->call);
    grpc_channel_destroy(session->channel);
    grpc_completion_queue_shutdown(session->queue);
    while (
        grpc_completion_queue_next(session->queue, gpr_inf_future(GPR_CLOCK_REALTIME), NULL).type !=
        GRPC_QUEUE_SHUTDOWN) {
    }
    grpc_completion_queue_destroy(session->queue);
    grpc_metadata_array_destroy(&session->initial);
    grpc_metadata_array_destroy(&session->trailing);
    grpc_slice_unref(session->details);
    gpr_free((void *)(uintptr_t)session->error_text);
    grpc_shutdown_blocking();
}

static void on_message(struct session *session, const struct raw_call *call,
                       struct raw_result *result) {
    if (session->message == NULL) {
        return;
    }
    grpc_byte_buffer_destroy(session->message);
    session->message = NULL;
    if (++result->num_messages == call->num_messages) {
        (void)grpc_call_cancel(session->call, NULL);
    }
    start_receiving(session);
}

struct raw_result raw_call(const struct raw_call *call) {
    struct raw_result result = {0};
    struct session session;
    session_open(&session, call);
    start_sending(&session, call);
    start_status(&session);
    start_receiving(&session);
    while (session.num_pending > 0) {
        gpr_timespec until =
            gpr_time_add(gpr_now(GPR_CLOCK_REALTIME), gpr_time_from_seconds(WAIT_S, GPR_TIMESPAN));
        grpc_event event = grpc_completion_queue_next(session.queue, until, NULL);
        CHECK(event.type == GRPC_OP_COMPLETE);
        session.num_pending--;
        if ((intptr_t)event.tag == TAG_MESSAGE) {
            on_message(&session, call, &result);
        }
    }
    result.status = (int)session.status;
    (void)snprintf(result.details, sizeof(result.details), "%.*s",
                   (int)GRPC_SLICE_LENGTH(session.details),
                   (const char *)GRPC_SLICE_START_PTR(session.details));
    session_close(&session);
    return result;
}
