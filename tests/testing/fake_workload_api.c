#include "tests/testing/fake_workload_api.h"

#include <pthread.h>
#include <stdlib.h>

#include <grpc/byte_buffer.h>
#include <grpc/grpc.h>
#include <grpc/grpc_security.h>
#include <grpc/support/log.h>
#include <grpc/support/time.h>

#include "base/check.h"

enum kind { KIND_REQUEST, KIND_CLOSE, KIND_SEND, KIND_STATUS, KIND_SHUTDOWN };

struct call;
struct tag {
    enum kind kind;
    struct call *call;
};

struct call {
    grpc_call *call;
    grpc_call_details details;
    grpc_metadata_array metadata;
    struct fake_call script;
    size_t num_sent;
    unsigned num_pending;
    bool ended;
    int cancelled;
    struct tag request, close, send, status;
};

struct fake_workload_api {
    grpc_server *server;
    grpc_completion_queue *queue;
    pthread_t thread;
    int port;
    struct tag shutdown;
    unsigned num_calls_alive; // of the thread alone

    pthread_mutex_t lock;
    const struct fake_call *script;
    size_t script_len;
    size_t script_next;
    struct fake_seen seen;
};

static void log_nothing(gpr_log_func_args *args) {
    (void)args;
}

static bool slice_is(grpc_slice slice, const char *text) {
    return span_equal_text(span_of(GRPC_SLICE_START_PTR(slice), GRPC_SLICE_LENGTH(slice)), text);
}

static void batch_start(struct call *call, const grpc_op *ops, size_t num, struct tag *tag) {
    if (grpc_call_start_batch(call->call, ops, num, tag, NULL) == GRPC_CALL_OK) {
        call->num_pending++;
    }
}

static void call_request(struct fake_workload_api *fake) {
    struct call *call = calloc(1, sizeof(*call));
    CHECK(call != NULL);
    call->request = (struct tag){KIND_REQUEST, call};
    call->close = (struct tag){KIND_CLOSE, call};
    call->send = (struct tag){KIND_SEND, call};
    call->status = (struct tag){KIND_STATUS, call};
    grpc_call_details_init(&call->details);
    grpc_metadata_array_init(&call->metadata);
    grpc_call_error error =
        grpc_server_request_call(fake->server, &call->call, &call->details, &call->metadata,
                                 fake->queue, fake->queue, &call->request);
    CHECK(error == GRPC_CALL_OK);
    call->num_pending = 1;
    fake->num_calls_alive++;
}

static void call_free(struct fake_workload_api *fake, struct call *call) {
    if (call->call != NULL) {
        grpc_call_unref(call->call);
    }
    grpc_call_details_destroy(&call->details);
    grpc_metadata_array_destroy(&call->metadata);
    free(call);
    fake->num_calls_alive--;
}

// The call's next step: one more message, the status, or nothing more.
static void call_step(struct call *call) {
    grpc_op ops[2] = {{0}};
    size_t num = 0;
    if (call->num_sent == 0 && !call->ended) {
        ops[num++].op = GRPC_OP_SEND_INITIAL_METADATA;
    }
    if (call->num_sent < call->script.num_messages) {
        struct span message = call->script.messages[call->num_sent++];
        grpc_slice body = grpc_slice_from_copied_buffer((const char *)message.ptr, message.len);
        grpc_byte_buffer *buffer = grpc_raw_byte_buffer_create(&body, 1);
        ops[num].op = GRPC_OP_SEND_MESSAGE;
        ops[num++].data.send_message.send_message = buffer;
        batch_start(call, ops, num, &call->send);
        grpc_byte_buffer_destroy(buffer);
        grpc_slice_unref(body);
        return;
    }
    if (call->script.hold || call->ended) {
        return;
    }
    call->ended = true;
    grpc_slice details =
        grpc_slice_from_copied_string(call->script.details == NULL ? "" : call->script.details);
    ops[num].op = GRPC_OP_SEND_STATUS_FROM_SERVER;
    ops[num].data.send_status_from_server.status = (grpc_status_code)call->script.status;
    ops[num++].data.send_status_from_server.status_details = &details;
    batch_start(call, ops, num, &call->status);
    grpc_slice_unref(details);
}

static void call_note(struct fake_workload_api *fake, struct call *call) {
    unsigned num_marks = 0;
    bool is_true = false;
    for (size_t i = 0; i < call->metadata.count; i++) {
        const grpc_metadata *entry = &call->metadata.metadata[i];
        if (slice_is(entry->key, "workload.spiffe.io")) {
            num_marks++;
            is_true = slice_is(entry->value, "true");
        }
    }
    pthread_mutex_lock(&fake->lock);
    call->script = fake->script[fake->script_next];
    if (fake->script_next + 1 < fake->script_len) {
        fake->script_next++;
    }
    fake->seen.num_calls++;
    fake->seen.num_marked += num_marks == 1 && is_true;
    fake->seen.num_fetches += slice_is(call->details.method, "/SpiffeWorkloadAPI/FetchX509SVID");
    fake->seen.num_localhost += slice_is(call->details.host, "localhost");
    pthread_mutex_unlock(&fake->lock);
}

static void call_begin(struct fake_workload_api *fake, struct call *call) {
    call_note(fake, call);
    grpc_op close = {.op = GRPC_OP_RECV_CLOSE_ON_SERVER};
    close.data.recv_close_on_server.cancelled = &call->cancelled;
    batch_start(call, &close, 1, &call->close);
    call_step(call);
    call_request(fake);
}

static void call_event(struct fake_workload_api *fake, struct call *call, enum kind kind,
                       bool success) {
    call->num_pending--;
    if (kind == KIND_REQUEST && success) {
        call_begin(fake, call);
    } else if (kind == KIND_SEND && success) {
        call_step(call);
    }
    if (call->num_pending == 0) {
        call_free(fake, call);
    }
}

static void *thread_main(void *arg) {
    struct fake_workload_api *fake = arg;
    gpr_timespec never = gpr_inf_future(GPR_CLOCK_MONOTONIC);
    bool down = false;
    call_request(fake);
    while (!down || fake->num_calls_alive > 0) {
        grpc_event event = grpc_completion_queue_next(fake->queue, never, NULL);
        struct tag *tag = event.tag;
        if (tag->kind == KIND_SHUTDOWN) {
            down = true;
        } else {
            call_event(fake, tag->call, tag->kind, event.success);
        }
    }
    return NULL;
}

static void queue_destroy(grpc_completion_queue *queue) {
    grpc_completion_queue_shutdown(queue);
    grpc_event event;
    do {
        event = grpc_completion_queue_next(queue, gpr_inf_future(GPR_CLOCK_MONOTONIC), NULL);
    } while (event.type != GRPC_QUEUE_SHUTDOWN);
    grpc_completion_queue_destroy(queue);
}

struct fake_workload_api *fake_workload_api_new(const char *address, const struct fake_call *script,
                                                size_t num) {
    struct fake_workload_api *fake = calloc(1, sizeof(*fake));
    CHECK(fake != NULL && num > 0);
    gpr_set_log_function(log_nothing);
    grpc_init();
    pthread_mutex_init(&fake->lock, NULL);
    fake->script = script;
    fake->script_len = num;
    fake->shutdown.kind = KIND_SHUTDOWN;
    fake->queue = grpc_completion_queue_create_for_next(NULL);
    grpc_arg no_reuse = {.type = GRPC_ARG_INTEGER, .key = (char[]){GRPC_ARG_ALLOW_REUSEPORT}};
    grpc_channel_args args = {.num_args = 1, .args = &no_reuse};
    fake->server = grpc_server_create(&args, NULL);
    grpc_server_register_completion_queue(fake->server, fake->queue, NULL);
    grpc_server_credentials *plain = grpc_insecure_server_credentials_create();
    fake->port = grpc_server_add_http2_port(fake->server, address, plain);
    grpc_server_credentials_release(plain);
    grpc_server_start(fake->server);
    int error = pthread_create(&fake->thread, NULL, thread_main, fake);
    CHECK(error == 0);
    if (fake->port == 0) {
        fake_workload_api_free(fake);
        return NULL;
    }
    return fake;
}

void fake_workload_api_free(struct fake_workload_api *fake) {
    if (fake == NULL) {
        return;
    }
    grpc_server_shutdown_and_notify(fake->server, fake->queue, &fake->shutdown);
    grpc_server_cancel_all_calls(fake->server);
    pthread_join(fake->thread, NULL);
    grpc_server_destroy(fake->server);
    queue_destroy(fake->queue);
    pthread_mutex_destroy(&fake->lock);
    free(fake);
    grpc_shutdown_blocking();
}

void fake_workload_api_script(struct fake_workload_api *fake, const struct fake_call *script,
                              size_t num) {
    pthread_mutex_lock(&fake->lock);
    fake->script = script;
    fake->script_len = num;
    fake->script_next = 0;
    pthread_mutex_unlock(&fake->lock);
}

int fake_workload_api_port(const struct fake_workload_api *fake) {
    return fake->port;
}

struct fake_seen fake_workload_api_seen(struct fake_workload_api *fake) {
    pthread_mutex_lock(&fake->lock);
    struct fake_seen seen = fake->seen;
    pthread_mutex_unlock(&fake->lock);
    return seen;
}
