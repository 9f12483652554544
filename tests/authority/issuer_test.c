// Certificates in force: made once, renewed when due, forgotten when nobody wants them.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "authority/ca.h"
#include "authority/issuer.h"
#include "base/err.h"
#include "base/own.h"
#include "certmgr/update.h"
#include "certmgr/workload_codec.h"

#define NOW_MS ((int64_t)1800000000000)
#define ROTATE_MS 500
#define TTL_MS 2000
#define ID "spiffe://example.org/a"

struct fixture {
    struct ca *ca;
    struct issuer *issuer;
    unsigned num_renewed;
    unsigned num_failed;
};

static void on_renewed(void *arg, struct subject *subject) {
    (void)subject;
    ((struct fixture *)arg)->num_renewed++;
}

static void on_failed(void *arg, struct subject *subject, const struct err *err) {
    (void)subject;
    (void)err;
    ((struct fixture *)arg)->num_failed++;
}

static void renew(struct fixture *fixture, int64_t now_ms) {
    const struct issuer_observer observer = {
        .renewed = on_renewed, .failed = on_failed, .arg = fixture};
    issuer_renew(fixture->issuer, now_ms, &observer);
}

static int setup(void **state) {
    struct err err = {0};
    struct fixture *fixture = calloc(1, sizeof(*fixture));
    const struct ca_policy ca_policy = {.trust_domain = "example.org", .lifetime_s = CA_LIFETIME_S};
    const struct issuer_policy policy = {
        .trust_domain = "example.org", .ttl_ms = TTL_MS, .rotate_ms = ROTATE_MS};
    assert_non_null(fixture);
    fixture->ca = ca_new(ca_policy, NOW_MS / 1000, &err);
    assert_non_null(fixture->ca);
    fixture->issuer = issuer_new(fixture->ca, policy, &err);
    assert_non_null(fixture->issuer);
    *state = fixture;
    return 0;
}

static int teardown(void **state) {
    struct fixture *fixture = *state;
    issuer_free(fixture->issuer);
    ca_free(fixture->ca);
    free(fixture);
    return 0;
}

static struct subject *get(struct fixture *fixture, const char *id, int64_t now_ms, bool is_new) {
    struct err err = {0};
    bool made = false;
    struct subject *subject = issuer_subject(fixture->issuer, id, now_ms, &made, &err);
    assert_non_null(subject);
    assert_int_equal(made, is_new);
    return subject;
}

static void test_response_is_complete(void **state) {
    struct fixture *fixture = *state;
    struct err err = {0};
    struct buf bundle __attribute__((cleanup(buf_fini))) = {0};
    struct subject *subject = get(fixture, ID, NOW_MS, true);
    OWNED(update_free)
    struct update *update = workload_decode_svids(buf_span(&subject->response), &err);
    assert_non_null(update);
    assert_int_equal(update->num_svids, 1);
    assert_int_equal(update->num_federated, 0);
    assert_true(span_equal_text(update_bytes_span(&update->svids[0].spiffe_id), ID));
    assert_true(ca_bundle(fixture->ca, &bundle, &err));
    assert_true(span_equal(update_bytes_span(&update->svids[0].bundle), buf_span(&bundle)));
    assert_int_equal(subject->not_after, (NOW_MS + TTL_MS) / 1000);

    struct buf bundles __attribute__((cleanup(buf_fini))) = {0};
    assert_true(issuer_bundles(fixture->issuer, &bundles, &err));
    OWNED(update_free) struct update *all = workload_decode_bundles(buf_span(&bundles), &err);
    assert_non_null(all);
    assert_int_equal(all->num_federated, 1);
    assert_true(span_equal_text(update_bytes_span(&all->federated[0].trust_domain_id),
                                "spiffe://example.org"));
    assert_true(span_equal(update_bytes_span(&all->federated[0].der), buf_span(&bundle)));
}

static void test_renewed_while_wanted(void **state) {
    struct fixture *fixture = *state;
    struct list_node subscriber = {0};
    char serial[CA_SERIAL_TEXT_MAX];
    assert_int_equal(issuer_next_due_ms(fixture->issuer), INT64_MAX);
    struct subject *subject = get(fixture, ID, NOW_MS, true);
    list_append(&subject->subscribers, &subscriber);
    assert_int_equal(issuer_next_due_ms(fixture->issuer), NOW_MS + ROTATE_MS);
    memcpy(serial, subject->serial, sizeof(serial));
    renew(fixture, NOW_MS + ROTATE_MS - 1);
    assert_int_equal(fixture->num_renewed, 0);
    assert_string_equal(serial, subject->serial);
    renew(fixture, NOW_MS + ROTATE_MS);
    assert_int_equal(fixture->num_renewed, 1);
    assert_string_not_equal(serial, subject->serial);
    assert_int_equal(subject->num_issued, 2);
    assert_int_equal(issuer_next_due_ms(fixture->issuer), NOW_MS + 2 * ROTATE_MS);
    assert_ptr_equal(get(fixture, ID, NOW_MS + ROTATE_MS, false), subject);
    renew(fixture, NOW_MS - 3600 * 1000); // the clock went back: not valid yet, so anew
    assert_int_equal(fixture->num_renewed, 2);
    issuer_expire_all(fixture->issuer);
    renew(fixture, NOW_MS - 3600 * 1000);
    assert_int_equal(fixture->num_renewed, 3);
    assert_int_equal(fixture->num_failed, 0);
    list_remove(&subscriber);
}

static void test_forgotten_when_unwanted(void **state) {
    struct fixture *fixture = *state;
    (void)get(fixture, ID, NOW_MS, true);
    (void)get(fixture, ID, NOW_MS + 1, false); // a reconnect gets the same
    renew(fixture, NOW_MS + ROTATE_MS);
    assert_int_equal(fixture->num_renewed, 0);
    assert_int_equal(issuer_next_due_ms(fixture->issuer), INT64_MAX);
    (void)get(fixture, ID, NOW_MS + ROTATE_MS, true);
    (void)get(fixture, ID, NOW_MS + 2 * ROTATE_MS, true); // too old and nobody's: made anew
}

static void test_unwanted_make_room(void **state) {
    struct fixture *fixture = *state;
    struct list_node subscriber = {0};
    struct subject *kept = get(fixture, ID, NOW_MS, true);
    list_append(&kept->subscribers, &subscriber);
    for (unsigned i = 0; i < ISSUER_SUBJECTS_MAX + 10; i++) {
        char id[64];
        (void)snprintf(id, sizeof(id), "spiffe://example.org/uid/%u", i);
        (void)get(fixture, id, NOW_MS, true);
    }
    assert_ptr_equal(get(fixture, ID, NOW_MS, false), kept);
    list_remove(&subscriber);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_response_is_complete, setup, teardown),
        cmocka_unit_test_setup_teardown(test_renewed_while_wanted, setup, teardown),
        cmocka_unit_test_setup_teardown(test_forgotten_when_unwanted, setup, teardown),
        cmocka_unit_test_setup_teardown(test_unwanted_make_room, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
