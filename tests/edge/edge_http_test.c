// What inbound.ports says about HTTP, as a policy per certificate.
#include "agent/edge/edge_http.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

struct scene {
    struct inbound_port port;
    struct edge_server server;
    struct edge_http http;
};

static char PATTERN_PORT[] = "^/port$", PATTERN_OWN[] = "^/own$", BROKEN[] = "(";
static char NAME_A[] = "a.test", NAME_B[] = "b.test";
static char *NAMES_A[] = {NAME_A}, *NAMES_B[] = {NAME_B};
static char *PATTERNS_PORT[] = {PATTERN_PORT}, *PATTERNS_OWN[] = {PATTERN_OWN};
static char *PATTERNS_BROKEN[] = {BROKEN};

// Two certificates; the second has patterns of its own.
static void set_up(struct scene *scene, struct edge_certificate_options own[2],
                   struct edge_certificate certs[2]) {
    *scene = (struct scene){.port = {.port = 8443}};
    memset(own, 0, 2 * sizeof(*own));
    memset(certs, 0, 2 * sizeof(*certs));
    own[0].name = NAME_A;
    own[1] = (struct edge_certificate_options){
        .name = NAME_B, .has_skip_mtls = true, .skip_mtls = {.items = PATTERNS_OWN, .num = 1}};
    certs[0].name = NAME_A;
    certs[0].server_names = NAMES_A;
    certs[1].name = NAME_B;
    certs[1].server_names = NAMES_B;
    for (int i = 0; i < 2; i++) {
        certs[i].num_server_names = 1;
        certs[i].rules.auth = EDGE_AUTH_REQUIRED;
    }
    scene->server = (struct edge_server){.certificates = certs, .num_certificates = 2};
    scene->port.edge = (struct edge_options){
        .is_http = true,
        .certificates = own,
        .num_certificates = 2,
        .http = {.skip_mtls = {.items = PATTERNS_PORT, .num = 1}, .check_host_matches_sni = true},
    };
}

static int judge(const struct scene *scene, const struct edge_rules *rules, const char *sni,
                 const char *path) {
    const struct http_policy *policy = edge_http_policy(&scene->http, &scene->server, rules);
    const struct http_caller caller = {
        .tls = true,
        .sni = sni,
        .requires_client = scene->server.certificates[0].rules.auth == EDGE_AUTH_REQUIRED};
    struct http_fields request = {.num = 0};
    struct http_verdict verdict;
    assert_int_equal(http_fields_set(&request, ":method", span_of_text("GET")), HTTP_FIELDS_OK);
    assert_int_equal(http_fields_set(&request, ":path", span_of_text(path)), HTTP_FIELDS_OK);
    assert_int_equal(http_fields_set(&request, ":authority", span_of_text(sni)), HTTP_FIELDS_OK);
    http_policy_judge(policy, &caller, &request, &verdict);
    int status = verdict.status;
    http_verdict_fini(&verdict);
    http_fields_fini(&request);
    return status;
}

static void test_patterns_by_certificate(void **state) {
    (void)state;
    struct scene scene;
    struct edge_certificate_options own[2];
    struct edge_certificate certs[2];
    set_up(&scene, own, certs);
    assert_true(edge_http_load(&scene.http, &scene.port, &scene.server, NULL));
    assert_int_equal(judge(&scene, &certs[0].rules, "a.test", "/port"), 0);
    assert_int_equal(judge(&scene, &certs[0].rules, "a.test", "/own"), 400);
    assert_int_equal(judge(&scene, &certs[1].rules, "b.test", "/own"), 0);
    assert_int_equal(judge(&scene, &certs[1].rules, "b.test", "/port"), 400);
    assert_int_equal(judge(&scene, NULL, "a.test", "/port"), 0);
    edge_http_fini(&scene.http);
}

static void test_rules(void **state) {
    (void)state;
    struct scene scene;
    struct edge_certificate_options own[2];
    struct edge_certificate certs[2];
    char prefix[] = "/v1", path[] = "/port";
    struct http_path_options paths = {.path = path, .exact = true};
    struct http_rule_options rule = {
        .path_prefix = prefix, .strip_prefix = true, .paths = &paths, .num_paths = 1};
    set_up(&scene, own, certs);
    scene.port.edge.http.rules = &rule;
    scene.port.edge.http.num_rules = 1;
    scene.port.edge.http.skip_mtls.num = 0;
    certs[0].rules.auth = certs[1].rules.auth = EDGE_AUTH_NONE;
    scene.port.edge.http.app_protocol = APP_PROTOCOL_HTTP2;
    assert_true(edge_http_load(&scene.http, &scene.port, &scene.server, NULL));
    assert_int_equal(scene.http.application, HTTP_VERSION_2);
    assert_int_equal(judge(&scene, NULL, "a.test", "/port"), 404);
    assert_int_equal(judge(&scene, NULL, "a.test", "/v1/port/x"), 404);
    edge_http_fini(&scene.http);
}

static void test_mistakes(void **state) {
    (void)state;
    struct scene scene;
    struct edge_certificate_options own[2];
    struct edge_certificate certs[2];
    struct err err = {0};
    set_up(&scene, own, certs);
    own[1].skip_mtls.items = PATTERNS_BROKEN;
    assert_false(edge_http_load(&scene.http, &scene.port, &scene.server, &err));
    assert_non_null(strstr(err.msg, "skipMtlsUriRegex"));
    edge_http_fini(&scene.http);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_patterns_by_certificate),
        cmocka_unit_test(test_rules),
        cmocka_unit_test(test_mistakes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
