// What a table makes of answers and failures: what is stapled, and when the responder is asked
// again. The clock is the test's.
#include "agent/staple/staple_table.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "agent/edge/edge_inventory.h"
#include "base/buf.h"
#include "base/file.h"
#include "certmgr/pem.h"
#include "tests/testing/pki.h"

#define NOW INT64_C(1800000000)
#define HOUR INT64_C(3600)
#define DAY (24 * HOUR)
#define ON ", enabled: true"

struct world {
    char directory[64];
    struct edge_set *set;
    struct staple_table *table;
};

static void write_pem(const struct world *w, const char *name, const char *label, struct span a,
                      struct span b) {
    char path[128];
    struct buf pem = {0};
    snprintf(path, sizeof(path), "%s/%s", w->directory, name);
    assert_true(pem_render(label, a, &pem) && (b.len == 0 || pem_render(label, b, &pem)));
    assert_true(file_write_atomic(path, buf_span(&pem), 0600, NULL));
    buf_fini(&pem);
}

// A port with one certificate, whose stapling has these keys besides.
static struct edge_set *load(const struct world *w, const char *keys) {
    char text[1024];
    struct buf errors = {0};
    snprintf(text, sizeof(text),
             "inbound: {ports: [{port: 8443, tlsMode: required, clientAuth: none, certificates: "
             "[{name: www, certFile: %s/chain.crt, keyFile: %s/server.key, stapling: {"
             "responder: 'http://ocsp.x/'%s}}]}]}\n",
             w->directory, w->directory, keys);
    struct config *config = config_parse("f", span_of_text(text), &errors, NULL);
    struct edge_load how = {.name = "f", .errors = &errors};
    struct edge_set *set = config == NULL ? NULL : edge_set_load(config, &how);
    if (set == NULL) {
        fail_msg("%.*s", (int)errors.len, (const char *)buf_span(&errors).ptr);
    }
    config_unref(config);
    buf_fini(&errors);
    return set;
}

static int set_up(void **state) {
    struct world *w = calloc(1, sizeof(*w));
    assert_non_null(w);
    strcpy(w->directory, "/tmp/pavise-staple-XXXXXX");
    assert_non_null(mkdtemp(w->directory));
    OWNED(pki_free) struct pki_cert *ca = pki_ca();
    OWNED(pki_free) struct pki_cert *leaf = pki_issue(ca, &(struct pki_options){0});
    write_pem(w, "chain.crt", "CERTIFICATE", pki_der(leaf), pki_der(ca));
    write_pem(w, "server.key", "PRIVATE KEY", pki_key_der(leaf), span_of(NULL, 0));
    w->set = load(w, ON);
    w->table = staple_table_new(w->set, NULL);
    assert_non_null(w->table);
    *state = w;
    return 0;
}

static int tear_down(void **state) {
    static const char *const names[] = {"chain.crt", "server.key"};
    struct world *w = *state;
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        char path[128];
        snprintf(path, sizeof(path), "%s/%s", w->directory, names[i]);
        unlink(path);
    }
    rmdir(w->directory);
    staple_table_unref(w->table);
    edge_set_unref(w->set);
    free(w);
    return 0;
}

static void answer(struct staple_table *table, enum ocsp_status status, int64_t from, int64_t until,
                   int64_t now) {
    struct staple_answer answer = {
        .response = CRYPTO_BUFFER_new((const uint8_t *)"x", 1, NULL),
        .facts = {.status = status, .this_update = from, .next_update = until},
    };
    staple_table_learn(table, 0, &answer, now, 0);
    CRYPTO_BUFFER_free(answer.response);
}

static void lose(struct staple_table *table, int64_t now) {
    struct staple_answer answer = {.why = "cannot connect"};
    staple_table_learn(table, 0, &answer, now, 0);
}

static bool stapled(const struct staple_table *table, int64_t now) {
    OWNED(edge_staples_unref) struct edge_staples *staples = staple_table_publish(table);
    assert_non_null(staples);
    return edge_staples_find(staples, 1, now) != NULL;
}

static void test_until_its_end(void **state) {
    struct world *w = *state;
    assert_int_equal(w->table->num, 1);
    assert_true(staple_table_is_due(&w->table->entries[0], NOW));
    assert_false(stapled(w->table, NOW));
    answer(w->table, OCSP_GOOD, NOW, NOW + DAY, NOW);
    assert_true(stapled(w->table, NOW));
    lose(w->table, NOW + HOUR);
    assert_true(stapled(w->table, NOW + DAY - 1));
    assert_false(stapled(w->table, NOW + DAY));
    assert_int_equal(w->table->num_answers[OCSP_GOOD], 1);
    assert_int_equal(w->table->num_failed, 1);
    assert_string_equal(w->table->entries[0].last_error, "cannot connect");
}

static void test_without_an_end(void **state) {
    struct world *w = *state;
    answer(w->table, OCSP_GOOD, NOW, INT64_MAX, NOW);
    assert_true(stapled(w->table, NOW + 2 * HOUR - 1)); // asked for twice in the meantime
    assert_false(stapled(w->table, NOW + 2 * HOUR));
}

// A signed answer takes the place of the one before, whatever it says.
static void test_revoked(void **state) {
    struct world *w = *state;
    static const enum ocsp_status BAD[] = {OCSP_REVOKED, OCSP_UNKNOWN};
    for (size_t i = 0; i < 2; i++) {
        answer(w->table, OCSP_GOOD, NOW, NOW + DAY, NOW);
        assert_true(stapled(w->table, NOW));
        answer(w->table, BAD[i], NOW, NOW + DAY, NOW);
        assert_false(stapled(w->table, NOW));
        OWNED(edge_set_unref) struct edge_set *set = load(w, ON ", stapleRevoked: true");
        OWNED(staple_table_unref) struct staple_table *next = staple_table_new(set, w->table);
        assert_true(stapled(next, NOW));
    }
}

static void expect_no_change(struct staple_table *table, int64_t from, int64_t until,
                             const char *why) {
    uint32_t fails = table->entries[0].num_fails;
    answer(table, OCSP_REVOKED, from, until, NOW);
    assert_int_equal(table->entries[0].num_fails, fails + 1);
    assert_int_equal(table->entries[0].status, OCSP_GOOD);
    assert_non_null(strstr(table->entries[0].last_error, why));
}

static void test_what_is_not_taken(void **state) {
    struct world *w = *state;
    answer(w->table, OCSP_GOOD, NOW - 10, NOW + DAY, NOW);
    expect_no_change(w->table, NOW - DAY, NOW, "has expired");
    expect_no_change(w->table, NOW + STAPLE_SKEW_S + 1, NOW + DAY, "begins in the future");
    expect_no_change(w->table, NOW - 11, NOW + DAY, "older than the one before");
    answer(w->table, OCSP_GOOD, NOW + STAPLE_SKEW_S, NOW + DAY, NOW);
    assert_int_equal(w->table->entries[0].num_fails, 0);
    assert_true(stapled(w->table, NOW));
}

static void expect_due(const struct staple_table *table, int64_t at) {
    assert_false(staple_table_is_due(&table->entries[0], at - 1));
    assert_true(staple_table_is_due(&table->entries[0], at));
}

static void test_when_it_is_asked(void **state) {
    struct world *w = *state;
    answer(w->table, OCSP_GOOD, NOW, NOW + DAY, NOW);
    expect_due(w->table, NOW + HOUR); // queryInterval
    answer(w->table, OCSP_GOOD, NOW, NOW + HOUR, NOW);
    expect_due(w->table, NOW + HOUR / 2); // half of its time
    answer(w->table, OCSP_GOOD, NOW, NOW + HOUR, NOW + HOUR - 1);
    expect_due(w->table, NOW + HOUR - 1 + 60); // not without a pause
    answer(w->table, OCSP_GOOD, NOW, INT64_MAX, NOW);
    expect_due(w->table, NOW + HOUR);
    assert_true(staple_table_is_due(&w->table->entries[0], NOW - 1)); // the clock went back
}

// Intervals that are the wrong way round: nothing waits longer than queryInterval.
static void test_a_long_recovery(void **state) {
    struct world *w = *state;
    OWNED(edge_set_unref)
    struct edge_set *set = load(w, ON ", queryInterval: 60s, recoveryInterval: 24h");
    OWNED(staple_table_unref) struct staple_table *table = staple_table_new(set, NULL);
    answer(table, OCSP_GOOD, NOW, NOW + DAY, NOW);
    expect_due(table, NOW + 60);
    lose(table, NOW);
    expect_due(table, NOW + 60);
}

static void test_after_failures(void **state) {
    struct world *w = *state;
    static const int64_t WAITS[] = {60, 120, 240, 480, 960, HOUR, HOUR};
    for (size_t i = 0; i < sizeof(WAITS) / sizeof(WAITS[0]); i++) {
        lose(w->table, NOW);
        expect_due(w->table, NOW + WAITS[i]);
    }
    answer(w->table, OCSP_GOOD, NOW, NOW + 300, NOW);
    for (size_t i = 0; i < 6; i++) {
        lose(w->table, NOW);
    }
    expect_due(w->table, NOW + 150); // soon enough for what is about to end
}

static void test_jitter(void **state) {
    struct world *w = *state;
    const struct staple_answer failed = {.why = "cannot connect"};
    for (uint32_t random = 0; random < 100; random++) {
        OWNED(staple_table_unref) struct staple_table *table = staple_table_new(w->set, NULL);
        staple_table_learn(table, 0, &failed, NOW, random);
        assert_in_range(table->entries[0].due_s, NOW + 54, NOW + 60);
    }
}

// A reload keeps what is known of a certificate, and asks again at once what was not answered.
static void test_reload(void **state) {
    struct world *w = *state;
    answer(w->table, OCSP_GOOD, NOW, NOW + DAY, NOW);
    OWNED(edge_set_unref) struct edge_set *same = load(w, ON);
    OWNED(staple_table_unref) struct staple_table *kept = staple_table_new(same, w->table);
    assert_true(stapled(kept, NOW));
    expect_due(kept, NOW + HOUR);
    lose(kept, NOW);
    OWNED(staple_table_unref) struct staple_table *again = staple_table_new(same, kept);
    assert_true(stapled(again, NOW) && staple_table_is_due(&again->entries[0], NOW));
    assert_int_equal(again->num_answers[OCSP_GOOD], 1);
    OWNED(edge_set_unref) struct edge_set *often = load(w, ON ", queryInterval: 5m");
    OWNED(staple_table_unref) struct staple_table *soon = staple_table_new(often, w->table);
    assert_true(stapled(soon, NOW));
    expect_due(soon, NOW + 300); // not after the hour that was to be waited before
    OWNED(edge_set_unref) struct edge_set *none = load(w, "");
    OWNED(staple_table_unref) struct staple_table *empty = staple_table_new(none, kept);
    assert_int_equal(empty->num, 0);
}

static void test_what_is_shown(void **state) {
    struct world *w = *state;
    struct view view = {0};
    lose(w->table, NOW);
    assert_true(edge_inventory_render(w->set, &view));
    staple_table_render(w->table, &view);
    assert_int_equal(view.num_certificates, 1);
    const struct certificate_view *row = &view.certificates[0];
    assert_string_equal(row->logical_name, "inbound/8443/www");
    assert_string_equal(row->staple.status, "pending");
    assert_string_equal(row->staple.source, "http://ocsp.x/");
    assert_string_equal(row->staple.last_error, "cannot connect");
    assert_false(certificate_view_is_stapled(row, NOW));
    answer(w->table, OCSP_GOOD, NOW, NOW + DAY, NOW);
    staple_table_render(w->table, &view);
    assert_string_equal(row->staple.status, "good");
    assert_true(certificate_view_is_stapled(row, NOW + DAY - 1));
    assert_false(certificate_view_is_stapled(row, NOW + DAY));
    view_fini(&view);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(test_until_its_end),     TEST(test_without_an_end),   TEST(test_revoked),
        TEST(test_what_is_not_taken), TEST(test_when_it_is_asked), TEST(test_after_failures),
        TEST(test_a_long_recovery),   TEST(test_jitter),           TEST(test_reload),
        TEST(test_what_is_shown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
