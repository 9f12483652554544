// Records reach a collector, also one that comes late, goes, or is replaced; they never wait for
// it.
#include "agent/audit/audit.h"

#include <semaphore.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "tests/audit/audit_fixture.h"

static sem_t woken;

static void wake(void *arg) {
    sem_post(arg);
}

static struct audit *audit_to(const char *address) {
    sem_init(&woken, 0, 0);
    struct audit *audit = audit_new(wake, &woken);
    assert_non_null(audit);
    assert_false(audit_is_on(audit));
    const struct config_audit options = {.address = (char *)(uintptr_t)address,
                                         .reconnect_interval_ms = 10,
                                         .queue_max_bytes = 16384};
    assert_true(audit_configure(audit, &options, NULL));
    return audit;
}

static void put(struct audit *audit, uint64_t id) {
    const struct audit_record record = {.event = AUDIT_NEW_CONN, .id = id};
    audit_put(audit, &record);
}

// The next line is about `id`. Returns its number.
static unsigned long expect(struct collector *collector, unsigned long id) {
    char line[AUDIT_LINE_MAX];
    long ts = 0;
    unsigned long seq = 0;
    unsigned long about = 0;
    collector_read_line(collector, line, sizeof(line));
    int num =
        sscanf(line, "{\"ts\":%ld,\"audit_seq\":%lu,\"new_conn\":{\"id\":%lu}}", &ts, &seq, &about);
    if (num != 3 || about != id) {
        fail_msg("%lu was expected, and came %s", id, line);
    }
    assert_true(ts >= 1700000000);
    return seq;
}

// Until the state is as asked for.
static struct audit_view wait_state(struct audit *audit, bool (*is)(const struct audit_view *)) {
    struct audit_view view;
    for (audit_look(audit, &view); !is(&view); audit_look(audit, &view)) {
        struct timespec until;
        clock_gettime(CLOCK_REALTIME, &until);
        until.tv_sec += 20;
        assert_int_equal(sem_timedwait(&woken, &until), 0);
    }
    return view;
}

static bool is_connected(const struct audit_view *view) {
    return view->is_connected;
}

static bool is_gone(const struct audit_view *view) {
    return !view->is_connected && view->last_error[0] != '\0';
}

static bool has_given_up(const struct audit_view *view) {
    return view->has_given_up;
}

static bool is_off(const struct audit_view *view) {
    return !view->is_on && !view->is_connected;
}

static void test_it_is_off_unless_configured(void **state) {
    (void)state;
    assert_false(audit_is_on(NULL));
    audit_free(NULL);
    struct audit *audit = audit_to(NULL);
    struct audit_view view;
    put(audit, 1);
    audit_look(audit, &view);
    assert_false(view.is_on);
    assert_int_equal(view.num_queued + view.num_dropped, 0);
    audit_free(audit);
}

static void lines_come(struct collector *collector) {
    struct audit *audit = audit_to(collector->address);
    assert_true(audit_is_on(audit));
    put(audit, 1); // before there is a connection
    collector_accept(collector);
    assert_int_equal(expect(collector, 1), 1);
    put(audit, 2);
    put(audit, 3);
    assert_int_equal(expect(collector, 2), 2);
    assert_int_equal(expect(collector, 3), 3);
    struct audit_view view = wait_state(audit, is_connected);
    assert_int_equal(view.num_queued, 3);
    assert_string_equal(view.address, collector->address);
    assert_string_equal(view.last_error, "");
    put(audit, 4); // the end waits for it
    audit_free(audit);
    assert_int_equal(expect(collector, 4), 4);
    collector_close(collector);
}

static void test_lines_come(void **state) {
    (void)state;
    struct collector collector;
    collector_open(&collector);
    lines_come(&collector);
    collector_open_unix(&collector);
    lines_come(&collector);
}

// What was not sent to one connection goes to the next; an end is noticed without anything to send.
static void test_a_collector_that_goes_and_comes(void **state) {
    (void)state;
    struct collector collector;
    collector_open(&collector);
    struct audit *audit = audit_to(collector.address);
    for (unsigned long i = 1; i <= 5; i++) {
        collector_accept(&collector);
        put(audit, i);
        assert_int_equal(expect(&collector, i), i);
        collector_hang_up(&collector);
    }
    collector_accept(&collector);
    struct audit_view view = wait_state(audit, is_connected);
    assert_true(view.num_connected >= 6);
    assert_int_equal(view.num_dropped, 0);
    collector_close(&collector);
    view = wait_state(audit, is_gone);
    put(audit, 6); // nobody is there, and nobody waits
    audit_look(audit, &view);
    assert_int_equal(view.num_queued, 6);
    audit_free(audit);
}

// The first that has no room is dropped, whoever puts goes on, and the numbers show the gap.
static void test_a_collector_that_reads_nothing(void **state) {
    (void)state;
    struct collector collector;
    struct audit_view view;
    collector_open_unix(&collector);
    struct audit *audit = audit_to(collector.address);
    collector_accept(&collector);
    uint64_t num = 0;
    do {
        for (int i = 0; i < 1000; i++) {
            put(audit, ++num);
        }
        audit_look(audit, &view);
        assert_true(view.held <= 16384);
    } while (view.num_dropped == 0);
    unsigned long last = 0;
    for (uint64_t i = 0; i < view.num_queued; i++) {
        char line[AUDIT_LINE_MAX];
        unsigned long seq = 0;
        unsigned long id = 0;
        collector_read_line(&collector, line, sizeof(line));
        assert_int_equal(
            sscanf(line, "{\"ts\":%*d,\"audit_seq\":%lu,\"new_conn\":{\"id\":%lu}}", &seq, &id), 2);
        assert_true(seq == id && seq > last);
        last = seq;
    }
    assert_int_equal(view.num_queued + view.num_dropped, num);
    put(audit, ++num); // there is room again
    assert_int_equal(expect(&collector, num), num);
    audit_free(audit);
    collector_close(&collector);
}

static void configure(struct audit *audit, const char *address, uint32_t max_attempts) {
    const struct config_audit options = {.address = (char *)(uintptr_t)address,
                                         .reconnect_interval_ms = 10,
                                         .reconnect_max_attempts = max_attempts,
                                         .queue_max_bytes = 16384};
    assert_true(audit_configure(audit, &options, NULL));
}

static void test_another_collector(void **state) {
    (void)state;
    struct collector first;
    struct collector second;
    collector_open(&first);
    collector_open(&second);
    struct audit *audit = audit_to(first.address);
    collector_accept(&first);
    put(audit, 1);
    expect(&first, 1);
    configure(audit, second.address, 0);
    put(audit, 2);
    collector_accept(&second);
    assert_int_equal(expect(&second, 2), 2);
    configure(audit, second.address, 0); // the same again: the connection stays
    put(audit, 3);
    expect(&second, 3);
    configure(audit, NULL, 0);
    assert_false(audit_is_on(audit));
    wait_state(audit, is_off);
    put(audit, 4);
    configure(audit, first.address, 0);
    put(audit, 5);
    collector_hang_up(&first);
    collector_accept(&first);
    assert_int_equal(expect(&first, 5), 4); // what was not asked for has no number
    audit_free(audit);
    collector_close(&first);
    collector_close(&second);
}

static void test_it_gives_up_and_is_told_to_try_again(void **state) {
    (void)state;
    struct collector collector;
    struct audit_view view;
    sem_init(&woken, 0, 0);
    struct audit *audit = audit_new(wake, &woken);
    configure(audit, "unix:///nowhere/at/all", 3);
    put(audit, 1);
    view = wait_state(audit, has_given_up);
    assert_int_equal(view.num_failed, 3);
    assert_non_null(strstr(view.last_error, "/nowhere/at/all"));
    do { // nothing is kept for nobody
        put(audit, 2);
        audit_look(audit, &view);
    } while (view.held > 0);
    assert_true(view.num_dropped > 0);
    collector_open(&collector);
    configure(audit, collector.address, 3);
    collector_accept(&collector);
    put(audit, 3);
    expect(&collector, 3);
    audit_free(audit);
    collector_close(&collector);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_it_is_off_unless_configured),
        cmocka_unit_test(test_lines_come),
        cmocka_unit_test(test_a_collector_that_goes_and_comes),
        cmocka_unit_test(test_a_collector_that_reads_nothing),
        cmocka_unit_test(test_another_collector),
        cmocka_unit_test(test_it_gives_up_and_is_told_to_try_again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
