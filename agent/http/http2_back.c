// A connection to the application that speaks HTTP/2 without TLS from the first byte (h2c, RFC 9113
// section 3.3): gRPC servers do. All exchanges of one client share it.
#include <stdlib.h>

#include "agent/http/http2_session.h"
#include "agent/http/http_chars.h"
#include "agent/http/http_internal.h"

struct http2_back {
    struct http_back base; // first: it is a back
    struct http2_session *session;
};

static struct http2_back *self_of(struct http_back *back) {
    return (struct http2_back *)(void *)back;
}

static const struct http2_back *const_self_of(const struct http_back *back) {
    return (const struct http2_back *)(const void *)back;
}

static struct http2_stream *stream_of(const struct http_exchange *ex) {
    return ex->back_data;
}

bool http2_back_has_room(const struct http_back *back) {
    return http2_session_has_room(const_self_of(back)->session);
}

// ---- requests: what a front asks ----------------------------------------------------------------

// Content-Length was taken off with the framing and is said again; :scheme is what it is here.
static bool complete_head(struct http_exchange *ex) {
    struct buf length = {0};
    bool good = http_fields_set(&ex->request, ":scheme", span_of_text("http")) == HTTP_FIELDS_OK;
    if (ex->request_body.kind == HTTP_BODY_LENGTH) {
        good = good && buf_printf(&length, "%llu", (unsigned long long)ex->request_body.length) &&
               http_fields_set(&ex->request, "content-length", buf_span(&length)) == HTTP_FIELDS_OK;
        buf_fini(&length);
    }
    return good;
}

static bool submit(struct http_back *back, struct http_exchange *ex) {
    if (!complete_head(ex)) {
        return false;
    }
    ex->back_data =
        http2_session_request(self_of(back)->session, &ex->request, ex->request_done, ex);
    return ex->back_data != NULL;
}

static size_t room(const struct http_back *back UNUSED, const struct http_exchange *ex) {
    return ex->back_data == NULL ? 0 : http2_stream_room(stream_of(ex));
}

static bool data(struct http_back *back UNUSED, struct http_exchange *ex, struct span bytes) {
    return http2_stream_write(stream_of(ex), bytes);
}

static bool end(struct http_back *back UNUSED, struct http_exchange *ex,
                struct http_fields *trailers) {
    return http2_stream_end(stream_of(ex), trailers);
}

static void let_go(struct http_exchange *ex) {
    if (ex->back_data != NULL) {
        http2_stream_set_arg(stream_of(ex), NULL);
    }
    ex->back_data = NULL;
    ex->back = NULL;
}

static void cancel(struct http_back *back UNUSED, struct http_exchange *ex) {
    if (ex->back_data != NULL) {
        http2_stream_reset(stream_of(ex), HTTP2_CANCEL);
    }
    let_go(ex);
}

static void drained(struct http_back *back UNUSED, struct http_exchange *ex) {
    if (ex->front->room(ex) >= HTTP_EDGE_OUT_MAX / 2) {
        http2_stream_consumed(stream_of(ex));
    }
}

// ---- answers: what the session tells ------------------------------------------------------------

// What has no body may still end in a frame of its own; nghttp2 takes no bytes in it. Chunks there
// would be read as the beginning of the next answer.
static bool is_bodiless(const struct http_exchange *ex, bool ended) {
    return ended || ex->is_head || ex->status == 204 || ex->status == 304;
}

static void frame(struct http_exchange *ex, bool ended) {
    struct span length = http_fields_get(&ex->response, "content-length");
    ex->response_body.kind = HTTP_BODY_CHUNKED;
    if (is_bodiless(ex, ended)) {
        ex->response_body.kind = HTTP_BODY_NONE;
    } else if (http_chars_decimal(length, &ex->response_body.length)) {
        ex->response_body.kind = HTTP_BODY_LENGTH; // nghttp2 holds the application to it
    }
}

// The answer is complete. What is left of the request is not wanted any more, and an application
// that does not say so would keep the stream half open for good.
static void complete(struct http_exchange *ex, struct http_fields *trailers) {
    if (!ex->request_done) {
        http2_stream_reset(stream_of(ex), HTTP2_CANCEL);
    }
    let_go(ex);
    ex->front->end(ex, trailers);
}

static void fail(struct http_exchange *ex, int status, enum http_reason reason, const char *why) {
    let_go(ex);
    http_exchange_answer(ex, status, reason, why);
}

static void on_head(void *arg UNUSED, struct http2_stream *stream, struct http_fields *fields,
                    bool ended) {
    struct http_exchange *ex = http2_stream_arg(stream);
    uint64_t status = 0;
    if (ex == NULL) {
        return;
    }
    http_fields_fini(&ex->response);
    ex->response = *fields;
    *fields = (struct http_fields){.num = 0};
    bool good = http_chars_decimal(http_fields_get(&ex->response, ":status"), &status) &&
                status >= 100 && status <= 999 && status != 101;
    if (!good || http2_stream_fields_were_too_large(stream) ||
        ex->num_interim >= HTTP_INTERIM_MAX) {
        http2_stream_reset(stream, HTTP2_PROTOCOL_ERROR);
        fail(ex, 502, HTTP_REASON_APP_ANSWER, "the head of the application's answer is not right");
        return;
    }
    ex->status = (int)status;
    if (status >= 200) {
        frame(ex, ended);
    }
    http_exchange_respond(ex);
    if (status >= 200 && ended) {
        complete(ex, NULL);
    }
}

static void on_data(void *arg UNUSED, struct http2_stream *stream, struct span bytes) {
    struct http_exchange *ex = http2_stream_arg(stream);
    if (ex == NULL) {
        http2_stream_consumed(stream);
    } else if (!ex->front->data(ex, bytes)) {
        cancel(ex->back, ex);
        ex->front->abort(ex);
    } else {
        drained(ex->back, ex);
    }
}

static void on_end(void *arg UNUSED, struct http2_stream *stream, struct http_fields *trailers) {
    struct http_exchange *ex = http2_stream_arg(stream);
    if (ex != NULL && http2_stream_fields_were_too_large(stream)) {
        http2_stream_reset(stream, HTTP2_ENHANCE_YOUR_CALM);
        fail(ex, 502, HTTP_REASON_APP_ANSWER,
             "the trailers of the application's answer are too large");
    } else if (ex != NULL) {
        complete(ex, trailers);
    }
}

static void on_drained(void *arg UNUSED, struct http2_stream *stream) {
    struct http_exchange *ex = http2_stream_arg(stream);
    if (ex != NULL) {
        ex->front->drained(ex);
    }
}

static void on_closed(void *arg UNUSED, struct http2_stream *stream, uint32_t error UNUSED) {
    struct http_exchange *ex = http2_stream_arg(stream);
    if (ex != NULL) {
        fail(ex, 502, HTTP_REASON_APP_ANSWER, "the application reset the request's stream");
    }
}

static const struct http2_events EVENTS = {
    .head = on_head,
    .data = on_data,
    .end = on_end,
    .drained = on_drained,
    .closed = on_closed,
};

// ---- the edge's side ----------------------------------------------------------------------------

static void fail_all(struct http2_back *self, enum http_reason reason, const char *why) {
    int status = http_back_status_of(reason);
    struct http2_stream *stream;
    while ((stream = http2_session_with_arg(self->session)) != NULL) {
        fail(http2_stream_arg(stream), status, reason, why);
    }
}

static void die(struct http2_back *self, bool clean) {
    self->base.dead = true;
    self->base.clean = clean;
    fail_all(self, HTTP_REASON_APP_ANSWER, "the application closed without a complete answer");
}

static size_t receive(struct http_back *back, struct span bytes) {
    struct http2_back *self = self_of(back);
    if (!http2_session_receive(self->session, bytes)) {
        die(self, false);
    }
    return bytes.len;
}

static bool wants_input(const struct http_back *back) {
    return !back->dead; // the windows keep it within bounds
}

static void ended(struct http_back *back) {
    die(self_of(back), http2_session_num_streams(self_of(back)->session) == 0);
}

static void lost(struct http_back *back, enum http_reason reason, const char *why) {
    fail_all(self_of(back), reason, why);
}

static void fill(struct http_back *back) {
    struct http2_back *self = self_of(back);
    if (!back->dead && !http2_session_fill(self->session, &back->out, HTTP_EDGE_OUT_MAX)) {
        die(self, false);
    }
    if (!back->dead && http2_session_is_over(self->session)) {
        die(self, true); // after the application's GOAWAY
    }
}

static void sent(struct http_back *back UNUSED) {
}

static bool is_waiting(const struct http_back *back) {
    return http2_session_num_streams(const_self_of(back)->session) > 0;
}

// One stream whose client takes what comes is enough to wait for the application.
static bool is_held(const struct http_back *back) {
    struct http2_stream *stream = NULL;
    bool held = false;
    while ((stream = http2_session_next(const_self_of(back)->session, stream)) != NULL) {
        const struct http_exchange *ex = http2_stream_arg(stream);
        if (ex != NULL && ex->front->room(ex) >= HTTP_EDGE_OUT_MAX / 2) {
            return false;
        }
        held = held || ex != NULL;
    }
    return held;
}

// Streams of gRPC are silent for as long as their callers like.
static bool is_starved(const struct http_back *back UNUSED) {
    return false;
}

static void free_back(struct http_back *back) {
    http2_session_free(self_of(back)->session);
    free(self_of(back));
}

static const struct http_back_ops OPS = {
    .submit = submit,
    .room = room,
    .data = data,
    .end = end,
    .cancel = cancel,
    .drained = drained,
    .receive = receive,
    .wants_input = wants_input,
    .ended = ended,
    .lost = lost,
    .fill = fill,
    .sent = sent,
    .is_waiting = is_waiting,
    .is_held = is_held,
    .is_starved = is_starved,
    .free = free_back,
};

struct http_back *http2_back_new(struct http_edge *edge UNUSED) {
    struct http2_back *self = calloc(1, sizeof(*self));
    if (self == NULL) {
        return NULL;
    }
    self->base.ops = &OPS;
    self->session = http2_session_new(false, &EVENTS, self);
    if (self->session == NULL) {
        free(self);
        return NULL;
    }
    return &self->base;
}
