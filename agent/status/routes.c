#include "agent/status/routes.h"

#include "agent/status/answer.h"
#include "agent/status/guard.h"
#include "agent/status/query.h"
#include "agent/status/routes_probe.h"
#include "agent/status/routes_read.h"
#include "base/log.h"
#include "base/netaddr.h"

static void rotate(struct routes *routes, const struct http_request *request UNUSED,
                   struct http_response *response) {
    struct err err = {0};
    if (routes->backend.rotate(routes->backend.arg, &err)) {
        answer_text(response, 200, "asked the identity source for a fresh certificate");
    } else {
        answer_text(response, 503, "%s", err.msg);
    }
}

static void drain(struct routes *routes, const struct http_request *request UNUSED,
                  struct http_response *response) {
    routes->backend.drain(routes->backend.arg);
    answer_text(response, 200, "draining");
}

static void quit(struct routes *routes, const struct http_request *request UNUSED,
                 struct http_response *response) {
    if (!routes->backend.config(routes->backend.arg)->status.quit) {
        answer_text(response, 404, "/quitquitquit is off; status.quit: true turns it on");
        return;
    }
    routes->backend.quit(routes->backend.arg);
    answer_text(response, 200, "draining, then ending");
}

static void logging(struct routes *routes UNUSED, const struct http_request *request,
                    struct http_response *response) {
    char text[16];
    enum log_level level;
    if (!query_get(request->head.query, "level", text, sizeof(text)) ||
        !log_level_parse(text, &level)) {
        answer_text(response, 400, "say ?level=debug, info, warn or error; it is %s now",
                    log_level_name(log_get_level()));
        return;
    }
    log_set_level(level);
    answer_text(response, 200, "the log level is %s now", log_level_name(level));
}

static void forget(struct routes *routes, const struct http_request *request,
                   struct http_response *response) {
    char text[NETADDR_TEXT_MAX];
    struct netaddr address;
    struct span given;
    if (!query_get(request->head.query, "address", text, sizeof(text))) {
        answer_text(response, 400, "say ?address=IP of the destination to forget");
        return;
    }
    given = span_of_text(text);
    if (!netaddr_parse_ip(&address, given, NULL) && !netaddr_parse(&address, given, NULL)) {
        answer_text(response, 400, "the address is not an IP address");
        return;
    }
    address = netaddr_with_port(&address, 0);
    if (routes->backend.forget(routes->backend.arg, &address)) {
        answer_text(response, 200, "%s is forgotten", netaddr_format_ip(&address, text));
    } else {
        answer_text(response, 404, "%s is not remembered", netaddr_format_ip(&address, text));
    }
}

static const struct route {
    const char *path;
    bool is_post; // else GET and HEAD
    unsigned ports;
    routes_fn *handle;
} route_table[] = {
    {"/", false, ROUTES_STATUS, routes_read_page},
    {"/livez", false, ROUTES_STATUS | ROUTES_HEALTH, routes_read_livez},
    {"/readyz", false, ROUTES_STATUS | ROUTES_HEALTH, routes_read_readyz},
    {"/healthz/ready", false, ROUTES_STATUS | ROUTES_HEALTH, routes_read_readyz},
    {"/startupz", false, ROUTES_STATUS | ROUTES_HEALTH, routes_read_startupz},
    {"/metrics", false, ROUTES_STATUS | ROUTES_HEALTH, routes_read_metrics},
    {"/stats/prometheus", false, ROUTES_STATUS | ROUTES_HEALTH, routes_read_metrics},
    {"/identity", false, ROUTES_STATUS, routes_read_identity},
    {"/certs", false, ROUTES_STATUS, routes_read_certs},
    {"/listeners", false, ROUTES_STATUS, routes_read_listeners},
    {"/ports", false, ROUTES_STATUS, routes_read_ports},
    {"/connections", false, ROUTES_STATUS, routes_read_connections},
    {"/tunnels", false, ROUTES_STATUS, routes_read_tunnels},
    {"/destinations", false, ROUTES_STATUS, routes_read_destinations},
    {"/refusals", false, ROUTES_STATUS, routes_read_refusals},
    {"/trust", false, ROUTES_STATUS, routes_read_trust},
    {"/config", false, ROUTES_STATUS, routes_read_config},
    {"/rotate", true, ROUTES_STATUS, rotate},
    {"/drain", true, ROUTES_STATUS, drain},
    {"/logging", true, ROUTES_STATUS, logging},
    {"/destinations/forget", true, ROUTES_STATUS, forget},
    {"/quitquitquit", true, ROUTES_STATUS, quit},
};

static const struct route *find(struct span path, unsigned port) {
    for (size_t i = 0; i < sizeof(route_table) / sizeof(route_table[0]); i++) {
        if ((route_table[i].ports & port) != 0 && span_equal_text(path, route_table[i].path)) {
            return &route_table[i];
        }
    }
    return NULL;
}

static bool is_allowed(const struct route *route, enum http_verb verb) {
    if (route->is_post) {
        return verb == HTTP_VERB_POST;
    }
    return verb == HTTP_VERB_GET || verb == HTTP_VERB_HEAD;
}

void routes_handle(void *arg, const struct http_request *request, struct http_response *response) {
    struct routes *routes = arg;
    const struct route *route = find(request->head.path, request->port);
    struct guard_verdict verdict = {0};
    if (request->port == ROUTES_STATUS) { // before anything is said about what exists here
        verdict = guard_decide(request, request->head.verb == HTTP_VERB_POST);
    }
    if (verdict.status != 0) {
        answer_text(response, verdict.status, "%s", verdict.sentence);
        return;
    }
    if (route == NULL && request->port == ROUTES_HEALTH &&
        routes_probe_handle(routes, request, response)) {
        return;
    }
    if (route == NULL) {
        answer_text(response, 404, "there is nothing at this path");
        return;
    }
    if (!is_allowed(route, request->head.verb)) {
        response->allow = route->is_post ? "POST" : "GET, HEAD";
        answer_text(response, 405, "this path takes %s only", response->allow);
        return;
    }
    route->handle(routes, request, response);
}
