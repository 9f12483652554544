// The golden files: NAME.yaml or NAME.json is what a user wrote, expected/NAME.* what comes out.
// expected/ is written by regenerate.sh and read by a person before it is committed.
#include "agent/inject/inject.h"

#include <dirent.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/file.h"

#define GOLDEN "tests/inject/golden"

enum { FILES_MAX = 256, FILE_LEN_MAX = 1 << 20, MIN_FILES = 25 };

struct result {
    bool ok;
    struct buf text;
    struct buf report;
    struct err err;
};

static struct result inject(struct span text) {
    struct result result = {0};
    struct settings settings;
    settings_init(&settings);
    result.ok = inject_text(text, &settings, &result.text, &result.report, &result.err);
    return result;
}

static struct result take_out(struct span text) {
    struct result result = {0};
    result.ok = inject_remove(text, &result.text, &result.report, &result.err);
    return result;
}

static void fini(struct result *result) {
    buf_fini(&result->text);
    buf_fini(&result->report);
}

static struct buf load(const char *folder, const char *name) {
    char path[512];
    struct buf text = {0};
    struct err err = {0};
    snprintf(path, sizeof path, "%s/%s", folder, name);
    if (!file_read(path, FILE_LEN_MAX, &text, &err)) {
        fail_msg("%s", err.msg);
    }
    return text;
}

static void expect_same(const char *name, const char *what, struct span got, struct span wanted) {
    if (!span_equal(got, wanted)) {
        fail_msg("%s: %s:\n%.*s", name, what, (int)got.len, (const char *)got.ptr);
    }
}

static void check_file(const char *name) {
    struct buf before = load(GOLDEN, name);
    struct buf expected = load(GOLDEN "/expected", name);
    struct result injected = inject(buf_span(&before));
    if (!injected.ok) {
        fail_msg("%s: %s", name, injected.err.msg);
    }
    expect_same(name, "injected", buf_span(&injected.text), buf_span(&expected));
    struct result again = inject(buf_span(&injected.text));
    assert_true(again.ok);
    expect_same(name, "injected twice", buf_span(&again.text), buf_span(&expected));
    struct result back = take_out(buf_span(&injected.text));
    assert_true(back.ok);
    expect_same(name, "taken out", buf_span(&back.text), buf_span(&before));
    fini(&injected);
    fini(&again);
    fini(&back);
    buf_fini(&before);
    buf_fini(&expected);
}

static void test_golden_files(void **state) {
    (void)state;
    size_t num = 0;
    DIR *folder = opendir(GOLDEN);
    assert_non_null(folder);
    for (const struct dirent *entry; (entry = readdir(folder)) != NULL;) {
        const char *end = strrchr(entry->d_name, '.');
        if (end != NULL && (strcmp(end, ".yaml") == 0 || strcmp(end, ".json") == 0)) {
            check_file(entry->d_name);
            num++;
        }
    }
    closedir(folder);
    assert_in_range(num, MIN_FILES, FILES_MAX);
}

static void expect_refusal(const char *text, const char *sentence) {
    struct result result = inject(span_of_text(text));
    if (result.ok || strstr(result.err.msg, sentence) == NULL) {
        fail_msg("%s\nsays: %s", text, result.err.msg);
    }
    fini(&result);
}

#define POD "apiVersion: v1\nkind: Pod\nmetadata:\n  name: p\n"

static void test_refusals(void **state) {
    (void)state;
    expect_refusal("a: [", "1:");
    expect_refusal("a: 1\na: 2\n", "2:1: this key is there twice");
    expect_refusal(POD "spec:\n  securityContext: {runAsUser: 1337}\n  containers: [{name: a}]\n",
                   "1:1: Pod p: it runs as uid 1337");
    expect_refusal(POD
                   "spec:\n  containers:\n  - name: a\n    securityContext: {runAsUser: 1337}\n",
                   "Pod p: containers: container a runs as uid 1337");
    expect_refusal(POD "  annotations: {pavise/mode: lax}\nspec:\n  containers: [{name: a}]\n",
                   "pavise/mode wants strict or permissive");
    expect_refusal(POD "  annotations: {pavise/mod: strict}\nspec:\n  containers: [{name: a}]\n",
                   "there is no setting pavise/mod");
    expect_refusal(POD "  annotations: {pavise/skip-inbound-ports: \"80;drop\"}\n"
                       "spec:\n  containers: [{name: a}]\n",
                   "pavise/skip-inbound-ports wants ports and ranges");
    expect_refusal(POD "  annotations: {pavise/config: \"inbound: {mod: x}\"}\n"
                       "spec:\n  containers: [{name: a}]\n",
                   "the agent's configuration would not be right: agent.yaml:");
    expect_refusal(POD "  annotations: {pavise/identity: podCertificate}\n"
                       "spec:\n  containers: [{name: a}]\n",
                   "needs pavise/identity-signer");
    expect_refusal(POD "  annotations: {pavise/sidecar: container}\nspec:\n"
                       "  restartPolicy: OnFailure\n  containers: [{name: a}]\n",
                   "does not go with restartPolicy: OnFailure");
    expect_refusal(POD "  annotations: {pavise/sidecar: container}\nspec:\n"
                       "  restartPolicy: Never\n  shareProcessNamespace: false\n"
                       "  containers: [{name: a}]\n",
                   "needs shareProcessNamespace: true");
    expect_refusal(POD "  annotations: {pavise/sidecar: container}\nspec:\n"
                       "  restartPolicy: Never\n  hostPID: true\n  containers: [{name: a}]\n",
                   "does not go with hostPID: true");
    expect_refusal(POD "spec:\n  containers:\n  - name: a\n    livenessProbe:\n"
                       "      httpGet: {port: web}\n",
                   "the container has no port \"web\" for its livenessProbe");
    expect_refusal(POD "spec:\n  containers: [{name: pavise}]\n", "it has \"pavise\" but no");
    expect_refusal(POD "spec:\n  containers: [{name: \"a\\\"b\"}]\n", "a container is a mapping");
    expect_refusal(POD "spec:\n  x: &v [{name: v}]\n  volumes: *v\n  containers: [{name: a}]\n",
                   "volumes is an anchor, an alias or a tag");
    expect_refusal(POD "spec:\n  <<: {a: b}\n  containers: [{name: a}]\n", "merged (<<)");
    expect_refusal("kind: Pod\nmetadata: text\nspec:\n  containers: [{name: a}]\n",
                   "its metadata is not a mapping");
    expect_refusal(POD "spec:\n\r  containers: [{name: a}]\n", "6:1: a lone carriage return");
    expect_refusal(POD "spec:\n  volumes: {a: b}\n  containers: [{name: a}]\n",
                   "volumes is not a list");
}

static void expect_report(const char *text, const char *report) {
    struct result result = inject(span_of_text(text));
    assert_true(result.ok);
    expect_same(text, "report", buf_span(&result.report), span_of_text(report));
    expect_same(text, "unchanged", buf_span(&result.text), span_of_text(text));
    fini(&result);
}

static void test_left_alone(void **state) {
    (void)state;
    expect_report("", "");
    expect_report("# nothing\n---\n---\na: 1\n", "");
    expect_report("kind: Service\nmetadata: {name: s}\nspec: {template: {spec: {}}}\n", "");
    expect_report(POD "spec: {hostNetwork: true, containers: [{name: a}]}\n",
                  "Pod p: left alone: it uses the node's network (hostNetwork), whose rules would "
                  "be changed\n");
    expect_report(POD "spec: {os: {name: windows}, containers: [{name: a}]}\n",
                  "Pod p: left alone: it is for Windows\n");
    expect_report(POD "  labels: {pavise/inject: disabled}\nspec: {containers: [{name: a}]}\n",
                  "Pod p: left alone: pavise/inject says disabled\n");
    expect_report(POD "spec: {containers: []}\n", "Pod p: left alone: it has no containers\n");
}

// What another tool wrote anew: other layout, other order of keys.
static void test_taking_out_of_other_layout(void **state) {
    (void)state;
    struct result back = take_out(span_of_text(
        "{\"kind\": \"Pod\", \"metadata\": {\"annotations\": {\"pavise/agent-config\": \"x\", "
        "\"pavise/injected\": \"1\", \"pavise/original\": "
        "\"{\\\"/spec/containers/0/livenessProbe/httpGet\\\":[6,\\\"tcpSocket:\\\\n        port: "
        "80\\\"]}\", \"z\": \"z\"}, \"name\": \"p\"}, \"spec\": {\"containers\": [{\"env\": "
        "[{\"name\": \"A\", \"value\": \"/run/pavise/trust/x\"}], \"livenessProbe\": "
        "{\"httpGet\": {\"path\": \"/x\", \"port\": 15021}}, \"name\": \"a\", \"volumeMounts\": "
        "[{\"mountPath\": \"/run/pavise/trust\", \"name\": \"pavise-trust\"}]}], "
        "\"initContainers\": [{\"name\": \"pavise\"}], \"volumes\": [{\"name\": \"mine\"}, "
        "{\"name\": \"pavise-config\"}]}}"));
    assert_true(back.ok);
    expect_same("json", "taken out", buf_span(&back.text),
                span_of_text("{\"kind\": \"Pod\", \"metadata\": {\"annotations\": {\"z\": \"z\"}, "
                             "\"name\": \"p\"}, \"spec\": {\"containers\": [{\"livenessProbe\": "
                             "{\"tcpSocket\": {\"port\": 80}}, \"name\": \"a\"}], \"volumes\": "
                             "[{\"name\": \"mine\"}]}}"));
    fini(&back);
}

static void test_a_broken_original_is_refused(void **state) {
    (void)state;
    static const char *const kept[] = {"[", "x", "{\"/spec/none/x\": [2, \"a: b\"]}",
                                       "{\"/spec\": 1}", "{\"/spec\": [\"\", \"x\"]}"};
    for (size_t i = 0; i < sizeof kept / sizeof kept[0]; i++) {
        char text[512];
        snprintf(text, sizeof text,
                 POD "  annotations:\n    pavise/injected: \"1\"\n    pavise/original: '%s'\n"
                     "spec:\n  containers: [{name: a}]\n",
                 kept[i]);
        struct result back = take_out(span_of_text(text));
        if (back.ok || strstr(back.err.msg, "pavise/original") == NULL) {
            fail_msg("%s: %s", kept[i], back.err.msg);
        }
        fini(&back);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_golden_files),
        cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_left_alone),
        cmocka_unit_test(test_taking_out_of_other_layout),
        cmocka_unit_test(test_a_broken_original_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
