// HTTP/2 towards the client: every stream is an exchange of its own.
#include <stdlib.h>
#include <string.h>

#include "agent/http/http2_session.h"
#include "agent/http/http_chars.h"
#include "agent/http/http_clean.h"
#include "agent/http/http_internal.h"

struct http2_front {
    struct http_edge *edge;
    struct http2_session *session;
};

static const struct http_front_ops OPS; // below

// ---- answers: what a back tells -----------------------------------------------------------------

static struct http2_stream *stream_of(const struct http_exchange *ex) {
    return ex->front_data;
}

static void interim(struct http_exchange *ex) {
    if (!http2_stream_interim(stream_of(ex), &ex->response)) {
        http2_stream_reset(stream_of(ex), HTTP2_INTERNAL_ERROR);
    }
}

static bool is_bodiless(const struct http_exchange *ex) {
    return ex->response_body.kind == HTTP_BODY_NONE ||
           (ex->response_body.kind == HTTP_BODY_LENGTH && ex->response_body.length == 0);
}

static void head(struct http_exchange *ex) {
    if (!http2_stream_respond(stream_of(ex), &ex->response, is_bodiless(ex))) {
        http2_stream_reset(stream_of(ex), HTTP2_INTERNAL_ERROR);
    }
}

static size_t room(const struct http_exchange *ex) {
    return http2_stream_room(stream_of(ex));
}

static bool data(struct http_exchange *ex, struct span bytes) {
    return http2_stream_write(stream_of(ex), bytes);
}

static void forget(struct http_exchange *ex) {
    http2_stream_set_arg(stream_of(ex), NULL);
    http_exchange_free(ex);
}

static void end(struct http_exchange *ex, struct http_fields *trailers) {
    if (trailers != NULL) {
        http_clean_trailers(trailers);
    }
    if (!is_bodiless(ex) && !http2_stream_end(stream_of(ex), trailers)) {
        http2_stream_reset(stream_of(ex), HTTP2_INTERNAL_ERROR);
    }
    forget(ex);
}

static void abort_answer(struct http_exchange *ex) {
    http2_stream_reset(stream_of(ex), HTTP2_INTERNAL_ERROR);
    forget(ex);
}

// Credit goes back when the application has taken at least half of what it may leave waiting.
static void drained(struct http_exchange *ex) {
    if (ex->back != NULL && ex->back->ops->room(ex->back, ex) >= HTTP_EDGE_OUT_MAX / 2) {
        http2_stream_consumed(stream_of(ex));
    }
}

static const struct http_front_ops OPS = {
    .interim = interim,
    .head = head,
    .room = room,
    .data = data,
    .end = end,
    .abort = abort_answer,
    .drained = drained,
};

// ---- requests: what the session tells -----------------------------------------------------------

static bool add_whole(struct http_fields *to, const struct http_fields *from, size_t i) {
    return http_fields_add(to, http_fields_name(from, i), http_fields_value(from, i)) ==
           HTTP_FIELDS_OK;
}

// One Cookie field, which HTTP/2 may have split (RFC 9113 section 8.2.3): into fields of their own,
// since what is removed keeps its room.
static bool join_cookies(struct http_fields *fields) {
    if (http_fields_count(fields, "cookie") < 2) {
        return true;
    }
    struct http_fields whole = {.num = 0};
    struct buf all = {0};
    bool good = true;
    for (size_t i = 0; good && i < fields->num; i++) {
        struct span value = http_fields_value(fields, i);
        if (!http_chars_equal_nocase(http_fields_name(fields, i), "cookie")) {
            good = add_whole(&whole, fields, i);
        } else {
            good = (all.len == 0 || buf_append_text(&all, "; ")) &&
                   buf_append(&all, value.ptr, value.len);
        }
    }
    good =
        good && http_fields_add(&whole, span_of_text("cookie"), buf_span(&all)) == HTTP_FIELDS_OK;
    buf_fini(&all);
    http_fields_fini(good ? fields : &whole);
    if (good) {
        *fields = whole;
    }
    return good;
}

// One name for the host, whichever field it came in. NULL: good.
static const char *settle_host(struct http_fields *fields) {
    struct span host = http_fields_get(fields, "host");
    struct span authority = http_fields_get(fields, ":authority");
    size_t num = http_fields_count(fields, "host");
    if (num > 1 ||
        (num == 1 && authority.ptr != NULL && !http_chars_same_nocase(host, authority))) {
        return "the request names two hosts";
    }
    if (num == 0) {
        return authority.len == 0 ? "the request has no host" : NULL;
    }
    char text[HTTP_HEAD_BYTES_MAX / 64];
    if (host.len == 0 || host.len > sizeof(text)) {
        return "the request's host is not a host";
    }
    memcpy(text, host.ptr, host.len);
    http_fields_remove_all(fields, "host");
    return http_fields_set(fields, ":authority", span_of(text, host.len)) == HTTP_FIELDS_OK
               ? NULL
               : "memory is short";
}

// nghttp2 has refused what HTTP/2 forbids; this is what HTTP/1.1 behind it could misread.
static const char *check(const struct http_fields *fields) {
    struct span method = http_fields_get(fields, ":method");
    struct span target = http_fields_get(fields, ":path");
    if (!http_chars_is_token(method) || method.len > HTTP1_METHOD_MAX) {
        return "the method is malformed";
    }
    if (target.len > HTTP1_TARGET_MAX || !http_chars_is_target(target)) {
        return "the request target has characters that must be encoded";
    }
    if (http_fields_find(fields, "transfer-encoding") >= 0 ||
        http_fields_find(fields, "connection") >= 0 || http_fields_find(fields, "upgrade") >= 0) {
        return "the request has a header that HTTP/2 does not know";
    }
    for (size_t i = 0; i < fields->num; i++) {
        struct span name = http_fields_name(fields, i);
        bool pseudo = name.len > 0 && name.ptr[0] == ':';
        if ((!pseudo && !http_chars_is_token(name)) ||
            !http_chars_is_field_value(http_fields_value(fields, i))) {
            return "a header is malformed";
        }
    }
    return NULL;
}

static const char *frame(struct http_exchange *ex, bool ended) {
    const struct http_fields *fields = &ex->request;
    struct span length = http_fields_get(fields, "content-length");
    size_t num = http_fields_count(fields, "content-length");
    ex->request_body.kind = ended ? HTTP_BODY_NONE : HTTP_BODY_CHUNKED;
    if (num == 0) {
        return NULL;
    }
    ex->request_body.kind = HTTP_BODY_LENGTH;
    if (num > 1 || !http_chars_decimal(length, &ex->request_body.length) ||
        (ended && ex->request_body.length > 0)) {
        return "the Content-Length is not one number";
    }
    return NULL;
}

static void begin(struct http2_stream *stream, struct http_exchange *ex, bool ended) {
    const char *why = check(&ex->request);
    why = why == NULL ? settle_host(&ex->request) : why;
    why = why == NULL ? frame(ex, ended) : why;
    ex->request_done = ended;
    if (http2_stream_fields_were_too_large(stream)) {
        http_exchange_answer(ex, 431, HTTP_REASON_TOO_LARGE, "the headers are too large");
    } else if (why != NULL) {
        http_exchange_answer(ex, 400, HTTP_REASON_MALFORMED, why);
    } else if (!join_cookies(&ex->request)) {
        http_exchange_answer(ex, 503, HTTP_REASON_NO_MEMORY, "memory is short");
    } else {
        http_exchange_begin(ex);
    }
}

static void on_head(void *arg, struct http2_stream *stream, struct http_fields *fields,
                    bool ended) {
    struct http2_front *front = arg;
    struct http_exchange *ex = http_exchange_new(front->edge, &OPS, stream);
    if (ex == NULL) {
        http2_stream_reset(stream, HTTP2_REFUSED_STREAM);
        return;
    }
    http2_stream_set_arg(stream, ex);
    ex->request = *fields;
    *fields = (struct http_fields){.num = 0};
    begin(stream, ex, ended);
}

static void on_data(void *arg UNUSED, struct http2_stream *stream, struct span bytes) {
    struct http_exchange *ex = http2_stream_arg(stream);
    if (ex == NULL || ex->back == NULL) {
        http2_stream_consumed(stream); // answered already
    } else if (!ex->back->ops->data(ex->back, ex, bytes)) {
        abort_answer(ex);
    } else {
        drained(ex);
    }
}

// The application must not take a part for the whole: it loses the request, and the client hears
// that the stream was at fault.
static void refuse_trailers(struct http_exchange *ex) {
    struct http_edge *edge = ex->edge;
    edge->env->refused(edge->arg, HTTP_REASON_TOO_LARGE, 431,
                       "the request's trailers are too large");
    http2_stream_reset(stream_of(ex), HTTP2_ENHANCE_YOUR_CALM);
    forget(ex);
}

static void on_end(void *arg UNUSED, struct http2_stream *stream, struct http_fields *trailers) {
    struct http_exchange *ex = http2_stream_arg(stream);
    if (ex == NULL || ex->back == NULL) {
        return;
    }
    if (http2_stream_fields_were_too_large(stream)) {
        refuse_trailers(ex);
        return;
    }
    http_clean_trailers(trailers);
    ex->request_done = true;
    if (!ex->back->ops->end(ex->back, ex, trailers)) {
        abort_answer(ex);
    }
}

static void on_drained(void *arg UNUSED, struct http2_stream *stream) {
    struct http_exchange *ex = http2_stream_arg(stream);
    if (ex != NULL && ex->back != NULL) {
        ex->back->ops->drained(ex->back, ex);
    }
}

static void on_closed(void *arg UNUSED, struct http2_stream *stream, uint32_t error UNUSED) {
    http_exchange_free(http2_stream_arg(stream)); // cancels it at the application
}

static const struct http2_events EVENTS = {
    .head = on_head,
    .data = on_data,
    .end = on_end,
    .drained = on_drained,
    .closed = on_closed,
};

// ---- the edge's side ----------------------------------------------------------------------------

struct http2_front *http2_front_new(struct http_edge *edge) {
    struct http2_front *front = calloc(1, sizeof(*front));
    if (front == NULL) {
        return NULL;
    }
    front->edge = edge;
    front->session = http2_session_new(true, &EVENTS, front);
    if (front->session == NULL) {
        free(front);
        return NULL;
    }
    return front;
}

void http2_front_free(struct http2_front *front) {
    if (front == NULL) {
        return;
    }
    struct http2_stream *stream;
    while ((stream = http2_session_with_arg(front->session)) != NULL) {
        forget(http2_stream_arg(stream));
    }
    http2_session_free(front->session);
    free(front);
}

size_t http2_front_receive(struct http2_front *front, struct span bytes) {
    if (!front->edge->finished && !http2_session_receive(front->session, bytes)) {
        http2_front_fill(front); // a GOAWAY says why
        front->edge->finished = true;
    }
    return bytes.len;
}

// Frames that wait to be read would let a client make us keep more than it takes.
bool http2_front_wants_input(const struct http2_front *front) {
    return front->edge->out.len < HTTP_EDGE_OUT_MAX;
}

// What a client that has said FIN has begun to ask cannot be completed any more.
static void cut_requests(struct http2_front *front) {
    struct http2_stream *stream = NULL;
    while ((stream = http2_session_next(front->session, stream)) != NULL) {
        struct http_exchange *ex = http2_stream_arg(stream);
        if (ex != NULL && !ex->request_done) {
            http2_stream_reset(stream, HTTP2_CANCEL);
            forget(ex);
        }
    }
}

void http2_front_ended(struct http2_front *front) {
    cut_requests(front);
    http2_session_drain(front->session); // answers under way are still sent
    front->edge->finished = front->edge->finished || http2_session_num_streams(front->session) == 0;
}

void http2_front_fill(struct http2_front *front) {
    struct http_edge *edge = front->edge;
    if (edge->finished || edge->broken) {
        return;
    }
    bool good = http2_session_fill(front->session, &edge->out, HTTP_EDGE_OUT_MAX);
    edge->finished = !good || http2_session_is_over(front->session) ||
                     (edge->client_ended && http2_session_num_streams(front->session) == 0);
}

// Streams whose answer is complete and only waits for the client are no requests under way.
bool http2_front_is_idle(const struct http2_front *front) {
    return front->edge->finished || http2_session_with_arg(front->session) == NULL;
}

bool http2_front_is_reading_head(const struct http2_front *front) {
    return !front->edge->finished && http2_session_is_reading_head(front->session);
}

void http2_front_forewarn(struct http2_front *front) {
    http2_session_forewarn(front->session);
}

void http2_front_drain(struct http2_front *front) {
    http2_session_drain(front->session);
}
