#include "agent/status/routes_probe.h"

#include <stdlib.h>
#include <string.h>

#include "agent/status/answer.h"
#include "agent/status/app_probe.h"

// One request that waits for the application.
struct waiting {
    struct http_connection *connection;
    struct app_probe *probe;
};

static const struct {
    const char *prefix;
    const char *word;
} NAMES[] = {
    [PROBE_LIVEZ] = {"/app-health/", "/livez"},
    [PROBE_READYZ] = {"/app-health/", "/readyz"},
    [PROBE_STARTUPZ] = {"/app-health/", "/startupz"},
    [PROBE_PRESTOPZ] = {"/app-lifecycle/", "/prestopz"},
    [PROBE_POSTSTARTZ] = {"/app-lifecycle/", "/poststartz"},
};

static bool take_text(struct span *rest, const char *text) {
    size_t len = strlen(text);
    if (rest->len < len || memcmp(rest->ptr, text, len) != 0) {
        return false;
    }
    *rest = span_after(*rest, len);
    return true;
}

static bool is_path_of(const struct status_probe *probe, struct span path) {
    return take_text(&path, NAMES[probe->name].prefix) && take_text(&path, probe->container) &&
           span_equal_text(path, NAMES[probe->name].word);
}

static const struct status_probe *find(const struct config *config, struct span path) {
    for (size_t i = 0; i < config->status.num_probes; i++) {
        if (is_path_of(&config->status.probes[i], path)) {
            return &config->status.probes[i];
        }
    }
    return NULL;
}

static void on_done(void *arg, unsigned status, struct span body) {
    struct waiting *waiting = arg;
    struct http_response response = {.status = status, .content_type = "text/plain; charset=utf-8"};
    if (!buf_append(&response.body, body.ptr, body.len)) {
        buf_clear(&response.body); // the status says enough
    }
    struct http_connection *connection = waiting->connection;
    free(waiting);
    http_later_answer(connection, &response);
    buf_fini(&response.body);
}

static void on_cancel(void *arg) {
    struct waiting *waiting = arg;
    app_probe_free(waiting->probe);
    free(waiting);
}

static void start(struct routes *routes, const struct status_probe *probe,
                  const struct http_request *request, struct http_response *response) {
    struct waiting *waiting = calloc(1, sizeof *waiting);
    struct netaddr to = netaddr_with_port(&request->local, probe->port);
    if (waiting != NULL) {
        waiting->connection = request->connection;
        waiting->probe = app_probe_start(routes->loop, probe, &to, on_done, waiting);
    }
    if (waiting == NULL || waiting->probe == NULL) {
        free(waiting);
        answer_text(response, 503, "there is no memory for this probe");
        return;
    }
    response->cancel = on_cancel;
    response->cancel_arg = waiting;
}

bool routes_probe_handle(struct routes *routes, const struct http_request *request,
                         struct http_response *response) {
    const struct status_probe *probe =
        find(routes->backend.config(routes->backend.arg), request->head.path);
    if (probe == NULL) {
        return false;
    }
    if (request->head.verb != HTTP_VERB_GET && request->head.verb != HTTP_VERB_HEAD) {
        response->allow = "GET, HEAD";
        answer_text(response, 405, "this path takes GET, HEAD only");
    } else if (request->local.family == NETADDR_NONE) {
        answer_text(response, 503, "the address that was asked is not known");
    } else {
        start(routes, probe, request, response);
    }
    return true;
}
