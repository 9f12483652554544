#include "agent/observe/observe.h"

#include <ctype.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

// A label value or metric name of Prometheus that needs no escaping.
static void assert_is_name(const char *text) {
    assert_true(strlen(text) > 0);
    for (; *text != '\0'; text++) {
        assert_true(islower((unsigned char)*text) || isdigit((unsigned char)*text) || *text == '_');
    }
}

static void test_every_reason_has_a_unique_name_and_a_sentence(void **state) {
    (void)state;
    for (int i = 0; i < CLOSE_REASON_COUNT; i++) {
        enum close_reason reason = (enum close_reason)i;
        assert_is_name(close_reason_name(reason));
        assert_true(strlen(close_reason_sentence(reason)) > 10);
        for (int k = 0; k < i; k++) {
            assert_string_not_equal(close_reason_name(reason),
                                    close_reason_name((enum close_reason)k));
        }
    }
    assert_int_equal(CLOSE_NONE, 0); // a zeroed connection is open
    assert_string_equal(close_reason_name(CLOSE_BAD_TARGET), "bad_target");
    assert_true(close_reason_is_error(CLOSE_BAD_TARGET));
    assert_false(close_reason_is_error(CLOSE_DONE));
}

static void test_metric_rows_are_well_formed(void **state) {
    (void)state;
    for (int i = 0; i < METRIC_COUNT; i++) {
        const struct metric_info *row = metric_info((enum metric)i);
        assert_is_name(row->name);
        assert_true(strlen(row->help) > 10);
        bool counter = strcmp(row->type, "counter") == 0;
        assert_true(counter || strcmp(row->type, "gauge") == 0);
        size_t len = strlen(row->name);
        assert_int_equal(len > 6 && strcmp(row->name + len - 6, "_total") == 0, counter);
    }
}

// HELP and TYPE are printed where the name changes: a name must not come up again later.
static void test_metric_rows_of_one_name_stand_together(void **state) {
    (void)state;
    for (int i = 1; i < METRIC_COUNT; i++) {
        const struct metric_info *row = metric_info((enum metric)i);
        const struct metric_info *before = metric_info((enum metric)(i - 1));
        bool same = strcmp(row->name, before->name) == 0;
        if (same) {
            assert_string_equal(row->type, before->type);
            assert_string_equal(row->help, before->help);
        }
        for (int k = 0; k < i; k++) {
            const struct metric_info *other = metric_info((enum metric)k);
            bool same_name = strcmp(row->name, other->name) == 0;
            assert_true(!same_name || same);
            assert_false(same_name && strcmp(row->labels, other->labels) == 0);
        }
    }
}

static void test_direction_names(void **state) {
    (void)state;
    assert_string_equal(direction_name(OUTBOUND), "outbound");
    assert_string_equal(direction_name(INBOUND), "inbound");
}

static void test_sums_reach_every_counter(void **state) {
    (void)state;
    static struct counters counters[2];
    for (uint64_t w = 0; w < 2; w++) {
        for (uint64_t i = 0; i < METRIC_COUNT; i++) {
            counter_add(&counters[w].metrics[i], (int64_t)(i + w));
        }
        for (uint64_t i = 0; i < CLOSE_REASON_COUNT; i++) {
            counter_add(&counters[w].closed[INBOUND][i], (int64_t)(100 + i));
        }
        counter_add(&counters[w].refused[OUTBOUND][VERIFY_RESULT_COUNT - 1], 5);
    }
    struct counter_sums sums = {0};
    counters_sum(&sums, &counters[0]);
    counters_sum(&sums, &counters[1]);
    for (uint64_t i = 0; i < METRIC_COUNT; i++) {
        assert_int_equal(sums.metrics[i], 2 * i + 1);
    }
    for (uint64_t i = 0; i < CLOSE_REASON_COUNT; i++) {
        assert_int_equal(sums.closed[INBOUND][i], 200 + 2 * i);
        assert_int_equal(sums.closed[OUTBOUND][i], 0);
    }
    assert_int_equal(sums.refused[OUTBOUND][VERIFY_RESULT_COUNT - 1], 10);
    assert_int_equal(sums.refused[INBOUND][VERIFY_RESULT_COUNT - 1], 0);
}

static void test_gauges_go_down(void **state) {
    (void)state;
    static struct counters counters;
    counter_add(&counters.metrics[METRIC_STREAMS_OPEN], 3);
    counter_add(&counters.metrics[METRIC_STREAMS_OPEN], -2);
    struct counter_sums sums = {0};
    counters_sum(&sums, &counters);
    assert_int_equal(sums.metrics[METRIC_STREAMS_OPEN], 1);
}

static void *count_many(void *arg) {
    for (int i = 0; i < 100000; i++) {
        counter_add(arg, 1);
    }
    return NULL;
}

// One writer, any reader: a reader sees it grow and never torn, and all of it in the end.
static void test_reading_beside_the_writer(void **state) {
    (void)state;
    static struct counters counters;
    pthread_t thread;
    assert_int_equal(
        pthread_create(&thread, NULL, count_many, &counters.metrics[METRIC_BYTES_SENT]), 0);
    uint64_t last = 0;
    for (int i = 0; i < 1000; i++) {
        struct counter_sums sums = {0};
        counters_sum(&sums, &counters);
        assert_true(sums.metrics[METRIC_BYTES_SENT] >= last);
        last = sums.metrics[METRIC_BYTES_SENT];
    }
    pthread_join(thread, NULL);
    struct counter_sums sums = {0};
    counters_sum(&sums, &counters);
    assert_int_equal(sums.metrics[METRIC_BYTES_SENT], 100000);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_reason_has_a_unique_name_and_a_sentence),
        cmocka_unit_test(test_metric_rows_are_well_formed),
        cmocka_unit_test(test_metric_rows_of_one_name_stand_together),
        cmocka_unit_test(test_direction_names),
        cmocka_unit_test(test_sums_reach_every_counter),
        cmocka_unit_test(test_gauges_go_down),
        cmocka_unit_test(test_reading_beside_the_writer),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
