// HTTP/1.1 towards the client (RFC 9112): one request after the other, each read only when the one
// before it has been answered, so that pipelined requests keep their order.
#include <stdlib.h>
#include <string.h>

#include "agent/http/http1_body.h"
#include "agent/http/http_clean.h"
#include "agent/http/http_internal.h"

enum state {
    HEAD,   // between requests, or inside a head
    BODY,   // passing a request's body on
    ANSWER, // the request is complete, the answer is not
    RAW,    // after 101
    CLOSING // the last answer is given; what comes is thrown away
};

struct http1_front {
    struct http_edge *edge;
    enum state state;
    struct http1_head head;
    struct http1_body body;
    struct http_exchange *ex; // NULL in HEAD and CLOSING
    bool last;                // no further request after this one
    bool version_10;
    bool chunked; // the answer's body
};

static const struct http_front_ops OPS; // below

struct http1_front *http1_front_new(struct http_edge *edge) {
    struct http1_front *front = calloc(1, sizeof(*front));
    if (front != NULL) {
        front->edge = edge;
    }
    return front;
}

void http1_front_free(struct http1_front *front) {
    if (front == NULL) {
        return;
    }
    http1_head_fini(&front->head);
    http1_body_fini(&front->body);
    http_exchange_free(front->ex);
    free(front);
}

static void drop_exchange(struct http1_front *front) {
    http_exchange_free(take(&front->ex));
    http1_body_fini(&front->body);
}

static void break_off(struct http1_front *front) {
    drop_exchange(front);
    front->edge->broken = true;
}

// ---- requests -----------------------------------------------------------------------------------

static struct http_exchange *new_exchange(struct http1_front *front) {
    front->ex = http_exchange_new(front->edge, &OPS, front);
    front->chunked = false; // both were the last request's
    front->version_10 = false;
    if (front->ex == NULL) {
        front->edge->broken = true;
    }
    return front->ex;
}

// A head or body that is not acceptable: the bytes behind it mean nothing.
static void refuse(struct http1_front *front, const struct http1_problem *problem) {
    enum http_reason reason = problem->status == 503 ? HTTP_REASON_NO_MEMORY
                              : problem->status == 414 || problem->status == 431
                                  ? HTTP_REASON_TOO_LARGE
                                  : HTTP_REASON_MALFORMED;
    front->last = true;
    http_exchange_answer(front->ex, problem->status, reason, problem->why);
}

static void keep_upgrade(struct http_exchange *ex, const struct http1_info *info) {
    struct span protocol = http_fields_get(&ex->request, "upgrade");
    if (info->upgrade && protocol.len < HTTP_UPGRADE_MAX) {
        memcpy(ex->upgrade, protocol.ptr, protocol.len);
        ex->upgrade[protocol.len] = '\0';
    }
}

static void begin(struct http1_front *front) {
    struct http_exchange *ex = new_exchange(front);
    struct http1_info info;
    struct http1_problem problem;
    if (ex == NULL) {
        return;
    }
    bool good = http1_head_parse_request(&front->head, &ex->request, &info, &problem);
    http1_head_fini(&front->head);
    front->version_10 = info.version_10;
    if (!good) {
        refuse(front, &problem);
        return;
    }
    front->last = !info.keep_alive || front->edge->draining;
    ex->request_body = info.body;
    ex->expects_continue = info.expects_continue;
    keep_upgrade(ex, &info);
    http1_body_init(&front->body, &info.body);
    ex->request_done = front->body.state == HTTP1_BODY_ENDED;
    front->state = ex->request_done ? ANSWER : BODY;
    http_exchange_begin(ex);
}

static size_t receive_head(struct http1_front *front, struct span bytes) {
    struct http1_problem problem;
    size_t used = 0;
    switch (http1_head_feed(&front->head, bytes, &used, &problem)) {
    case HTTP1_MORE:
        break;
    case HTTP1_DONE:
        begin(front);
        break;
    case HTTP1_BAD:
        http1_head_fini(&front->head);
        if (new_exchange(front) != NULL) {
            refuse(front, &problem);
        }
        return bytes.len;
    }
    return used;
}

static size_t back_room(const struct http1_front *front) {
    const struct http_exchange *ex = front->ex;
    return ex->back == NULL ? 0 : ex->back->ops->room(ex->back, ex);
}

static void end_request(struct http1_front *front, struct http_fields *trailers) {
    struct http_exchange *ex = front->ex;
    http_clean_trailers(trailers);
    ex->request_done = true;
    front->state = ANSWER;
    if (!ex->back->ops->end(ex->back, ex, trailers)) {
        break_off(front);
    }
}

static size_t receive_body(struct http1_front *front, struct span bytes) {
    struct http_exchange *ex = front->ex;
    size_t space = back_room(front);
    struct span rest = span_of(bytes.ptr, bytes.len < space ? bytes.len : space);
    size_t offered = rest.len;
    struct http_fields trailers = {.num = 0};
    struct span piece;
    enum http1_piece got;
    while ((got = http1_body_next(&front->body, &rest, &piece, &trailers)) == HTTP1_PIECE_DATA) {
        if (!ex->back->ops->data(ex->back, ex, piece)) {
            break_off(front);
            return bytes.len;
        }
    }
    if (got == HTTP1_PIECE_BAD) {
        refuse(front, &(struct http1_problem){400, "the request's body has a malformed chunk"});
    } else if (got == HTTP1_PIECE_END) {
        end_request(front, &trailers);
    }
    http_fields_fini(&trailers);
    return offered - rest.len;
}

static size_t receive_raw(struct http1_front *front, struct span bytes) {
    struct http_exchange *ex = front->ex;
    size_t space = back_room(front);
    size_t len = bytes.len < space ? bytes.len : space;
    if (len > 0 && !ex->back->ops->data(ex->back, ex, span_of(bytes.ptr, len))) {
        break_off(front);
    }
    return len;
}

static size_t receive_some(struct http1_front *front, struct span bytes) {
    switch (front->state) {
    case HEAD:
        return receive_head(front, bytes);
    case BODY:
        return receive_body(front, bytes);
    case RAW:
        return receive_raw(front, bytes);
    case ANSWER:
        return 0;
    case CLOSING:
        break;
    }
    return bytes.len;
}

size_t http1_front_receive(struct http1_front *front, struct span bytes) {
    struct span rest = bytes;
    if (front->edge->finished && front->state == HEAD) {
        return bytes.len; // draining: no further request
    }
    while (rest.len > 0 && !front->edge->broken) {
        size_t used = receive_some(front, rest);
        rest = span_after(rest, used);
        if (used == 0) {
            break;
        }
    }
    return front->edge->broken ? bytes.len : bytes.len - rest.len;
}

bool http1_front_wants_input(const struct http1_front *front) {
    switch (front->state) {
    case HEAD: // while answers wait to be sent, no further request is begun
        return front->edge->out.len < HTTP_EDGE_OUT_MAX;
    case BODY:
    case RAW:
        return back_room(front) > 0;
    case ANSWER:
        return false;
    case CLOSING:
        break;
    }
    return true;
}

bool http1_front_is_idle(const struct http1_front *front) {
    return front->ex == NULL;
}

bool http1_front_is_reading_head(const struct http1_front *front) {
    return front->state == HEAD && http1_head_has_begun(&front->head);
}

void http1_front_ended(struct http1_front *front) {
    switch (front->state) {
    case HEAD:
        front->edge->finished =
            true; // also inside a head: nobody waits for an answer to half of it
        break;
    case BODY:
        break_off(front);
        break;
    case ANSWER:
        front->last = true;
        break;
    case RAW:
        (void)front->ex->back->ops->end(front->ex->back, front->ex, NULL);
        break;
    case CLOSING:
        break;
    }
}

void http1_front_sent(struct http1_front *front) {
    struct http_exchange *ex = front->ex;
    if (ex != NULL && ex->back != NULL) {
        ex->back->ops->drained(ex->back, ex);
    }
}

// ---- answers ------------------------------------------------------------------------------------

static struct http1_front *front_of(const struct http_exchange *ex) {
    return ex->front_data;
}

static void interim(struct http_exchange *ex) {
    struct http1_front *front = front_of(ex);
    if (!front->version_10 && !http1_write_response(&front->edge->out, ex, false, NULL)) {
        front->edge->broken = true;
    }
}

static const char *connection_of(const struct http1_front *front) {
    if (front->last) {
        return "close";
    }
    return front->version_10 ? "keep-alive" : NULL;
}

// An answer whose end HTTP/1.1 could not tell gets a length.
static bool frame(struct http1_front *front, struct http_exchange *ex) {
    switch (ex->response_body.kind) {
    case HTTP_BODY_NONE:
        if (!ex->is_head && ex->status != 204 && ex->status != 304) {
            return http_fields_set(&ex->response, "Content-Length", span_of_text("0")) ==
                   HTTP_FIELDS_OK;
        }
        return true;
    case HTTP_BODY_LENGTH:
        return true;
    case HTTP_BODY_CHUNKED:
    case HTTP_BODY_UNTIL_CLOSE:
        http_fields_remove_all(&ex->response, "content-length");
        front->chunked = !front->version_10;
        front->last = front->last || front->version_10;
        return true;
    }
    return false;
}

static void switch_protocols(struct http1_front *front, struct http_exchange *ex) {
    http_fields_remove_all(&ex->response, "content-length");
    front->state = RAW;
    front->last = true;
    bool set =
        http_fields_set(&ex->response, "Upgrade", span_of_text(ex->upgrade)) == HTTP_FIELDS_OK;
    if (!set || !http1_write_response(&front->edge->out, ex, false, "Upgrade")) {
        front->edge->broken = true;
    }
}

static void head(struct http_exchange *ex) {
    struct http1_front *front = front_of(ex);
    if (ex->raw) {
        switch_protocols(front, ex);
        return;
    }
    // The answer came before the end of the request: what is left of that is not read.
    front->last = front->last || ex->is_dubious || !ex->request_done || front->edge->draining;
    if (!frame(front, ex) ||
        !http1_write_response(&front->edge->out, ex, front->chunked, connection_of(front))) {
        front->edge->broken = true;
    }
}

static size_t room(const struct http_exchange *ex) {
    const struct buf *out = &front_of(ex)->edge->out;
    return out->len < HTTP_EDGE_OUT_MAX ? HTTP_EDGE_OUT_MAX - out->len : 0;
}

static bool data(struct http_exchange *ex, struct span bytes) {
    struct http1_front *front = front_of(ex);
    return http1_write_data(&front->edge->out, bytes, front->chunked);
}

static void end(struct http_exchange *ex, struct http_fields *trailers) {
    struct http1_front *front = front_of(ex);
    struct http_edge *edge = front->edge;
    if (ex->raw) {
        edge->finished = true; // our FIN; the client's direction ends by itself
        return;
    }
    if (trailers != NULL) {
        http_clean_trailers(trailers);
    }
    if (front->chunked && !http1_write_last_chunk(&edge->out, trailers)) {
        edge->broken = true;
    }
    bool last = front->last || !ex->request_done || edge->draining;
    front->state = last ? CLOSING : HEAD;
    edge->finished = edge->finished || last;
    drop_exchange(front);
}

static void abort_answer(struct http_exchange *ex) {
    break_off(front_of(ex));
}

static void drained(struct http_exchange *ex UNUSED) {
    // wants_input says it.
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
