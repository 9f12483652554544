// Requests on the status port: parsed in one piece and byte by byte (the result must be the same),
// then answered. State changes only by POST with a loopback Host and no mark of a web page.
#include <string.h>

#include "agent/status/routes.h"
#include "base/check.h"
#include "base/log.h"
#include "tests/fuzz/fuzz_target.h"

struct agent {
    struct config config;
    bool changed;
};

static void collect(void *arg UNUSED, unsigned parts UNUSED, struct view *out UNUSED) {
}

static void sum_counters(void *arg UNUSED, struct counter_sums *out UNUSED) {
}

static void identity(void *arg UNUSED, struct identity_view *out) {
    out->source_kind = "workloadApi";
}

static void reload(void *arg UNUSED, struct reload_view *out UNUSED) {
}

static void trust(void *arg UNUSED, struct trust_view *out UNUSED) {
}

static void audit(void *arg UNUSED, struct audit_view *out UNUSED) {
}

static size_t readiness(void *arg UNUSED, struct readiness out[READINESS_MAX] UNUSED) {
    return 0;
}

static size_t sandbox(void *arg UNUSED, struct sandbox_view out[SANDBOX_VIEW_MAX]) {
    out[0] = (struct sandbox_view){.layer = "landlock", .is_on = true};
    return 1;
}

static bool is_alive(void *arg UNUSED, char *why UNUSED, size_t why_len UNUSED) {
    return true;
}

static const struct config *config(void *arg) {
    return &((struct agent *)arg)->config;
}

static bool rotate(void *arg, struct err *err UNUSED) {
    ((struct agent *)arg)->changed = true;
    return true;
}

static void drain(void *arg) {
    ((struct agent *)arg)->changed = true;
}

static bool forget(void *arg, const struct netaddr *address) {
    ((struct agent *)arg)->changed = true;
    CHECK(address->family != NETADDR_NONE && address->port == 0);
    return false;
}

static void answer(const struct http_message *message, enum routes_port port) {
    struct agent agent = {.config = {.status = {.quit = true}}};
    struct routes routes = {.backend = {.arg = &agent,
                                        .collect = collect,
                                        .sum_counters = sum_counters,
                                        .identity = identity,
                                        .reload = reload,
                                        .trust = trust,
                                        .audit = audit,
                                        .readiness = readiness,
                                        .sandbox = sandbox,
                                        .is_alive = is_alive,
                                        .config = config,
                                        .rotate = rotate,
                                        .drain = drain,
                                        .quit = drain,
                                        .forget = forget}};
    struct http_request request = {.head = http_message_head(message), .port = port};
    struct http_response response = {0};
    CHECK(netaddr_parse_ip(&request.peer, span_of_text("127.0.0.1"), NULL));
    enum log_level level = log_get_level();
    routes_handle(&routes, &request, &response);
    bool changed = agent.changed || log_get_level() != level;
    log_set_level(level);
    if (changed) {
        const struct http_head *head = &request.head;
        CHECK(port == ROUTES_STATUS && head->verb == HTTP_VERB_POST && !head->has_origin);
        CHECK(strcasestr(head->host, "localhost") == head->host || head->host[0] == '[' ||
              strncmp(head->host, "127.", 4) == 0);
    }
    CHECK(response.status >= 200 && response.status < 600 && response.content_type != NULL);
    buf_fini(&response.body);
}

static enum http_outcome feed(struct http_message *message, struct span bytes, size_t piece,
                              size_t *used) {
    enum http_outcome outcome = HTTP_MORE;
    *used = 0;
    while (outcome == HTTP_MORE && *used < bytes.len) {
        size_t left = bytes.len - *used, got = 0;
        outcome = http_message_feed(message,
                                    span_of(bytes.ptr + *used, left < piece ? left : piece), &got);
        *used += got;
    }
    return outcome;
}

static void compare(const struct http_message *a, const struct http_message *b) {
    struct http_head x = http_message_head(a), y = http_message_head(b);
    CHECK(x.verb == y.verb && span_equal(x.path, y.path) && span_equal(x.query, y.query));
    CHECK(strcmp(x.host, y.host) == 0 && x.has_origin == y.has_origin);
    CHECK(x.has_fetch_site == y.has_fetch_site && strcmp(x.fetch_site, y.fetch_site) == 0);
    CHECK(http_message_keep_alive(a) == http_message_keep_alive(b));
    CHECK(span_equal(http_message_body(a), http_message_body(b)));
    CHECK(http_message_body(a).len <= HTTP_REQUEST_BODY_MAX);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    OWNED(http_message_free)
    struct http_message *whole = http_message_new(HTTP_KIND_REQUEST, HTTP_REQUEST_BODY_MAX);
    OWNED(http_message_free)
    struct http_message *bytewise = http_message_new(HTTP_KIND_REQUEST, HTTP_REQUEST_BODY_MAX);
    CHECK(whole != NULL && bytewise != NULL);
    struct span rest = span_of(data, size);
    while (rest.len > 0) {
        size_t used, used_bytewise;
        enum http_outcome outcome = feed(whole, rest, rest.len, &used);
        CHECK(feed(bytewise, rest, 1, &used_bytewise) == outcome);
        if (outcome != HTTP_DONE) {
            CHECK(outcome == HTTP_MORE || http_message_status(whole) >= 400);
            break;
        }
        CHECK(used == used_bytewise);
        compare(whole, bytewise);
        answer(whole, ROUTES_STATUS);
        answer(whole, ROUTES_HEALTH);
        http_message_reset(whole);
        http_message_reset(bytewise);
        rest = span_after(rest, used);
    }
    return 0;
}
