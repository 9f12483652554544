// Each golden/NAME.yaml against golden/NAME.nft, and names that must never reach rule text.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "agent/config/config.h"
#include "agent/intercept/rules.h"
#include "base/buf.h"
#include "base/err.h"
#include "base/file.h"

#define FILE_MAX ((size_t)64 * 1024)

static struct config *load(const char *path) {
    struct buf errors = {0};
    struct buf warnings = {0};
    struct config *config = config_load(path, &errors, &warnings);
    if (config == NULL) {
        fail_msg("%.*s", (int)errors.len, (const char *)buf_span(&errors).ptr);
    }
    buf_fini(&errors);
    buf_fini(&warnings);
    return config;
}

static void check_golden(const char *name) {
    char path[128];
    struct err err = {0};
    struct buf wanted = {0};
    struct buf rules = {0};
    snprintf(path, sizeof path, "tests/intercept/golden/%s.yaml", name);
    struct config *config = load(path);
    snprintf(path, sizeof path, "tests/intercept/golden/%s.nft", name);
    assert_true(file_read(path, FILE_MAX, &wanted, &err));
    assert_true(rules_render(config, &rules, &err));
    if (!span_equal(buf_span(&rules), buf_span(&wanted))) {
        fail_msg("%s is not what rules_render gives:\n%.*s", path, (int)rules.len,
                 (const char *)buf_span(&rules).ptr);
    }
    buf_fini(&wanted);
    buf_fini(&rules);
    config_unref(config);
}

static void test_defaults(void **state UNUSED) {
    check_golden("defaults");
}

static void test_every_key(void **state UNUSED) {
    check_golden("full");
}

static void test_outbound_alone(void **state UNUSED) {
    check_golden("outbound_only");
}

static void test_inbound_alone(void **state UNUSED) {
    check_golden("inbound_only");
}

static void test_nothing_to_redirect(void **state UNUSED) {
    check_golden("nothing");
}

static void test_removal(void **state UNUSED) {
    struct err err = {0};
    struct buf rules = {0};
    assert_true(rules_render_removal(&rules, &err));
    assert_true(
        span_equal_text(buf_span(&rules), "add table inet pavise\ndelete table inet pavise\n"));
    buf_fini(&rules);
}

// A configuration that did not come through the parser.
static void test_interface_names_are_checked_again(void **state UNUSED) {
    static char *const BAD[] = {
        "",      "eth0\" } ; flush ruleset ; #",
        "a\"",   "a\nb",
        "a;b",   "a b",
        "veth*", "a{b}",
        "a\\",   "sixteen-bytes-xx",
        "..",    "\xc3\xa9",
    };
    for (size_t i = 0; i < sizeof BAD / sizeof BAD[0]; i++) {
        char *names[] = {"eth0", BAD[i]};
        struct config config = {0};
        config.intercept.exclude_interfaces = (struct string_list){.items = names, .num = 2};
        struct err err = {0};
        struct buf rules = {0};
        assert_false(rules_render(&config, &rules, &err));
        assert_int_equal(err.class, ERR_INPUT);
        assert_int_equal(rules.len, 0);
        buf_fini(&rules);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_defaults),
        cmocka_unit_test(test_every_key),
        cmocka_unit_test(test_outbound_alone),
        cmocka_unit_test(test_inbound_alone),
        cmocka_unit_test(test_nothing_to_redirect),
        cmocka_unit_test(test_removal),
        cmocka_unit_test(test_interface_names_are_checked_again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
