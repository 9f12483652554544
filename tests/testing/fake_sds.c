// The thread alone touches the calls; the test leaves its wishes in a queue under the lock, and the
// thread looks there after each event and every few milliseconds.
#include "tests/testing/fake_sds.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <grpc/byte_buffer.h>
#include <grpc/byte_buffer_reader.h>
#include <grpc/grpc.h>
#include <grpc/grpc_security.h>
#include <grpc/support/log.h>
#include <grpc/support/time.h>

#include "base/check.h"
#include "proto/sds.pb-c.h"

#define LOOK_MS 5
#define PATIENCE_MS 30000
#define WISHES_MAX 8192
#define REQUESTS_MAX 16384

enum kind { KIND_REQUEST, KIND_CLOSE, KIND_RECV, KIND_SEND, KIND_STATUS, KIND_SHUTDOWN };

struct call;
struct tag {
    enum kind kind;
    struct call *call;
};

struct call {
    grpc_call *call;
    grpc_call_details details;
    grpc_metadata_array metadata;
    grpc_byte_buffer *received;
    unsigned stream;
    unsigned num_pending;
    bool has_asked;
    bool is_sending;
    bool headers_sent;
    bool ended;
    int cancelled;
    struct tag request, close, recv, send, status;
};

struct wish {
    struct span response; // owned; NULL: end the stream
    int status;
    const char *details;
};

struct fake_sds {
    grpc_server *server;
    grpc_completion_queue *queue;
    pthread_t thread;
    struct tag shutdown;
    struct call *newest; // of the thread alone, as is the next one
    unsigned num_calls_alive;

    pthread_mutex_t lock;
    struct wish wishes[WISHES_MAX];
    size_t num_wishes;
    size_t num_granted;
    int refusal; // negative: none
    const char *refusal_details;
    unsigned num_streams;
    struct fake_sds_request requests[REQUESTS_MAX];
    size_t num_requests;
};

static void log_nothing(gpr_log_func_args *args) {
    (void)args;
}

static void batch_start(struct call *call, const grpc_op *ops, size_t num, struct tag *tag) {
    if (grpc_call_start_batch(call->call, ops, num, tag, NULL) == GRPC_CALL_OK) {
        call->num_pending++;
    }
}

static void call_accept(struct fake_sds *fake) {
    struct call *call = calloc(1, sizeof(*call));
    CHECK(call != NULL);
    call->request = (struct tag){KIND_REQUEST, call};
    call->close = (struct tag){KIND_CLOSE, call};
    call->recv = (struct tag){KIND_RECV, call};
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

static void call_free(struct fake_sds *fake, struct call *call) {
    if (fake->newest == call) {
        fake->newest = NULL;
    }
    if (call->call != NULL) {
        grpc_call_unref(call->call);
    }
    grpc_byte_buffer_destroy(call->received);
    grpc_call_details_destroy(&call->details);
    grpc_metadata_array_destroy(&call->metadata);
    free(call);
    fake->num_calls_alive--;
}

static void call_recv(struct call *call) {
    grpc_op op = {.op = GRPC_OP_RECV_MESSAGE};
    op.data.recv_message.recv_message = &call->received;
    batch_start(call, &op, 1, &call->recv);
}

static size_t headers_op(struct call *call, grpc_op *ops) {
    if (call->headers_sent) {
        return 0;
    }
    call->headers_sent = true;
    ops[0].op = GRPC_OP_SEND_INITIAL_METADATA;
    return 1;
}

static void call_send(struct call *call, struct span response) {
    grpc_op ops[2] = {{0}};
    size_t num = headers_op(call, ops);
    grpc_slice body = grpc_slice_from_copied_buffer((const char *)response.ptr, response.len);
    grpc_byte_buffer *buffer = grpc_raw_byte_buffer_create(&body, 1);
    ops[num].op = GRPC_OP_SEND_MESSAGE;
    ops[num++].data.send_message.send_message = buffer;
    call->is_sending = true;
    batch_start(call, ops, num, &call->send);
    grpc_byte_buffer_destroy(buffer);
    grpc_slice_unref(body);
}

static void call_end(struct call *call, int status, const char *text) {
    grpc_op ops[2] = {{0}};
    size_t num = headers_op(call, ops);
    grpc_slice details = grpc_slice_from_copied_string(text);
    ops[num].op = GRPC_OP_SEND_STATUS_FROM_SERVER;
    ops[num].data.send_status_from_server.status = (grpc_status_code)status;
    ops[num++].data.send_status_from_server.status_details = &details;
    call->ended = true;
    batch_start(call, ops, num, &call->status);
    grpc_slice_unref(details);
}

static void text_of(char *out, size_t size, const ProtobufCBinaryData *data) {
    snprintf(out, size, "%.*s", (int)data->len, data->len > 0 ? (const char *)data->data : "");
}

static void request_note(struct fake_sds *fake, const struct call *call,
                         const Sds__DiscoveryRequest *in) {
    pthread_mutex_lock(&fake->lock);
    CHECK(fake->num_requests < REQUESTS_MAX);
    struct fake_sds_request *out = &fake->requests[fake->num_requests++];
    out->stream = call->stream;
    if (in->node != NULL) {
        text_of(out->node_id, sizeof(out->node_id), &in->node->id);
    }
    text_of(out->version, sizeof(out->version), &in->version_info);
    text_of(out->nonce, sizeof(out->nonce), &in->response_nonce);
    text_of(out->type_url, sizeof(out->type_url), &in->type_url);
    out->num_names = in->n_resource_names;
    for (size_t i = 0; i < 2 && i < in->n_resource_names; i++) {
        text_of(out->names[i], sizeof(out->names[i]), &in->resource_names[i]);
    }
    out->is_refusal = in->error_detail != NULL;
    if (out->is_refusal) {
        text_of(out->refusal, sizeof(out->refusal), &in->error_detail->message);
    }
    pthread_mutex_unlock(&fake->lock);
}

static void call_received(struct fake_sds *fake, struct call *call) {
    grpc_byte_buffer *received = take(&call->received);
    if (received == NULL) {
        return; // the client has closed its side
    }
    grpc_byte_buffer_reader reader;
    CHECK(grpc_byte_buffer_reader_init(&reader, received));
    grpc_slice all = grpc_byte_buffer_reader_readall(&reader);
    Sds__DiscoveryRequest *request =
        sds__discovery_request__unpack(NULL, GRPC_SLICE_LENGTH(all), GRPC_SLICE_START_PTR(all));
    CHECK(request != NULL);
    request_note(fake, call, request);
    sds__discovery_request__free_unpacked(request, NULL);
    grpc_slice_unref(all);
    grpc_byte_buffer_reader_destroy(&reader);
    grpc_byte_buffer_destroy(received);
    call->has_asked = true;
    call_recv(call);
}

static void call_begin(struct fake_sds *fake, struct call *call) {
    pthread_mutex_lock(&fake->lock);
    call->stream = ++fake->num_streams;
    int refusal = fake->refusal;
    const char *details = fake->refusal_details;
    pthread_mutex_unlock(&fake->lock);
    grpc_op close = {.op = GRPC_OP_RECV_CLOSE_ON_SERVER};
    close.data.recv_close_on_server.cancelled = &call->cancelled;
    batch_start(call, &close, 1, &call->close);
    call_accept(fake);
    if (refusal >= 0) {
        call_end(call, refusal, details);
        return;
    }
    fake->newest = call;
    call_recv(call);
}

static void call_event(struct fake_sds *fake, struct call *call, enum kind kind, bool success) {
    call->num_pending--;
    if (kind == KIND_REQUEST && success) {
        call_begin(fake, call);
    } else if (kind == KIND_RECV && success) {
        call_received(fake, call);
    } else if (kind == KIND_SEND) {
        call->is_sending = false;
    } else if (kind == KIND_CLOSE && fake->newest == call) {
        fake->newest = NULL;
    }
    if (call->num_pending == 0) {
        call_free(fake, call);
    }
}

static void wish_grant(struct fake_sds *fake) {
    struct call *call = fake->newest;
    if (call == NULL || !call->has_asked || call->is_sending || call->ended) {
        return;
    }
    pthread_mutex_lock(&fake->lock);
    bool has_wish = fake->num_granted < fake->num_wishes;
    struct wish wish = has_wish ? fake->wishes[fake->num_granted++] : (struct wish){0};
    pthread_mutex_unlock(&fake->lock);
    if (has_wish && wish.response.ptr != NULL) {
        call_send(call, wish.response);
        free((void *)(uintptr_t)wish.response.ptr);
    } else if (has_wish) {
        call_end(call, wish.status, wish.details);
    }
}

static void *thread_main(void *arg) {
    struct fake_sds *fake = arg;
    bool down = false;
    call_accept(fake);
    while (!down || fake->num_calls_alive > 0) {
        gpr_timespec soon =
            gpr_time_add(gpr_now(GPR_CLOCK_MONOTONIC), gpr_time_from_millis(LOOK_MS, GPR_TIMESPAN));
        grpc_event event = grpc_completion_queue_next(fake->queue, soon, NULL);
        if (event.type == GRPC_OP_COMPLETE) {
            struct tag *tag = event.tag;
            down |= tag->kind == KIND_SHUTDOWN;
            if (tag->kind != KIND_SHUTDOWN) {
                call_event(fake, tag->call, tag->kind, event.success);
            }
        }
        wish_grant(fake);
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

struct fake_sds *fake_sds_new(const char *address) {
    struct fake_sds *fake = calloc(1, sizeof(*fake));
    CHECK(fake != NULL);
    gpr_set_log_function(log_nothing);
    grpc_init();
    pthread_mutex_init(&fake->lock, NULL);
    fake->refusal = -1;
    fake->shutdown.kind = KIND_SHUTDOWN;
    fake->queue = grpc_completion_queue_create_for_next(NULL);
    fake->server = grpc_server_create(NULL, NULL);
    grpc_server_register_completion_queue(fake->server, fake->queue, NULL);
    grpc_server_credentials *plain = grpc_insecure_server_credentials_create();
    int port = grpc_server_add_http2_port(fake->server, address, plain);
    grpc_server_credentials_release(plain);
    grpc_server_start(fake->server);
    int error = pthread_create(&fake->thread, NULL, thread_main, fake);
    CHECK(error == 0);
    if (port == 0) {
        fake_sds_free(fake);
        return NULL;
    }
    return fake;
}

void fake_sds_free(struct fake_sds *fake) {
    if (fake == NULL) {
        return;
    }
    grpc_server_shutdown_and_notify(fake->server, fake->queue, &fake->shutdown);
    grpc_server_cancel_all_calls(fake->server);
    pthread_join(fake->thread, NULL);
    grpc_server_destroy(fake->server);
    queue_destroy(fake->queue);
    for (size_t i = fake->num_granted; i < fake->num_wishes; i++) {
        free((void *)(uintptr_t)fake->wishes[i].response.ptr);
    }
    pthread_mutex_destroy(&fake->lock);
    free(fake);
    grpc_shutdown_blocking();
}

static void wish_add(struct fake_sds *fake, struct wish wish) {
    pthread_mutex_lock(&fake->lock);
    CHECK(fake->num_wishes < WISHES_MAX);
    fake->wishes[fake->num_wishes++] = wish;
    pthread_mutex_unlock(&fake->lock);
}

void fake_sds_push(struct fake_sds *fake, struct span response) {
    uint8_t *copy = malloc(response.len + 1);
    CHECK(copy != NULL);
    if (response.len > 0) {
        memcpy(copy, response.ptr, response.len);
    }
    wish_add(fake, (struct wish){.response = span_of(copy, response.len)});
}

void fake_sds_end(struct fake_sds *fake, int status, const char *details) {
    wish_add(fake, (struct wish){.status = status, .details = details});
}

void fake_sds_refuse(struct fake_sds *fake, int status, const char *details) {
    pthread_mutex_lock(&fake->lock);
    fake->refusal = status;
    fake->refusal_details = details;
    pthread_mutex_unlock(&fake->lock);
}

size_t fake_sds_num_requests(struct fake_sds *fake) {
    pthread_mutex_lock(&fake->lock);
    size_t num = fake->num_requests;
    pthread_mutex_unlock(&fake->lock);
    return num;
}

unsigned fake_sds_num_streams(struct fake_sds *fake) {
    pthread_mutex_lock(&fake->lock);
    unsigned num = fake->num_streams;
    pthread_mutex_unlock(&fake->lock);
    return num;
}

bool fake_sds_request(struct fake_sds *fake, size_t index, struct fake_sds_request *out) {
    for (int waited_ms = 0; fake_sds_num_requests(fake) <= index; waited_ms += LOOK_MS) {
        if (waited_ms > PATIENCE_MS) {
            return false;
        }
        usleep(LOOK_MS * 1000);
    }
    pthread_mutex_lock(&fake->lock);
    *out = fake->requests[index];
    pthread_mutex_unlock(&fake->lock);
    return true;
}
