#include "agent/http/http_edge.h"

#include <stdlib.h>

#include "agent/http/http_chars.h"
#include "agent/http/http_internal.h"
#include "base/check.h"

// How HTTP/2 begins (RFC 9113 section 3.4); four bytes tell it from every method in use.
static const char PREFACE[] = "PRI ";
#define PREFACE_LEN (sizeof(PREFACE) - 1)

struct http_edge *http_edge_new(const struct http_edge_setup *setup) {
    struct http_edge *edge = calloc(1, sizeof(*edge));
    if (edge == NULL) {
        return NULL;
    }
    edge->policy = setup->policy;
    edge->caller = setup->caller;
    edge->client = setup->client;
    edge->application = setup->application;
    edge->env = setup->env;
    edge->arg = setup->arg;
    list_init(&edge->backs);
    return edge;
}

static void drop_back(struct http_back *back) {
    list_remove(&back->node);
    back->edge->env->drop(back->edge->arg, back, back->clean);
    buf_fini(&back->out);
    back->ops->free(back);
}

void http_edge_free(struct http_edge *edge) {
    if (edge == NULL) {
        return;
    }
    CHECK(!edge->settling);
    http1_front_free(edge->front1); // cancels what is under way
    http2_front_free(edge->front2);
    while (!list_is_empty(&edge->backs)) {
        struct http_back *back = LIST_ENTRY(edge->backs.head.next, struct http_back, node);
        back->clean = back->clean || !back->dead; // idle: the fronts have cancelled the others
        drop_back(back);
    }
    buf_fini(&edge->out);
    free(edge);
}

void http_edge_settle(struct http_edge *edge) {
    edge->settling = true;
    LIST_FOR_EACH(&edge->backs, it) {
        struct http_back *back = LIST_ENTRY(it, struct http_back, node);
        if (back->dead && (back->out.len == 0 || !back->clean)) {
            drop_back(back);
        }
    }
    edge->settling = false;
}

// ---- the client's side --------------------------------------------------------------------------

static bool begin(struct http_edge *edge, enum http_version version) {
    if (version == HTTP_VERSION_2) {
        edge->front2 = http2_front_new(edge);
    } else {
        edge->front1 = http1_front_new(edge);
    }
    edge->broken = edge->front1 == NULL && edge->front2 == NULL;
    return !edge->broken;
}

static size_t receive(struct http_edge *edge, struct span bytes) {
    if (edge->broken) {
        return bytes.len;
    }
    return edge->front2 != NULL ? http2_front_receive(edge->front2, bytes)
                                : http1_front_receive(edge->front1, bytes);
}

// True when the version is known; bytes that were looked at for it have then been given on.
static bool sniff(struct http_edge *edge, struct span *bytes) {
    enum http_version version = edge->client;
    while (version == HTTP_VERSION_ANY && bytes->len > 0) {
        if (bytes->ptr[0] != (uint8_t)PREFACE[edge->sniffed]) {
            version = HTTP_VERSION_1;
            break;
        }
        *bytes = span_after(*bytes, 1);
        if (++edge->sniffed == PREFACE_LEN) {
            version = HTTP_VERSION_2;
        }
    }
    if (version == HTTP_VERSION_ANY || !begin(edge, version)) {
        return false;
    }
    if (edge->sniffed > 0) {
        (void)receive(edge, span_of(PREFACE, edge->sniffed)); // a few bytes: always taken
    }
    return true;
}

size_t http_edge_receive(struct http_edge *edge, struct span bytes) {
    struct span rest = bytes;
    if (edge->front1 == NULL && edge->front2 == NULL && !sniff(edge, &rest)) {
        return edge->broken ? bytes.len : bytes.len - rest.len;
    }
    size_t looked_at = bytes.len - rest.len;
    size_t taken = rest.len == 0 ? 0 : receive(edge, rest);
    http_edge_settle(edge);
    return looked_at + taken;
}

bool http_edge_wants_input(const struct http_edge *edge) {
    if (edge->client_ended || edge->broken) {
        return false;
    }
    if (edge->front2 != NULL) {
        return http2_front_wants_input(edge->front2);
    }
    return edge->front1 == NULL || http1_front_wants_input(edge->front1);
}

void http_edge_end(struct http_edge *edge) {
    edge->client_ended = true;
    if (edge->front2 != NULL) {
        http2_front_ended(edge->front2);
    } else if (edge->front1 != NULL) {
        http1_front_ended(edge->front1);
    } else {
        edge->finished = true;
    }
    http_edge_settle(edge);
}

struct span http_edge_output(struct http_edge *edge) {
    if (edge->front2 != NULL && edge->out.len < HTTP_EDGE_OUT_MAX) {
        http2_front_fill(edge->front2);
    }
    http_edge_settle(edge);
    return buf_span(&edge->out);
}

void http_edge_sent(struct http_edge *edge, size_t len) {
    buf_consume(&edge->out, len);
    if (edge->front1 != NULL) {
        http1_front_sent(edge->front1);
    }
    http_edge_settle(edge);
}

static bool has_output_for_application(struct http_edge *edge) {
    LIST_FOR_EACH(&edge->backs, it) {
        if (LIST_ENTRY(it, struct http_back, node)->out.len > 0) {
            return true;
        }
    }
    return false;
}

enum http_edge_state http_edge_state(struct http_edge *edge) {
    if (edge->broken) {
        return HTTP_EDGE_BROKEN;
    }
    if (!edge->finished) {
        return HTTP_EDGE_OPEN;
    }
    return edge->client_ended && !has_output_for_application(edge) ? HTTP_EDGE_OVER
                                                                   : HTTP_EDGE_FINISHED;
}

bool http_edge_is_idle(const struct http_edge *edge) {
    if (edge->front2 != NULL) {
        return http2_front_is_idle(edge->front2);
    }
    return edge->front1 == NULL || http1_front_is_idle(edge->front1);
}

bool http_edge_is_reading_head(const struct http_edge *edge) {
    if (edge->front1 == NULL && edge->front2 == NULL) {
        return true;
    }
    return edge->front2 != NULL ? http2_front_is_reading_head(edge->front2)
                                : http1_front_is_reading_head(edge->front1);
}

uint64_t http_edge_num_requests(const struct http_edge *edge) {
    return edge->num_requests;
}

void http_edge_drain(struct http_edge *edge) {
    edge->draining = true;
    if (edge->front2 != NULL) {
        http2_front_forewarn(edge->front2);
    }
    http_edge_settle(edge);
}

void http_edge_close_idle(struct http_edge *edge) {
    edge->draining = true;
    if (edge->front2 != NULL) {
        http2_front_drain(edge->front2);
    } else if (edge->front1 == NULL ||
               (http1_front_is_idle(edge->front1) && !http1_front_is_reading_head(edge->front1))) {
        edge->finished = true;
    }
    http_edge_settle(edge);
}

// ---- the application's side ---------------------------------------------------------------------

static bool is_grpc(const struct http_exchange *ex) {
    struct span type = http_fields_get(&ex->request, "content-type");
    static const char GRPC[] = "application/grpc"; // gRPC-Web is made for HTTP/1.1
    size_t len = sizeof(GRPC) - 1;
    return type.len >= len && http_chars_equal_nocase(span_of(type.ptr, len), GRPC) &&
           (type.len == len || type.ptr[len] == '+' || type.ptr[len] == ';');
}

static bool wants_http2(const struct http_edge *edge, const struct http_exchange *ex) {
    if (edge->application != HTTP_VERSION_ANY) {
        return edge->application == HTTP_VERSION_2 && ex->upgrade[0] == '\0';
    }
    return edge->front2 != NULL && is_grpc(ex);
}

// An idle connection that the application is about to close loses the request: only what may be
// asked again takes one.
static bool may_use(const struct http_back *back, const struct http_exchange *ex, bool http2) {
    if (back->dead || back->http2 != http2) {
        return false;
    }
    if (http2) {
        return http2_back_has_room(back);
    }
    return back->idle && ex->is_safe && ex->request_body.kind == HTTP_BODY_NONE;
}

static struct http_back *used_back(struct http_edge *edge, const struct http_exchange *ex,
                                   bool http2) {
    LIST_FOR_EACH(&edge->backs, it) {
        struct http_back *back = LIST_ENTRY(it, struct http_back, node);
        if (may_use(back, ex, http2)) {
            return back;
        }
    }
    return NULL;
}

struct http_back *http_edge_back_for(struct http_edge *edge, const struct http_exchange *ex,
                                     bool fresh) {
    bool http2 = wants_http2(edge, ex);
    struct http_back *back = fresh ? NULL : used_back(edge, ex, http2);
    if (back != NULL) {
        return back;
    }
    back = http2 ? http2_back_new(edge) : http1_back_new(edge);
    if (back == NULL) {
        return NULL;
    }
    back->edge = edge;
    back->http2 = http2;
    if (!edge->env->dial(edge->arg, back)) {
        buf_fini(&back->out);
        back->ops->free(back);
        return NULL;
    }
    list_append(&edge->backs, &back->node);
    return back;
}

void http_back_set_arg(struct http_back *back, void *arg) {
    back->arg = arg;
}

void *http_back_arg(const struct http_back *back) {
    return back->arg;
}

bool http_back_is_http2(const struct http_back *back) {
    return back->http2;
}

size_t http_back_receive(struct http_back *back, struct span bytes) {
    struct http_edge *edge = back->edge;
    size_t taken = back->dead ? bytes.len : back->ops->receive(back, bytes);
    http_edge_settle(edge);
    return taken;
}

bool http_back_wants_input(const struct http_back *back) {
    return back->ops->wants_input(back);
}

void http_back_end(struct http_back *back) {
    struct http_edge *edge = back->edge;
    if (!back->dead) {
        back->ops->ended(back);
    }
    http_edge_settle(edge);
}

void http_back_lost(struct http_back *back, enum http_reason reason, const char *why) {
    struct http_edge *edge = back->edge;
    bool was_dead = back->dead;
    back->dead = true;
    back->clean = false;
    if (!was_dead) {
        back->ops->lost(back, reason, why);
    }
    http_edge_settle(edge);
}

struct span http_back_output(struct http_back *back) {
    if (back->out.len < HTTP_EDGE_OUT_MAX) {
        back->ops->fill(back);
    }
    return buf_span(&back->out);
}

void http_back_sent(struct http_back *back, size_t len) {
    struct http_edge *edge = back->edge;
    buf_consume(&back->out, len);
    back->ops->sent(back);
    http_edge_settle(edge);
}

bool http_back_wants_finish(const struct http_back *back) {
    return back->finish;
}

int http_back_status_of(enum http_reason reason) {
    switch (reason) {
    case HTTP_REASON_APP_TIMEOUT:
        return 504;
    case HTTP_REASON_CLIENT_TIMEOUT:
        return 408;
    default:
        return 502;
    }
}

bool http_back_is_held(const struct http_back *back) {
    return back->ops->is_held(back);
}

bool http_back_is_starved(const struct http_back *back) {
    return back->out.len == 0 && back->ops->is_starved(back);
}

bool http_back_is_waiting(const struct http_back *back) {
    return back->out.len == 0 && back->ops->is_waiting(back);
}
