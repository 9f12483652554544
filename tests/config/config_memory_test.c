// Every allocation fails once: a configuration is then refused, nothing leaks and nothing crashes.
// The linker puts the functions below in front of malloc, calloc and realloc (see BUILD.bazel).
#include "agent/config/config.h"

#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#include "base/buf.h"

static int num_until_failure = INT_MAX; // malloc has no argument to carry it

void *__real_malloc(size_t size);
void *__real_calloc(size_t num, size_t size);
void *__real_realloc(void *mem, size_t size);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t num, size_t size);
void *__wrap_realloc(void *mem, size_t size);

static bool fails(void) {
    if (num_until_failure == INT_MAX) {
        return false;
    }
    return num_until_failure-- == 0;
}

void *__wrap_malloc(size_t size) {
    return fails() ? NULL : __real_malloc(size);
}

void *__wrap_calloc(size_t num, size_t size) {
    return fails() ? NULL : __real_calloc(num, size);
}

void *__wrap_realloc(void *mem, size_t size) {
    return fails() ? NULL : __real_realloc(mem, size);
}

static const char text[] =
    "outbound:\n"
    "  listeners: [{listen: '127.0.0.1:7000', destination: 'a.b:6379'}]\n"
    "  destinations: [{match: {hosts: [a], ports: [1, 2-3]}, peers: ['spiffe://a/**']}]\n"
    "inbound: {authorization: [{action: allow}, {action: deny}], ports: [{port: 80}]}\n"
    "trustStore: {sources: [/a], output: /b}\n";

// How many allocations it took, or -1 when one of them failed.
static int parse_and_render(int fail_at) {
    struct buf errors = {0};
    struct buf warnings = {0};
    struct buf json = {0};
    num_until_failure = fail_at;
    struct config *config = config_parse("f", span_of_text(text), &errors, &warnings);
    bool ok = config != NULL && config_render_json(config, &json);
    bool failed = num_until_failure < 0;
    num_until_failure = INT_MAX;
    assert_int_equal(ok, !failed);
    config_unref(config);
    buf_fini(&errors);
    buf_fini(&warnings);
    buf_fini(&json);
    return ok ? 0 : -1;
}

static void test_every_allocation_fails_once(void **state) {
    (void)state;
    int num = 0;
    while (parse_and_render(num) != 0) {
        num++;
        assert_true(num < 100000);
    }
    assert_true(num > 100); // or the wrappers are not in the way
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_every_allocation_fails_once)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
