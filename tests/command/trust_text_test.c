// What `pavise trust` prints for people.
#include "agent/command/trust_text.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "tests/trust/trust_fixture.h"

#define NOW_MS (PKI_NOW * INT64_C(1000))

static void expect_in(struct buf *out, const char *wanted, bool there) {
    assert_true(buf_append(out, "", 1));
    const char *text = (const char *)buf_span(out).ptr;
    if ((strstr(text, wanted) != NULL) != there) {
        fail_msg("\"%s\" %s in\n%s", wanted, there ? "is not" : "is", text);
    }
    buf_fini(out);
}

static void tables(void **state) {
    struct trust_view view = {.set = *state};
    struct buf out = {0};
    assert_true(trust_text_table(&out, &view, false, NOW_MS));
    expect_in(&out, "NAME   SUBJECT", true);
    assert_true(trust_text_table(&out, &view, false, NOW_MS));
    expect_in(&out, "\nbeta", true);
    assert_true(trust_text_table(&out, &view, false, NOW_MS));
    expect_in(&out, "public: ", false);
    assert_true(trust_text_table(&out, &view, true, NOW_MS));
    expect_in(&out, "public: ", true);
}

static void all_of_each(void **state) {
    struct trust_view view = {.set = *state};
    struct buf out = {0};
    assert_true(trust_text_long(&out, &view, false, NOW_MS));
    expect_in(&out, "\n\nname         ", true);
    assert_true(trust_text_long(&out, &view, false, NOW_MS));
    expect_in(&out, "name         public: ", false);
    assert_true(trust_text_long(&out, &view, true, NOW_MS));
    expect_in(&out, "name         public: ", true);
}

static void one_certificate(void **state) {
    const struct trust_entry *entry = trust_set_find(*state, "alpha");
    struct buf out = {0};
    assert_true(trust_text_entry(&out, entry, NOW_MS));
    expect_in(&out, "expires      2100-01-01T00:00:00Z (in ", true);
    assert_true(trust_text_entry(&out, entry, NOW_MS));
    expect_in(&out, "in           ca-bundle.pem\n             certs/", true);
    assert_true(trust_text_entry(&out, entry, NOW_MS));
    expect_in(&out, "warning", false);
}

static void the_summary(void **state) {
    struct trust_view view = {.set = *state};
    struct buf out = {0};
    (void)snprintf(view.public_roots, sizeof(view.public_roots), "/roots.pem");
    assert_true(trust_text_summary(&out, &view));
    expect_in(&out, "3 certificates: 2 of the user's, 1 public roots from /roots.pem\n", true);
}

// Byte for byte what Azure Spring writes.
static void loaded(void **state) {
    const struct trust_set *set = *state;
    const struct trust_entry *entry = trust_set_find(set, "alpha");
    struct buf out = {0};
    char sha1[2 * TRUST_CERT_SHA1_LEN + 1], wanted[256];
    trust_cert_hex(entry->cert->sha1, TRUST_CERT_SHA1_LEN, sha1);
    (void)snprintf(wanted, sizeof(wanted),
                   "Load certificate from specific path. alias = alpha, thumbprint = %s, "
                   "file = source\n",
                   sha1);
    assert_true(trust_text_loaded(&out, set));
    expect_in(&out, wanted, true);
    assert_true(trust_text_loaded(&out, set));
    expect_in(&out, "alias = public", false);
}

static int set_up(void **state) {
    *state = trust_fixture_set();
    return 0;
}

static int tear_down(void **state) {
    trust_set_unref(*state);
    return 0;
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tables),          cmocka_unit_test(all_of_each),
        cmocka_unit_test(one_certificate), cmocka_unit_test(the_summary),
        cmocka_unit_test(loaded),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
