#include "agent/status/routes_read.h"

#include <sys/random.h>

#include "agent/status/answer.h"
#include "agent/status/escape.h"
#include "agent/status/page.h"
#include "agent/status/process_stat.h"
#include "agent/status/query.h"
#include "agent/status/render_certs.h"
#include "agent/status/render_json.h"
#include "agent/status/render_metrics.h"
#include "agent/status/render_ports.h"
#include "agent/status/render_trust.h"
#include "base/check.h"
#include "base/clock.h"

#define JSON_TYPE "application/json"
#define PAGE_TYPE "text/html; charset=utf-8"
#define NONCE_LEN 16

// An identity_view that gives its reference back at the end of the scope.
static void identity_view_fini(struct identity_view *view) {
    identity_unref(view->identity);
}
#define IDENTITY_VIEW __attribute__((cleanup(identity_view_fini))) struct identity_view
#define TRUST_VIEW __attribute__((cleanup(trust_view_fini))) struct trust_view
#define VIEW __attribute__((cleanup(view_fini))) struct view

static void load_identity(struct routes *routes, struct identity_view *out) {
    routes->backend.identity(routes->backend.arg, out);
}

static void load_trust(struct routes *routes, struct trust_view *out) {
    routes->backend.trust(routes->backend.arg, out);
}

static void add_own_listeners(const struct routes *routes, struct view *view) {
    for (size_t i = 0; i < routes->num_own; i++) {
        struct listener_view *row = view_add_listener(view);
        if (row != NULL) {
            *row = routes->own[i];
        }
    }
}

static void collect(struct routes *routes, unsigned parts, struct view *out) {
    routes->backend.collect(routes->backend.arg, parts, out);
    if ((parts & VIEW_LISTENERS) != 0) {
        add_own_listeners(routes, out);
    }
}

static size_t load_readiness(struct routes *routes, struct readiness checks[READINESS_MAX],
                             bool *ready) {
    size_t num = routes->backend.readiness(routes->backend.arg, checks);
    *ready = true;
    for (size_t i = 0; i < num; i++) {
        *ready = *ready && checks[i].ready;
    }
    routes->was_ready = routes->was_ready || *ready;
    return num;
}

// One line per check that is not ready; with `verbose` the others too, as Kubernetes writes them.
static bool render_check(struct buf *out, const struct readiness *check, bool verbose) {
    if (check->ready) {
        return !verbose || buf_printf(out, "[+]%s ok\n", check->check);
    }
    return buf_printf(out, "%s%s: ", verbose ? "[-]" : "", check->check) &&
           escape_plain(out, check->pending) && buf_append_text(out, "\n");
}

static void answer_readiness(const struct readiness *checks, size_t num, bool verbose,
                             struct http_response *response) {
    bool ready = true, fine = true;
    for (size_t i = 0; i < num; i++) {
        ready = ready && checks[i].ready;
        fine = fine && render_check(&response->body, &checks[i], verbose);
    }
    if (ready || verbose) {
        fine = fine && buf_append_text(&response->body, ready ? "ready\n" : "not ready\n");
    }
    response->status = fine && ready ? 200 : 503;
    response->content_type = "text/plain; charset=utf-8";
}

void routes_read_livez(struct routes *routes, const struct http_request *request UNUSED,
                       struct http_response *response) {
    char why[256] = "";
    if (routes->backend.is_alive(routes->backend.arg, why, sizeof(why))) {
        answer_text(response, 200, "alive");
    } else {
        answer_text(response, 503, "%s", why);
    }
}

void routes_read_readyz(struct routes *routes, const struct http_request *request,
                        struct http_response *response) {
    struct readiness checks[READINESS_MAX];
    bool ready;
    size_t num = load_readiness(routes, checks, &ready);
    answer_readiness(checks, num, query_has(request->head.query, "verbose"), response);
}

void routes_read_startupz(struct routes *routes, const struct http_request *request,
                          struct http_response *response) {
    if (routes->was_ready) {
        answer_text(response, 200, "started");
        return;
    }
    routes_read_readyz(routes, request, response);
}

void routes_read_metrics(struct routes *routes, const struct http_request *request UNUSED,
                         struct http_response *response) {
    struct counter_sums sums = {0};
    IDENTITY_VIEW identity = {0};
    struct reload_view reload = {0};
    struct process_stat process;
    routes->backend.sum_counters(routes->backend.arg, &sums);
    load_identity(routes, &identity);
    routes->backend.reload(routes->backend.arg, &reload);
    TRUST_VIEW trust = {0};
    load_trust(routes, &trust);
    process_stat_load(&process);
    struct audit_view audit = {0};
    routes->backend.audit(routes->backend.arg, &audit);
    struct readiness checks[READINESS_MAX];
    bool ready;
    size_t num_checks = load_readiness(routes, checks, &ready);
    char why[256];
    struct sandbox_view layers[SANDBOX_VIEW_MAX];
    size_t num_layers = routes->backend.sandbox(routes->backend.arg, layers);
    VIEW configured = {0};
    collect(routes, VIEW_CERTIFICATES, &configured);
    struct render_metrics_input input = {
        .sums = &sums,
        .identity = &identity,
        .reload = &reload,
        .trust = &trust,
        .audit = &audit,
        .configured = &configured,
        .now_s = clock_wall_s(),
        .process = &process,
        .checks = checks,
        .num_checks = num_checks,
        .layers = layers,
        .num_layers = num_layers,
        .is_alive = routes->backend.is_alive(routes->backend.arg, why, sizeof(why)),
    };
    answer_rendered(response, RENDER_METRICS_TYPE, render_metrics_text(&response->body, &input));
}

void routes_read_identity(struct routes *routes, const struct http_request *request UNUSED,
                          struct http_response *response) {
    IDENTITY_VIEW view = {0};
    load_identity(routes, &view);
    answer_rendered(response, JSON_TYPE, render_json_identity(&response->body, &view));
}

void routes_read_certs(struct routes *routes, const struct http_request *request UNUSED,
                       struct http_response *response) {
    IDENTITY_VIEW view = {0};
    load_identity(routes, &view);
    TRUST_VIEW trust = {0};
    load_trust(routes, &trust);
    VIEW configured = {0};
    collect(routes, VIEW_CERTIFICATES, &configured);
    const struct render_certs_input input = {.identity = &view,
                                             .trusted = trust.set,
                                             .configured = &configured,
                                             .now_ms = clock_wall_ms()};
    answer_rendered(response, JSON_TYPE, render_certs_json(&response->body, &input));
}

typedef bool render_fn(struct buf *out, const struct view *view);

static void answer_view(struct routes *routes, unsigned part, render_fn *render,
                        struct http_response *response) {
    VIEW view = {0};
    collect(routes, part, &view);
    answer_rendered(response, JSON_TYPE, render(&response->body, &view));
}

void routes_read_listeners(struct routes *routes, const struct http_request *request UNUSED,
                           struct http_response *response) {
    answer_view(routes, VIEW_LISTENERS, render_json_listeners, response);
}

void routes_read_connections(struct routes *routes, const struct http_request *request UNUSED,
                             struct http_response *response) {
    answer_view(routes, VIEW_CONNECTIONS, render_json_connections, response);
}

void routes_read_tunnels(struct routes *routes, const struct http_request *request UNUSED,
                         struct http_response *response) {
    answer_view(routes, VIEW_TUNNELS, render_json_tunnels, response);
}

void routes_read_destinations(struct routes *routes, const struct http_request *request UNUSED,
                              struct http_response *response) {
    answer_view(routes, VIEW_DESTINATIONS, render_json_destinations, response);
}

void routes_read_refusals(struct routes *routes, const struct http_request *request UNUSED,
                          struct http_response *response) {
    answer_view(routes, VIEW_REFUSALS, render_json_refusals, response);
}

void routes_read_trust(struct routes *routes, const struct http_request *request,
                       struct http_response *response) {
    TRUST_VIEW view = {0};
    load_trust(routes, &view);
    const struct render_trust_scope scope = {.all = query_has(request->head.query, "all"),
                                             .rows_max = RENDER_TRUST_ROWS_MAX};
    answer_rendered(response, JSON_TYPE, render_trust_view(&response->body, &view, scope));
}

// What came of `sandbox`, behind the configuration's own keys. The names need no quoting.
static bool append_sandbox(struct routes *routes, struct buf *out) {
    struct sandbox_view layers[SANDBOX_VIEW_MAX];
    size_t num = routes->backend.sandbox(routes->backend.arg, layers);
    CHECK(out->len > 0 && buf_span(out).ptr[out->len - 1] == '}');
    out->len--;
    bool fine = buf_append_text(out, ",\"sandboxLayers\":{");
    for (size_t i = 0; i < num; i++) {
        fine = fine && buf_printf(out, "%s\"%s\":%s", i == 0 ? "" : ",", layers[i].layer,
                                  layers[i].is_on ? "true" : "false");
    }
    return fine && buf_append_text(out, "}}\n");
}

void routes_read_ports(struct routes *routes, const struct http_request *request UNUSED,
                       struct http_response *response) {
    const struct config *config = routes->backend.config(routes->backend.arg);
    answer_rendered(response, JSON_TYPE, render_ports_json(&response->body, config));
}

void routes_read_config(struct routes *routes, const struct http_request *request UNUSED,
                        struct http_response *response) {
    const struct config *config = routes->backend.config(routes->backend.arg);
    bool fine =
        config_render_json(config, &response->body) && append_sandbox(routes, &response->body);
    answer_rendered(response, JSON_TYPE, fine);
}

static bool make_nonce(char out[2 * NONCE_LEN + 1]) {
    static const char digits[] = "0123456789abcdef";
    uint8_t bytes[NONCE_LEN];
    if (getrandom(bytes, sizeof(bytes), 0) != (ssize_t)sizeof(bytes)) {
        return false;
    }
    for (size_t i = 0; i < NONCE_LEN; i++) {
        out[2 * i] = digits[bytes[i] >> 4];
        out[2 * i + 1] = digits[bytes[i] & 15];
    }
    out[2 * NONCE_LEN] = '\0';
    return true;
}

void routes_read_page(struct routes *routes, const struct http_request *request UNUSED,
                      struct http_response *response) {
    const unsigned all =
        VIEW_CONNECTIONS | VIEW_TUNNELS | VIEW_LISTENERS | VIEW_DESTINATIONS | VIEW_REFUSALS;
    struct readiness checks[READINESS_MAX];
    bool ready;
    char nonce[2 * NONCE_LEN + 1];
    IDENTITY_VIEW identity = {0};
    VIEW view = {0};
    if (!make_nonce(nonce)) {
        answer_text(response, 503, "there is no randomness to protect the page with");
        return;
    }
    TRUST_VIEW trust = {0};
    load_identity(routes, &identity);
    load_trust(routes, &trust);
    collect(routes, all, &view);
    struct page_input input = {
        .tables = {.identity = &identity,
                   .view = &view,
                   .trust = &trust,
                   .now_ms = clock_wall_ms()},
        .checks = checks,
        .num_checks = load_readiness(routes, checks, &ready),
        .nonce = nonce,
    };
    page_policy(nonce, response->policy, sizeof(response->policy));
    answer_rendered(response, PAGE_TYPE, page_render(&response->body, &input));
}
