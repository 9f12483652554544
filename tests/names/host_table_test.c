// What a table knows after answers and failures, and for how long.
#include "agent/names/host_table.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/span.h"

static struct config *config_of(const char *text) {
    struct config *config = config_parse("f", span_of_text(text), NULL, NULL);
    assert_non_null(config);
    return config;
}

static struct host_table *table_of(const char *text, const struct host_table *before) {
    struct config *config = config_of(text);
    struct host_table *table = host_table_new(config, before);
    config_unref(config);
    assert_non_null(table);
    return table;
}

static struct netaddr ip(const char *text) {
    struct netaddr addr;
    assert_true(netaddr_parse_ip(&addr, span_of_text(text), NULL));
    return addr;
}

static const char ONE[] = "outbound: {destinations: [{match: {hosts: [a.b]}, tls: simple}]}";

static void answer(struct host_table *table, const char *address, int64_t ttl_s, int64_t now_ms) {
    struct resolve_job job = {.outcome = RESOLVE_FOUND, .result = {.num = 1, .ttl_s = ttl_s}};
    job.result.addr[0] = ip(address);
    host_table_learn(table, &table->entries[0], &job, now_ms);
}

static void lose(struct host_table *table, int64_t now_ms) {
    struct resolve_job job = {.outcome = RESOLVE_FAILED, .why = "no DNS server answers"};
    host_table_learn(table, &table->entries[0], &job, now_ms);
}

static bool has(const struct host_table *table, const char *address) {
    struct netaddr addr = ip(address);
    return host_entry_has(&table->entries[0], &addr);
}

static void test_names_are_there_once(void **state) {
    (void)state;
    OWNED(host_table_unref)
    struct host_table *table =
        table_of("outbound:\n"
                 "  listeners: [{listen: '127.0.0.1:1', destination: 'c.d:1'},\n"
                 "              {listen: '127.0.0.1:2', destination: '10.0.0.1:1'}]\n"
                 "  destinations: [{match: {hosts: [x.y, A.b]}}, {match: {hosts: [a.b, C.D]}}]\n",
                 NULL);
    assert_int_equal(table->num, 3);
    assert_non_null(host_table_find(table, "A.B"));
    assert_non_null(host_table_find(table, "c.d"));
    assert_non_null(host_table_find(table, "x.y"));
    assert_null(host_table_find(table, "a.c"));
    assert_null(host_table_find(NULL, "a.b"));
    assert_false(table->entries[0].is_known);
}

static void test_ttl_is_bounded(void **state) {
    (void)state;
    static const struct {
        int64_t ttl_s, wait_ms;
    } rows[] = {{0, 2000}, {1, 2000}, {30, 30000}, {86400, 300000}};
    OWNED(host_table_unref) struct host_table *table = table_of(ONE, NULL);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        answer(table, "10.0.0.1", rows[i].ttl_s, 1000);
        assert_int_equal(table->entries[0].due_ms, 1000 + rows[i].wait_ms);
    }
}

static void test_a_failure_changes_no_address(void **state) {
    (void)state;
    OWNED(host_table_unref) struct host_table *table = table_of(ONE, NULL);
    lose(table, 0);
    assert_false(table->entries[0].is_known);
    assert_int_equal(table->entries[0].due_ms, 1000);
    answer(table, "10.0.0.1", 5, 1000);
    for (int i = 0; i < 40; i++) {
        lose(table, 10000);
        int64_t wait = table->entries[0].due_ms - 10000;
        assert_true(wait >= 1000 && wait <= 30000);
        assert_true(i < 5 || wait == 30000);
    }
    assert_true(has(table, "10.0.0.1") && table->entries[0].is_known);
    assert_string_equal(table->entries[0].last_error, "no DNS server answers");
    assert_int_equal(table->num_failed, 41);
    answer(table, "10.0.0.1", 5, 20000);
    assert_string_equal(table->entries[0].last_error, "");
    assert_int_equal(table->entries[0].num_fails, 0);
}

static void test_former_addresses_match_for_a_while(void **state) {
    (void)state;
    OWNED(host_table_unref) struct host_table *table = table_of(ONE, NULL);
    answer(table, "10.0.0.1", 5, 1000);
    answer(table, "10.0.0.2", 5, 6000);
    assert_true(has(table, "10.0.0.1") && has(table, "10.0.0.2"));
    assert_int_equal(table->entries[0].num_current, 1);
    assert_int_equal(table->entries[0].num, 2);
    answer(table, "10.0.0.2", 5, 6000 + HOST_FORMER_MS - 1);
    assert_true(has(table, "10.0.0.1"));
    answer(table, "10.0.0.2", 5, 6000 + HOST_FORMER_MS);
    assert_false(has(table, "10.0.0.1"));
    struct resolve_job absent = {.outcome = RESOLVE_ABSENT};
    host_table_learn(table, &table->entries[0], &absent, 100000);
    assert_int_equal(table->entries[0].num_current, 0);
    assert_true(table->entries[0].is_known && has(table, "10.0.0.2"));
}

static void test_never_more_than_fit(void **state) {
    (void)state;
    OWNED(host_table_unref) struct host_table *table = table_of(ONE, NULL);
    for (unsigned i = 0; i < 200; i++) {
        struct resolve_job job = {.outcome = RESOLVE_FOUND, .result = {.num = RESOLVE_MAX}};
        for (unsigned j = 0; j < RESOLVE_MAX; j++) {
            job.result.addr[j] = ip("10.0.0.0");
            job.result.addr[j].ip[2] = (uint8_t)i;
            job.result.addr[j].ip[3] = (uint8_t)j;
        }
        host_table_learn(table, &table->entries[0], &job, 1000);
    }
    assert_int_equal(table->entries[0].num, HOST_ADDRESSES_MAX);
    assert_int_equal(table->entries[0].num_current, RESOLVE_MAX);
    assert_true(has(table, "10.0.199.31"));
}

static void test_a_new_configuration_keeps_what_is_known(void **state) {
    (void)state;
    OWNED(host_table_unref) struct host_table *before = table_of(ONE, NULL);
    answer(before, "10.0.0.1", 5, 1000);
    OWNED(host_table_unref)
    struct host_table *after =
        table_of("outbound: {destinations: [{match: {hosts: [A.B, c]}, tls: deny}]}", before);
    assert_int_equal(after->num, 2);
    assert_true(has(after, "10.0.0.1"));
    assert_false(after->entries[1].is_known);
    assert_int_equal(after->num_found, 1);
}

static void test_copies_and_what_is_the_same(void **state) {
    (void)state;
    OWNED(host_table_unref) struct host_table *table = table_of(ONE, NULL);
    answer(table, "10.0.0.1", 5, 1000);
    OWNED(host_table_unref) struct host_table *copy = host_table_copy(table);
    assert_non_null(copy);
    assert_true(host_table_is_same(table, copy));
    answer(copy, "10.0.0.1", 50, 2000);
    assert_true(host_table_is_same(table, copy)); // the time alone is another
    lose(copy, 3000);
    assert_true(host_table_is_same(table, copy));
    answer(copy, "10.0.0.2", 5, 4000);
    assert_false(host_table_is_same(table, copy));
    assert_false(host_table_is_same(NULL, copy));
}

static void test_views(void **state) {
    (void)state;
    OWNED(host_table_unref) struct host_table *table = table_of(ONE, NULL);
    struct view view = {0};
    host_table_render(table, &view);
    assert_int_equal(view.num_hosts, 1);
    assert_string_equal(view.hosts[0].name, "a.b");
    assert_string_equal(view.hosts[0].state, "pending");
    answer(table, "10.0.0.1", 5, 1000);
    host_table_render(table, &view);
    assert_string_equal(view.hosts[1].state, "resolved");
    assert_int_equal(view.hosts[1].num_addresses, 1);
    lose(table, 1000);
    host_table_render(table, &view);
    assert_string_equal(view.hosts[2].state, "stale");
    assert_string_equal(view.hosts[2].last_error, "no DNS server answers");
    view_fini(&view);
    host_table_render(NULL, &view);
    assert_int_equal(view.num_hosts, 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_names_are_there_once),
        cmocka_unit_test(test_ttl_is_bounded),
        cmocka_unit_test(test_a_failure_changes_no_address),
        cmocka_unit_test(test_former_addresses_match_for_a_while),
        cmocka_unit_test(test_never_more_than_fit),
        cmocka_unit_test(test_a_new_configuration_keeps_what_is_known),
        cmocka_unit_test(test_copies_and_what_is_the_same),
        cmocka_unit_test(test_views),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
