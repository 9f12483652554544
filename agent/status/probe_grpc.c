#include "agent/status/probe_grpc.h"

#include <stdlib.h>
#include <string.h>

#include <nghttp2/nghttp2.h>

enum {
    SERVICE_MAX = 120,    // its length is one byte
    PREFIX_LEN = 5,       // of a gRPC message: compressed or not, and its length
    REPLY_MAX = 64,       // a HealthCheckResponse is two bytes
    FIELD_SERVICE = 0x0a, // field 1, bytes
    FIELD_STATUS = 0x08,  // field 1, varint
    STATUS_SERVING = 1,
};

struct probe_grpc {
    nghttp2_session *session;
    uint8_t request[PREFIX_LEN + 2 + SERVICE_MAX];
    size_t request_len;
    size_t sent_len;
    uint8_t reply[REPLY_MAX];
    size_t reply_len;
    bool is_ok;   // grpc-status: 0
    bool is_over; // the stream was closed
};

// --- callbacks -----------------------------------------------------------------------------------

static int on_header(nghttp2_session *session, const nghttp2_frame *frame, const uint8_t *name,
                     size_t name_len, const uint8_t *value, size_t value_len, uint8_t flags,
                     void *user_data) {
    (void)session;
    (void)frame;
    (void)flags;
    struct probe_grpc *call = user_data;
    if (span_equal_text(span_of(name, name_len), "grpc-status")) {
        call->is_ok = span_equal_text(span_of(value, value_len), "0");
    }
    return 0;
}

static int on_chunk(nghttp2_session *session, uint8_t flags, int32_t stream_id,
                    const uint8_t *bytes, size_t len, void *user_data) {
    (void)session;
    (void)flags;
    (void)stream_id;
    struct probe_grpc *call = user_data;
    size_t room = sizeof call->reply - call->reply_len;
    size_t taken = len < room ? len : room;
    memcpy(call->reply + call->reply_len, bytes, taken);
    call->reply_len += taken;
    return 0;
}

static int on_close(nghttp2_session *session, int32_t stream_id, uint32_t error_code,
                    void *user_data) {
    (void)session;
    (void)stream_id;
    (void)error_code;
    struct probe_grpc *call = user_data;
    call->is_over = true;
    return 0;
}

static ssize_t offer_data(nghttp2_session *session, int32_t stream_id, uint8_t *into, size_t cap,
                          uint32_t *flags, nghttp2_data_source *source, void *user_data) {
    (void)session;
    (void)stream_id;
    (void)source;
    struct probe_grpc *call = user_data;
    size_t rest = call->request_len - call->sent_len;
    size_t len = rest < cap ? rest : cap;
    memcpy(into, call->request + call->sent_len, len);
    call->sent_len += len;
    if (call->sent_len == call->request_len) {
        *flags |= NGHTTP2_DATA_FLAG_EOF;
    }
    return (ssize_t)len;
}

// --- the call ------------------------------------------------------------------------------------

static void render_request(struct probe_grpc *call, const char *service) {
    size_t len = service == NULL ? 0 : strnlen(service, SERVICE_MAX);
    size_t message_len = len == 0 ? 0 : len + 2;
    call->request[PREFIX_LEN - 1] = (uint8_t)message_len;
    call->request_len = PREFIX_LEN + message_len;
    if (len > 0) {
        call->request[PREFIX_LEN] = FIELD_SERVICE;
        call->request[PREFIX_LEN + 1] = (uint8_t)len;
        memcpy(call->request + PREFIX_LEN + 2, service, len);
    }
}

static bool make_session(struct probe_grpc *call) {
    nghttp2_session_callbacks *callbacks = NULL;
    if (nghttp2_session_callbacks_new(&callbacks) != 0) {
        return false;
    }
    nghttp2_session_callbacks_set_on_header_callback(callbacks, on_header);
    nghttp2_session_callbacks_set_on_data_chunk_recv_callback(callbacks, on_chunk);
    nghttp2_session_callbacks_set_on_stream_close_callback(callbacks, on_close);
    bool ok = nghttp2_session_client_new(&call->session, callbacks, call) == 0;
    nghttp2_session_callbacks_del(callbacks);
    return ok;
}

static nghttp2_nv header(const char *name, const char *value) {
    return (nghttp2_nv){.name = (uint8_t *)(uintptr_t)name,
                        .value = (uint8_t *)(uintptr_t)value,
                        .namelen = strlen(name),
                        .valuelen = strlen(value),
                        .flags = NGHTTP2_NV_FLAG_NONE};
}

static bool submit(struct probe_grpc *call, const char *authority) {
    const nghttp2_nv headers[] = {
        header(":method", "POST"),
        header(":scheme", "http"),
        header(":path", "/grpc.health.v1.Health/Check"),
        header(":authority", authority),
        header("te", "trailers"),
        header("content-type", "application/grpc"),
        header("user-agent", "pavise-probe"),
    };
    nghttp2_data_provider body = {.read_callback = offer_data};
    return nghttp2_submit_settings(call->session, NGHTTP2_FLAG_NONE, NULL, 0) == 0 &&
           nghttp2_submit_request(call->session, NULL, headers, sizeof headers / sizeof headers[0],
                                  &body, NULL) > 0;
}

struct probe_grpc *probe_grpc_new(const char *service, const char *authority) {
    struct probe_grpc *call = calloc(1, sizeof *call);
    if (call == NULL) {
        return NULL;
    }
    render_request(call, service);
    if (!make_session(call) || !submit(call, authority)) {
        probe_grpc_free(call);
        return NULL;
    }
    return call;
}

void probe_grpc_free(struct probe_grpc *call) {
    if (call == NULL) {
        return;
    }
    nghttp2_session_del(call->session);
    free(call);
}

bool probe_grpc_send(struct probe_grpc *call, struct buf *out) {
    for (;;) {
        const uint8_t *bytes = NULL;
        ssize_t len = nghttp2_session_mem_send(call->session, &bytes);
        if (len <= 0) {
            // After a GOAWAY of ours there is nothing left to read.
            return len == 0 && (call->is_over || nghttp2_session_want_read(call->session) != 0);
        }
        if (!buf_append(out, bytes, (size_t)len)) {
            return false;
        }
    }
}

// The reply is one message: HealthCheckResponse{status}; SERVING is 1.
static enum probe_grpc_state judge(const struct probe_grpc *call) {
    static const uint8_t serving[] = {0, 0, 0, 0, 2, FIELD_STATUS, STATUS_SERVING};
    bool is_serving = call->is_ok && call->reply_len == sizeof serving &&
                      memcmp(call->reply, serving, sizeof serving) == 0;
    return is_serving ? PROBE_GRPC_SERVING : PROBE_GRPC_NOT_SERVING;
}

enum probe_grpc_state probe_grpc_feed(struct probe_grpc *call, struct span bytes) {
    ssize_t used = nghttp2_session_mem_recv(call->session, bytes.ptr, bytes.len);
    if (used != (ssize_t)bytes.len) {
        return PROBE_GRPC_BROKEN;
    }
    return call->is_over ? judge(call) : PROBE_GRPC_WAITING;
}
