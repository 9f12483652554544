// What is kept across a restart fills gaps and nothing else, and not for longer than it may.
#include "certmgr/kept_bundles.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "certmgr/pem.h"
#include "tests/testing/pki.h"

#define NOW INT64_C(1800000000)
#define DAY KEPT_BUNDLES_FOR_S

struct bench {
    struct pki_cert *own_ca, *other_ca, *new_ca, *leaf;
    struct pki_bytes *crl;
    struct kept_bundles *kept;
};

static int set_up(void **state) {
    struct bench *b = calloc(1, sizeof *b);
    assert_non_null(b);
    b->own_ca = pki_ca();
    b->other_ca = pki_ca();
    b->new_ca = pki_ca();
    b->leaf = pki_leaf(b->own_ca, "spiffe://example.org/web");
    b->crl = pki_crl(b->own_ca, NULL, PKI_NOT_BEFORE, PKI_NOT_AFTER);
    b->kept = kept_bundles_new();
    assert_non_null(b->kept);
    *state = b;
    return 0;
}

static int tear_down(void **state) {
    struct bench *b = *state;
    pki_free(b->own_ca);
    pki_free(b->other_ca);
    pki_free(b->new_ca);
    pki_free(b->leaf);
    pki_bytes_free(b->crl);
    kept_bundles_free(b->kept);
    free(b);
    return 0;
}

static void set(struct update_bytes *out, struct span bytes) {
    assert_true(update_bytes_set(out, bytes));
}

// As the Workload API would deliver it; `other` NULL: no federated bundle.
static struct update *full(struct bench *b, const struct pki_cert *own,
                           const struct pki_cert *other) {
    struct update *update = update_new(1, other != NULL, other != NULL);
    assert_non_null(update);
    set(&update->svids[0].spiffe_id, span_of_text("spiffe://example.org/web"));
    set(&update->svids[0].bundle, pki_der(own));
    if (other != NULL) {
        set(&update->federated[0].trust_domain_id, span_of_text("spiffe://other.org"));
        set(&update->federated[0].der, pki_der(other));
        set(&update->crls[0], pki_span(b->crl));
    }
    return update;
}

// As `files` delivers it; `own` NULL: without a bundle.
static struct update *gaps(const struct pki_cert *own) {
    struct update *update = update_new(1, 0, 0);
    assert_non_null(update);
    update->takes_kept = true;
    set(&update->svids[0].spiffe_id, span_of_text("spiffe://example.org/web"));
    if (own != NULL) {
        set(&update->svids[0].bundle, pki_der(own));
    }
    return update;
}

// Takes the update.
static void record(struct bench *b, struct update *update, int64_t now) {
    struct err err = {0};
    assert_true(kept_bundles_fill(b->kept, update, now, &err));
    assert_true(kept_bundles_record(b->kept, update, now, &err));
    update_free(update);
}

static struct update *filled(struct bench *b, const struct pki_cert *own, int64_t now) {
    struct err err = {0};
    struct update *update = gaps(own);
    assert_true(kept_bundles_fill(b->kept, update, now, &err));
    return update;
}

static void expect_own(const struct update *update, const struct pki_cert *ca) {
    struct span bundle = update_bytes_span(&update->svids[0].bundle);
    assert_true(ca == NULL ? bundle.len == 0 : span_equal(bundle, pki_der(ca)));
}

static void expect_other(const struct update *update, const struct pki_cert *ca) {
    assert_int_equal(update->num_federated, ca != NULL);
    if (ca != NULL) {
        assert_true(span_equal_text(update_bytes_span(&update->federated[0].trust_domain_id),
                                    "spiffe://other.org"));
        assert_true(span_equal(update_bytes_span(&update->federated[0].der), pki_der(ca)));
    }
}

static void restart(struct bench *b, int64_t now) {
    struct buf text = {0};
    struct err err = {0};
    assert_true(kept_bundles_render(b->kept, &text));
    kept_bundles_free(b->kept);
    b->kept = kept_bundles_new();
    assert_non_null(b->kept);
    if (!kept_bundles_parse(b->kept, buf_span(&text), now, &err)) {
        fail_msg("%s", err.msg);
    }
    buf_fini(&text);
}

static void gaps_are_filled_after_a_restart(void **state) {
    struct bench *b = *state;
    record(b, full(b, b->own_ca, b->other_ca), NOW);
    restart(b, NOW + 10);
    OWNED(update_free) struct update *update = filled(b, NULL, NOW + 20);
    expect_own(update, b->own_ca);
    expect_other(update, b->other_ca);
    assert_int_equal(update->num_crls, 1);
    assert_true(span_equal(update_bytes_span(&update->crls[0]), pki_span(b->crl)));
    assert_int_equal(kept_bundles_filled_until(b->kept), NOW + DAY);
}

static void what_a_source_says_is_never_replaced(void **state) {
    struct bench *b = *state;
    record(b, full(b, b->own_ca, b->other_ca), NOW);
    OWNED(update_free) struct update *update = filled(b, b->new_ca, NOW + 20);
    expect_own(update, b->new_ca);
    expect_other(update, b->other_ca);
}

static void a_full_state_takes_nothing_and_forgets(void **state) {
    struct bench *b = *state;
    record(b, full(b, b->own_ca, b->other_ca), NOW);
    struct err err = {0};
    struct update *update = full(b, b->new_ca, NULL);
    assert_true(kept_bundles_fill(b->kept, update, NOW + 1, &err));
    expect_own(update, b->new_ca);
    expect_other(update, NULL);
    assert_int_equal(update->num_crls, 0);
    record(b, update, NOW + 1);
    OWNED(update_free) struct update *after = filled(b, NULL, NOW + 2);
    expect_own(after, b->new_ca);
    expect_other(after, NULL);
    assert_int_equal(after->num_crls, 0);
}

static void nothing_is_good_for_longer_than_a_day(void **state) {
    struct bench *b = *state;
    record(b, full(b, b->own_ca, b->other_ca), NOW);
    OWNED(update_free) struct update *last = filled(b, NULL, NOW + DAY - 1);
    expect_own(last, b->own_ca);
    OWNED(update_free) struct update *late = filled(b, NULL, NOW + DAY);
    expect_own(late, NULL);
    expect_other(late, NULL);
    assert_int_equal(kept_bundles_filled_until(b->kept), 0);
    OWNED(update_free) struct update *past = filled(b, NULL, NOW - 1); // a clock that was set back
    expect_own(past, NULL);
    restart(b, NOW + DAY); // nor is it loaded
    OWNED(update_free) struct update *again = filled(b, NULL, NOW);
    expect_own(again, NULL);
}

// Otherwise what was kept once would keep itself for ever.
static void being_used_does_not_make_it_younger(void **state) {
    struct bench *b = *state;
    record(b, full(b, b->own_ca, b->other_ca), NOW);
    restart(b, NOW + 1);
    record(b, gaps(NULL), NOW + DAY / 2);
    kept_bundles_confirm(b->kept, NOW + DAY / 2);
    restart(b, NOW + DAY / 2 + 1);
    OWNED(update_free) struct update *late = filled(b, NULL, NOW + DAY);
    expect_own(late, NULL);
    expect_other(late, NULL);
}

static void a_source_that_is_there_confirms(void **state) {
    struct bench *b = *state;
    record(b, full(b, b->own_ca, b->other_ca), NOW);
    kept_bundles_confirm(b->kept, NOW + DAY / 2);
    OWNED(update_free) struct update *update = filled(b, NULL, NOW + DAY);
    expect_own(update, b->own_ca);
    expect_other(update, b->other_ca);
}

static void a_withdrawal_takes_nothing(void **state) {
    struct bench *b = *state;
    record(b, full(b, b->own_ca, b->other_ca), NOW);
    struct err err = {0};
    OWNED(update_free) struct update *update = gaps(NULL);
    update->withdrawn = true;
    assert_true(kept_bundles_fill(b->kept, update, NOW + 1, &err));
    expect_own(update, NULL);
}

static char *text_of(struct bench *b) {
    struct buf text = {0};
    record(b, full(b, b->own_ca, b->other_ca), NOW);
    assert_true(kept_bundles_render(b->kept, &text));
    char *copy = buf_take_text(&text);
    assert_non_null(copy);
    return copy;
}

static void expect_refused(struct bench *b, struct span text) {
    struct err err = {0};
    assert_false(kept_bundles_parse(b->kept, text, NOW, &err));
    assert_true(err.msg[0] != '\0');
    OWNED(update_free) struct update *update = filled(b, NULL, NOW); // as before
    expect_own(update, b->own_ca);
    expect_other(update, b->other_ca);
}

static void damaged_texts_are_refused(void **state) {
    struct bench *b = *state;
    char *text = text_of(b);
    static const char *const rows[] = {
        "",
        "pavise bundles 2\n",
        "pavise bundles 1\nx\n",
        "pavise bundles 1\ndomain example.org\n",
        "pavise bundles 1\ndomain example.org 1800000000\n",
        "pavise bundles 1\ndomain EXAMPLE.org 1800000000\n",
        "pavise bundles 1\ndomain  1800000000\n",
        "pavise bundles 1\ncrls 1800000000\n",
        "pavise bundles 1\ncrls\n",
        "pavise bundles 1\ncrls 18000000000000000000000\n",
        "pavise bundles 1\ncrls -1\n",
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        expect_refused(b, span_of_text(rows[i]));
    }
    struct buf leaf = {0}; // no CA
    assert_true(buf_append_text(&leaf, "pavise bundles 1\ndomain example.org 1800000000\n") &&
                pem_render("CERTIFICATE", pki_der(b->leaf), &leaf));
    expect_refused(b, buf_span(&leaf));
    buf_fini(&leaf);
    struct buf twice = {0};
    assert_true(buf_append_text(&twice, text) && buf_append_text(&twice, strchr(text, '\n') + 1));
    expect_refused(b, buf_span(&twice));
    buf_fini(&twice);
    free(text);
}

// Cut anywhere, it is refused, or it is a shorter list of whole entries.
static void cut_texts_do_no_harm(void **state) {
    struct bench *b = *state;
    char *text = text_of(b);
    size_t len = strlen(text);
    for (size_t i = 0; i < len; i++) {
        struct err err = {0};
        OWNED(kept_bundles_free) struct kept_bundles *kept = kept_bundles_new();
        assert_non_null(kept);
        if (!kept_bundles_parse(kept, span_of(text, i), NOW, &err)) {
            continue;
        }
        OWNED(update_free) struct update *update = gaps(NULL);
        assert_true(kept_bundles_fill(kept, update, NOW, &err));
        struct span own = update_bytes_span(&update->svids[0].bundle);
        assert_true(own.len == 0 || span_equal(own, pki_der(b->own_ca)));
    }
    free(text);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(gaps_are_filled_after_a_restart),
        TEST(what_a_source_says_is_never_replaced),
        TEST(a_full_state_takes_nothing_and_forgets),
        TEST(nothing_is_good_for_longer_than_a_day),
        TEST(being_used_does_not_make_it_younger),
        TEST(a_source_that_is_there_confirms),
        TEST(a_withdrawal_takes_nothing),
        TEST(damaged_texts_are_refused),
        TEST(cut_texts_do_no_harm),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
