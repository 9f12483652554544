// A connection to the application that speaks HTTP/1.1: one request at a time, and idle between.
#include <stdlib.h>

#include "agent/http/http1_body.h"
#include "agent/http/http_internal.h"

enum state { IDLE, HEAD, BODY, RAW };

struct http1_back {
    struct http_back base; // first: it is a back
    enum state state;
    struct http_exchange *ex; // NULL when idle
    struct http1_head head;
    struct http1_body body;
    bool keep_alive; // what the application is ready for
    bool used;       // it has answered before
    bool heard;      // of this answer
    bool fed;        // of this request's body
    bool over;       // RAW: it has sent its FIN
};

static struct http1_back *self_of(struct http_back *back) {
    return (struct http1_back *)(void *)back;
}

static const struct http1_back *const_self_of(const struct http_back *back) {
    return (const struct http1_back *)(const void *)back;
}

static void die(struct http1_back *self, bool clean) {
    self->base.dead = true;
    self->base.clean = clean;
    self->base.idle = false;
}

// Lets go of the exchange, which is the caller's now.
static struct http_exchange *let_go(struct http1_back *self) {
    struct http_exchange *ex = self->ex;
    self->ex = NULL;
    ex->back = NULL;
    self->state = IDLE;
    http1_head_fini(&self->head);
    http1_body_fini(&self->body);
    return ex;
}

static bool submit(struct http_back *back, struct http_exchange *ex) {
    struct http1_back *self = self_of(back);
    self->ex = ex;
    self->state = HEAD;
    self->heard = false;
    self->fed = false;
    back->idle = false;
    return http1_write_request(&back->out, ex);
}

static size_t room(const struct http_back *back, const struct http_exchange *ex UNUSED) {
    return back->out.len < HTTP_EDGE_OUT_MAX ? HTTP_EDGE_OUT_MAX - back->out.len : 0;
}

static bool data(struct http_back *back, struct http_exchange *ex, struct span bytes) {
    bool chunked = !ex->raw && ex->request_body.kind == HTTP_BODY_CHUNKED;
    self_of(back)->fed = true;
    return http1_write_data(&back->out, bytes, chunked);
}

static bool end(struct http_back *back, struct http_exchange *ex, struct http_fields *trailers) {
    if (ex->raw) {
        back->finish = true;
        return true;
    }
    return ex->request_body.kind != HTTP_BODY_CHUNKED ||
           http1_write_last_chunk(&back->out, trailers);
}

static void cancel(struct http_back *back, struct http_exchange *ex UNUSED) {
    struct http1_back *self = self_of(back);
    bool both_done = self->state == RAW && self->over && back->finish;
    (void)let_go(self);
    die(self, both_done);
}

static void drained(struct http_back *back UNUSED, struct http_exchange *ex UNUSED) {
    // What the front has no room for is not read.
}

// The application did not answer as it should: 502, or the answer is cut off.
static void fail(struct http1_back *self, int status, enum http_reason reason, const char *why) {
    die(self, false);
    if (self->ex != NULL) {
        http_exchange_answer(let_go(self), status, reason, why);
    }
}

static void complete(struct http1_back *self, struct http_fields *trailers) {
    struct http_exchange *ex = let_go(self);
    size_t idle = 0;
    LIST_FOR_EACH(&self->base.edge->backs, it) {
        idle += LIST_ENTRY(it, struct http_back, node)->idle;
    }
    self->used = true;
    if (self->keep_alive && ex->request_done && idle < HTTP_IDLE_BACKS_MAX) {
        self->base.idle = true;
    } else {
        die(self, ex->request_done);
    }
    ex->front->end(ex, trailers);
}

static void begin_body(struct http1_back *self, const struct http1_info *info) {
    struct http_exchange *ex = self->ex;
    ex->response_body = info->body;
    self->keep_alive = info->keep_alive;
    self->state = BODY;
    http1_body_init(&self->body, &info->body);
    http_exchange_respond(ex);
    if (self->ex == ex && self->body.state == HTTP1_BODY_ENDED) {
        complete(self, NULL);
    }
}

static void switch_protocols(struct http1_back *self) {
    struct http_exchange *ex = self->ex;
    if (ex->upgrade[0] == '\0') {
        fail(self, 502, HTTP_REASON_APP_ANSWER,
             "the application switched to a protocol that nobody asked for");
        return;
    }
    self->state = RAW;
    ex->raw = true;
    ex->request_done = false; // what follows is the client's again
    ex->response_body = (struct http_body){.kind = HTTP_BODY_UNTIL_CLOSE};
    http_exchange_respond(ex);
}

static void take_head(struct http1_back *self) {
    struct http_exchange *ex = self->ex;
    struct http1_info info;
    struct http1_problem problem;
    http_fields_fini(&ex->response);
    bool good = http1_head_parse_response(&self->head, ex->is_head, &ex->response, &info, &problem);
    http1_head_fini(&self->head);
    if (!good || ex->num_interim >= HTTP_INTERIM_MAX) {
        fail(self, 502, HTTP_REASON_APP_ANSWER,
             good ? "the application sends interim answers without end" : problem.why);
        return;
    }
    ex->status = info.status;
    if (info.status == 101) {
        switch_protocols(self);
    } else if (info.status < 200) {
        http_exchange_respond(ex);
    } else {
        begin_body(self, &info);
    }
}

static size_t receive_head(struct http1_back *self, struct span bytes) {
    struct http1_problem problem;
    size_t used = 0;
    switch (http1_head_feed(&self->head, bytes, &used, &problem)) {
    case HTTP1_MORE:
        break;
    case HTTP1_DONE:
        take_head(self);
        break;
    case HTTP1_BAD:
        fail(self, 502, HTTP_REASON_APP_ANSWER, problem.why);
        break;
    }
    return used;
}

// As much as the front has room for. The result is the number of bytes taken.
static size_t receive_body(struct http1_back *self, struct span bytes) {
    struct http_exchange *ex = self->ex;
    size_t space = ex->front->room(ex);
    struct span rest = span_of(bytes.ptr, bytes.len < space ? bytes.len : space);
    size_t offered = rest.len;
    struct http_fields trailers = {.num = 0};
    struct span piece;
    enum http1_piece got;
    while ((got = http1_body_next(&self->body, &rest, &piece, &trailers)) == HTTP1_PIECE_DATA) {
        if (!ex->front->data(ex, piece)) {
            fail(self, 503, HTTP_REASON_NO_MEMORY, "memory is short");
            return bytes.len;
        }
    }
    if (got == HTTP1_PIECE_BAD) {
        fail(self, 502, HTTP_REASON_APP_ANSWER, "the application's answer has a malformed chunk");
    } else if (got == HTTP1_PIECE_END) {
        complete(self, &trailers);
    }
    http_fields_fini(&trailers);
    return offered - rest.len;
}

static size_t receive_raw(struct http1_back *self, struct span bytes) {
    struct http_exchange *ex = self->ex;
    size_t space = ex->front->room(ex);
    size_t len = bytes.len < space ? bytes.len : space;
    if (!ex->front->data(ex, span_of(bytes.ptr, len))) {
        fail(self, 503, HTTP_REASON_NO_MEMORY, "memory is short");
    }
    return len;
}

static size_t receive_some(struct http1_back *self, struct span bytes) {
    self->heard = true;
    switch (self->state) {
    case HEAD:
        return receive_head(self, bytes);
    case BODY:
        return receive_body(self, bytes);
    case RAW:
        return receive_raw(self, bytes);
    case IDLE:
        break;
    }
    die(self, false); // an answer to nothing: what it answers next could be anybody's
    return bytes.len;
}

static size_t receive(struct http_back *back, struct span bytes) {
    struct http1_back *self = self_of(back);
    struct span rest = bytes;
    while (rest.len > 0 && !back->dead) {
        size_t used = receive_some(self, rest);
        rest = span_after(rest, used);
        if (used == 0) {
            break;
        }
    }
    return back->dead ? bytes.len : bytes.len - rest.len;
}

static bool wants_input(const struct http_back *back) {
    const struct http1_back *self = const_self_of(back);
    bool passes_on = self->state == BODY || self->state == RAW;
    return !back->dead && (!passes_on || self->ex->front->room(self->ex) > 0);
}

// It closed before it said a word, on a connection that it had kept open from earlier.
static bool may_retry(const struct http1_back *self) {
    return self->used && !self->heard;
}

static void gone(struct http1_back *self, enum http_reason reason, const char *why) {
    bool retry = may_retry(self) && reason == HTTP_REASON_APP_ANSWER;
    die(self, false);
    struct http_exchange *ex = let_go(self);
    if (retry && http_exchange_retry(ex)) {
        return;
    }
    http_exchange_answer(ex, http_back_status_of(reason), reason, why);
}

static void ended(struct http_back *back) {
    struct http1_back *self = self_of(back);
    if (self->ex == NULL) {
        die(self, true);
    } else if (self->state == RAW) {
        self->over = true;
        self->ex->front->end(self->ex, NULL); // its direction; the other may go on
    } else if (self->state == BODY && http1_body_may_end(&self->body)) {
        complete(self, NULL);
    } else {
        gone(self, HTTP_REASON_APP_ANSWER, "the application closed without a complete answer");
    }
}

static void lost(struct http_back *back, enum http_reason reason, const char *why) {
    struct http1_back *self = self_of(back);
    if (self->ex != NULL) {
        gone(self, reason, why);
    }
}

static void fill(struct http_back *back UNUSED) {
}

static void sent(struct http_back *back) {
    struct http1_back *self = self_of(back);
    if (self->ex != NULL) {
        self->ex->front->drained(self->ex);
    }
}

// The client says nothing before the application has asked it to go on.
static bool owes_continue(const struct http1_back *self) {
    return self->ex->expects_continue && self->ex->num_interim == 0 && !self->fed;
}

static bool is_waiting(const struct http_back *back) {
    const struct http1_back *self = const_self_of(back);
    return self->ex != NULL &&
           (self->ex->request_done || (self->state == HEAD && owes_continue(self)));
}

static bool is_held(const struct http_back *back) {
    return !back->dead && !wants_input(back);
}

static bool is_starved(const struct http_back *back) {
    const struct http1_back *self = const_self_of(back);
    return self->ex != NULL && self->state == HEAD && !self->ex->request_done &&
           !owes_continue(self);
}

static void free_back(struct http_back *back) {
    struct http1_back *self = self_of(back);
    http1_head_fini(&self->head);
    http1_body_fini(&self->body);
    free(self);
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

struct http_back *http1_back_new(struct http_edge *edge UNUSED) {
    struct http1_back *self = calloc(1, sizeof(*self));
    if (self == NULL) {
        return NULL;
    }
    self->base.ops = &OPS;
    return &self->base;
}
