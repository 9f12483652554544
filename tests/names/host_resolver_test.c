// The thread hands on tables: literals and the hosts file need no server, and it can be stopped at
// any moment.
#include "agent/names/host_resolver.h"

#include <semaphore.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/span.h"

static void wake(void *arg) {
    sem_post(arg);
}

static struct host_table *table_of(const char *text) {
    struct config *config = config_parse("f", span_of_text(text), NULL, NULL);
    assert_non_null(config);
    struct host_table *table = host_table_new(config, NULL);
    config_unref(config);
    assert_non_null(table);
    return table;
}

static void test_a_table_comes(void **state) {
    (void)state;
    sem_t came;
    sem_init(&came, 0, 0);
    struct host_resolver_sink sink = {.wake = wake, .arg = &came};
    struct host_table *first =
        table_of("outbound: {listeners: [{listen: '127.0.0.1:1', destination: 'localhost:1'}]}");
    struct err err;
    struct host_resolver *resolver = host_resolver_start(first, &sink, &err);
    assert_non_null(resolver);
    sem_wait(&came);
    OWNED(host_table_unref) struct host_table *table = mailbox_take(&sink.tables);
    assert_non_null(table);
    const struct host_entry *entry = host_table_find(table, "localhost");
    assert_true(entry->is_known && entry->num_current > 0);
    assert_true(netaddr_is_loopback(&entry->addresses[0].ip));
    assert_false(first->entries[0].is_known); // what was handed on is not touched
    assert_int_equal(table->num_found, 1);
    host_resolver_free(resolver);
    host_table_unref(first);
    host_table_unref(mailbox_take(&sink.tables));
    sem_destroy(&came);
}

static void test_it_stops_at_any_moment(void **state) {
    (void)state;
    sem_t came;
    sem_init(&came, 0, 0);
    struct host_table *first = table_of(
        "outbound: {destinations: [{match: {hosts: [a.invalid, b.invalid]}, tls: simple}]}");
    for (int i = 0; i < 20; i++) {
        struct host_resolver_sink sink = {.wake = wake, .arg = &came};
        struct err err;
        struct host_resolver *resolver = host_resolver_start(first, &sink, &err);
        assert_non_null(resolver);
        host_resolver_free(resolver);
        host_table_unref(mailbox_take(&sink.tables));
    }
    host_resolver_free(NULL);
    host_table_unref(first);
    sem_destroy(&came);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_table_comes),
        cmocka_unit_test(test_it_stops_at_any_moment),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
