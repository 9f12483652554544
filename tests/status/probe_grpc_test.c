// The health check against a server made of nghttp2, in memory, bytes trickling.
#include "agent/status/probe_grpc.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>
#include <nghttp2/nghttp2.h>

#include "base/span.h"

struct server {
    nghttp2_session *session;
    char path[64];
    char authority[64];
    uint8_t request[256];
    size_t request_len;
    const uint8_t *reply; // the message with its prefix
    size_t reply_len;
    const char *grpc_status;
};

static int on_header(nghttp2_session *session, const nghttp2_frame *frame, const uint8_t *name,
                     size_t name_len, const uint8_t *value, size_t value_len, uint8_t flags,
                     void *user_data) {
    (void)session;
    (void)frame;
    (void)flags;
    struct server *server = user_data;
    char *into = span_equal_text(span_of(name, name_len), ":path")        ? server->path
                 : span_equal_text(span_of(name, name_len), ":authority") ? server->authority
                                                                          : NULL;
    if (into != NULL) {
        assert_true(value_len < sizeof server->path);
        memcpy(into, value, value_len);
        into[value_len] = '\0';
    }
    return 0;
}

static int on_chunk(nghttp2_session *session, uint8_t flags, int32_t stream_id,
                    const uint8_t *bytes, size_t len, void *user_data) {
    (void)session;
    (void)flags;
    (void)stream_id;
    struct server *server = user_data;
    assert_true(server->request_len + len <= sizeof server->request);
    memcpy(server->request + server->request_len, bytes, len);
    server->request_len += len;
    return 0;
}

static nghttp2_nv header(const char *name, const char *value) {
    return (nghttp2_nv){.name = (uint8_t *)(uintptr_t)name,
                        .value = (uint8_t *)(uintptr_t)value,
                        .namelen = strlen(name),
                        .valuelen = strlen(value)};
}

static ssize_t offer_data(nghttp2_session *session, int32_t stream_id, uint8_t *into, size_t cap,
                          uint32_t *flags, nghttp2_data_source *source, void *user_data) {
    (void)source;
    struct server *server = user_data;
    assert_true(server->reply_len <= cap);
    memcpy(into, server->reply, server->reply_len);
    const nghttp2_nv trailer = header("grpc-status", server->grpc_status);
    *flags |= NGHTTP2_DATA_FLAG_EOF | NGHTTP2_DATA_FLAG_NO_END_STREAM;
    assert_int_equal(nghttp2_submit_trailer(session, stream_id, &trailer, 1), 0);
    return (ssize_t)server->reply_len;
}

static int on_frame(nghttp2_session *session, const nghttp2_frame *frame, void *user_data) {
    (void)user_data;
    bool is_end = frame->hd.type == NGHTTP2_DATA && (frame->hd.flags & NGHTTP2_FLAG_END_STREAM);
    if (is_end) {
        const nghttp2_nv headers[] = {header(":status", "200"),
                                      header("content-type", "application/grpc")};
        nghttp2_data_provider body = {.read_callback = offer_data};
        assert_int_equal(nghttp2_submit_response(session, frame->hd.stream_id, headers, 2, &body),
                         0);
    }
    return 0;
}

static void server_init(struct server *server) {
    nghttp2_session_callbacks *callbacks = NULL;
    assert_int_equal(nghttp2_session_callbacks_new(&callbacks), 0);
    nghttp2_session_callbacks_set_on_header_callback(callbacks, on_header);
    nghttp2_session_callbacks_set_on_data_chunk_recv_callback(callbacks, on_chunk);
    nghttp2_session_callbacks_set_on_frame_recv_callback(callbacks, on_frame);
    assert_int_equal(nghttp2_session_server_new(&server->session, callbacks, server), 0);
    nghttp2_session_callbacks_del(callbacks);
    assert_int_equal(nghttp2_submit_settings(server->session, NGHTTP2_FLAG_NONE, NULL, 0), 0);
}

// The client's bytes to the server.
static void carry_there(struct probe_grpc *call, struct server *server) {
    struct buf bytes = {0};
    assert_true(probe_grpc_send(call, &bytes));
    struct span all = buf_span(&bytes);
    for (size_t i = 0; i < all.len; i++) {
        assert_int_equal(nghttp2_session_mem_recv(server->session, all.ptr + i, 1), 1);
    }
    buf_fini(&bytes);
}

// The server's bytes to the client, one at a time.
static enum probe_grpc_state carry_back(struct probe_grpc *call, struct server *server) {
    enum probe_grpc_state state = PROBE_GRPC_WAITING;
    const uint8_t *bytes = NULL;
    ssize_t len = 0;
    while ((len = nghttp2_session_mem_send(server->session, &bytes)) > 0) {
        for (ssize_t i = 0; i < len; i++) {
            state = probe_grpc_feed(call, span_of(bytes + i, 1));
        }
    }
    return state;
}

static enum probe_grpc_state ask(struct server *server, const char *service) {
    struct probe_grpc *call = probe_grpc_new(service, "10.0.0.1:50051");
    enum probe_grpc_state state = PROBE_GRPC_WAITING;
    assert_non_null(call);
    server_init(server);
    for (int turn = 0; turn < 4 && state == PROBE_GRPC_WAITING; turn++) {
        carry_there(call, server);
        state = carry_back(call, server);
    }
    nghttp2_session_del(server->session);
    probe_grpc_free(call);
    return state;
}

static const uint8_t SERVING[] = {0, 0, 0, 0, 2, 8, 1};
static const uint8_t NOT_SERVING[] = {0, 0, 0, 0, 2, 8, 2};

static void test_serving(void **state) {
    (void)state;
    static const uint8_t nothing[] = {0, 0, 0, 0, 0};
    struct server server = {.reply = SERVING, .reply_len = sizeof SERVING, .grpc_status = "0"};
    assert_int_equal(ask(&server, NULL), PROBE_GRPC_SERVING);
    assert_string_equal(server.path, "/grpc.health.v1.Health/Check");
    assert_string_equal(server.authority, "10.0.0.1:50051");
    assert_true(
        span_equal(span_of(server.request, server.request_len), span_of(nothing, sizeof nothing)));
}

static void test_service_is_named(void **state) {
    (void)state;
    static const uint8_t wanted[] = {0, 0, 0, 0, 5, 0x0a, 3, 'd', 'b', '1'};
    struct server server = {.reply = SERVING, .reply_len = sizeof SERVING, .grpc_status = "0"};
    assert_int_equal(ask(&server, "db1"), PROBE_GRPC_SERVING);
    assert_true(
        span_equal(span_of(server.request, server.request_len), span_of(wanted, sizeof wanted)));
}

static void test_anything_else_is_not_serving(void **state) {
    (void)state;
    struct server servers[] = {
        {.reply = NOT_SERVING, .reply_len = sizeof NOT_SERVING, .grpc_status = "0"},
        {.reply = SERVING, .reply_len = sizeof SERVING, .grpc_status = "5"},
        {.reply = SERVING, .reply_len = sizeof SERVING - 1, .grpc_status = "0"},
        {.reply = SERVING, .reply_len = 0, .grpc_status = "12"},
    };
    for (size_t i = 0; i < sizeof servers / sizeof servers[0]; i++) {
        assert_int_equal(ask(&servers[i], NULL), PROBE_GRPC_NOT_SERVING);
    }
}

static void test_what_is_not_http2_is_broken(void **state) {
    (void)state;
    struct probe_grpc *call = probe_grpc_new(NULL, "x");
    assert_non_null(call);
    struct buf bytes = {0};
    assert_true(probe_grpc_send(call, &bytes));
    enum probe_grpc_state now =
        probe_grpc_feed(call, span_of_text("HTTP/1.1 400 Bad Request\r\n\r\n"));
    assert_true(now == PROBE_GRPC_BROKEN ||
                (now == PROBE_GRPC_WAITING && !probe_grpc_send(call, &bytes)));
    buf_fini(&bytes);
    probe_grpc_free(call);
    probe_grpc_free(NULL);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_serving),
        cmocka_unit_test(test_service_is_named),
        cmocka_unit_test(test_anything_else_is_not_serving),
        cmocka_unit_test(test_what_is_not_http2_is_broken),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
