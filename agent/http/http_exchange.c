#include "agent/http/http_exchange.h"

#include <stdlib.h>
#include <string.h>

#include "agent/http/http_clean.h"
#include "agent/http/http_internal.h"
#include "agent/http/http_page.h"

struct http_exchange *http_exchange_new(struct http_edge *edge, const struct http_front_ops *front,
                                        void *front_data) {
    struct http_exchange *ex = calloc(1, sizeof(*ex));
    if (ex != NULL) {
        ex->edge = edge;
        ex->front = front;
        ex->front_data = front_data;
        edge->num_requests++;
    }
    return ex;
}

void http_exchange_free(struct http_exchange *ex) {
    if (ex == NULL) {
        return;
    }
    if (ex->back != NULL) {
        ex->back->ops->cancel(ex->back, ex);
    }
    http_fields_fini(&ex->request);
    http_fields_fini(&ex->response);
    free(ex);
}

static void give_page(struct http_exchange *ex, int status, struct span location) {
    struct http_page page;
    http_page_render(&page, status);
    http_fields_fini(&ex->response);
    ex->status = status;
    ex->response_body = (struct http_body){.kind = HTTP_BODY_LENGTH, .length = page.len};
    if (ex->is_head) {
        ex->response_body.kind = HTTP_BODY_NONE;
    }
    if (!http_page_head(&ex->response, status, &page, location)) {
        ex->front->abort(ex);
        return;
    }
    ex->answered = true;
    ex->front->head(ex);
    if (!ex->is_head && !ex->front->data(ex, span_of(page.body, page.len))) {
        ex->front->abort(ex);
        return;
    }
    ex->front->end(ex, NULL);
}

static void answer(struct http_exchange *ex, const struct http_verdict *verdict) {
    struct http_edge *edge = ex->edge;
    edge->env->refused(edge->arg, verdict->reason, verdict->status, verdict->why);
    ex->is_dubious =
        verdict->reason == HTTP_REASON_MALFORMED || verdict->reason == HTTP_REASON_TOO_LARGE;
    if (ex->back != NULL) {
        ex->back->ops->cancel(ex->back, ex);
        ex->back = NULL;
    }
    if (ex->answered) {
        ex->front->abort(ex);
        return;
    }
    give_page(ex, verdict->status, buf_span(&verdict->target));
}

void http_exchange_answer(struct http_exchange *ex, int status, enum http_reason reason,
                          const char *why) {
    struct http_verdict verdict = {.status = status, .reason = reason};
    size_t len = strnlen(why, sizeof(verdict.why) - 1);
    memcpy(verdict.why, why, len);
    answer(ex, &verdict);
}

static void submit(struct http_exchange *ex, bool fresh) {
    ex->back = http_edge_back_for(ex->edge, ex, fresh);
    if (ex->back == NULL) {
        http_exchange_answer(ex, 503, HTTP_REASON_APP_UNREACHABLE,
                             "no further connection to the application can be made now");
    } else if (!ex->back->ops->submit(ex->back, ex)) {
        http_exchange_answer(ex, 503, HTTP_REASON_NO_MEMORY, "memory is short");
    }
}

bool http_exchange_retry(struct http_exchange *ex) {
    if (!ex->is_safe || ex->request_body.kind != HTTP_BODY_NONE || ex->answered ||
        ex->num_interim > 0) {
        return false;
    }
    submit(ex, true);
    return true;
}

static bool is_safe(struct span method) {
    return span_equal_text(method, "GET") || span_equal_text(method, "HEAD") ||
           span_equal_text(method, "OPTIONS");
}

// The request as the application gets it: path of the verdict, without what must not travel.
static bool prepare(struct http_exchange *ex, const struct http_verdict *verdict) {
    const char *why = "memory is short";
    const struct http_caller *caller = ex->edge->caller;
    bool vouched = caller->client == HTTP_CLIENT_VERIFIED;
    switch (http_clean_request(&ex->request, vouched ? caller->facts : NULL, &why)) {
    case HTTP_CLEAN_OK:
        if (http_fields_set(&ex->request, ":path", buf_span(&verdict->target)) == HTTP_FIELDS_OK) {
            return true;
        }
        break;
    case HTTP_CLEAN_BAD:
        http_exchange_answer(ex, 400, HTTP_REASON_MALFORMED, why);
        return false;
    case HTTP_CLEAN_NO_MEMORY:
        break;
    }
    http_exchange_answer(ex, 503, HTTP_REASON_NO_MEMORY, why);
    return false;
}

void http_exchange_begin(struct http_exchange *ex) {
    struct span method = http_fields_get(&ex->request, ":method");
    struct http_verdict verdict;
    ex->is_head = span_equal_text(method, "HEAD");
    ex->is_safe = is_safe(method);
    http_policy_judge(ex->edge->policy, ex->edge->caller, &ex->request, &verdict);
    if (verdict.status != 0) {
        answer(ex, &verdict);
    } else if (prepare(ex, &verdict)) {
        submit(ex, false);
    }
    http_verdict_fini(&verdict);
}

void http_exchange_respond(struct http_exchange *ex) {
    http_clean_response(&ex->response);
    if (ex->status < 200 && !ex->raw) {
        http_fields_remove_all(&ex->response, "content-length");
        ex->num_interim++;
        ex->front->interim(ex);
        return;
    }
    bool bodiless = ex->response_body.kind == HTTP_BODY_NONE;
    if (bodiless && !ex->is_head && ex->status != 304) {
        http_fields_remove_all(&ex->response, "content-length");
    }
    ex->answered = true;
    ex->front->head(ex);
}
