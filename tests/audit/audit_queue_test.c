// Bounded, numbered, and never half a line.
#include "agent/audit/audit_queue.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static bool put(struct audit_queue *queue, const char *rest) {
    return audit_queue_put(queue, 5, span_of_text(rest));
}

static void expect_front(struct audit_queue *queue, size_t cap, const char *lines) {
    char out[1000];
    size_t len = audit_queue_peek(queue, out, cap);
    assert_int_equal(len, strlen(lines));
    assert_memory_equal(out, lines, len);
}

#define FIRST "{\"ts\":5,\"audit_seq\":1,\"a\"}\n"
#define SECOND "{\"ts\":5,\"audit_seq\":2,\"b\"}\n"

static void test_lines_in_order(void **state) {
    (void)state;
    struct audit_queue queue;
    audit_queue_init(&queue);
    audit_queue_set_max(&queue, 1000);
    expect_front(&queue, 1000, "");
    assert_true(put(&queue, "\"a\"}\n"));
    assert_false(put(&queue, "\"b\"}\n")); // whoever empties it knows already
    expect_front(&queue, 1000, FIRST SECOND);
    expect_front(&queue, strlen(FIRST) + 3, FIRST);
    expect_front(&queue, strlen(FIRST) - 1, "");
    audit_queue_sent(&queue, strlen(FIRST));
    expect_front(&queue, 1000, SECOND);
    audit_queue_sent(&queue, strlen(SECOND));
    assert_true(put(&queue, "\"c\"}\n"));
    struct audit_queue_counts counts = audit_queue_counts(&queue);
    assert_int_equal(counts.num_queued, 3);
    assert_int_equal(counts.num_sent, 2);
    assert_int_equal(counts.num_dropped, 0);
    audit_queue_fini(&queue);
}

// Not only what is held: what it takes.
static void test_memory_is_bounded(void **state) {
    (void)state;
    struct audit_queue queue;
    audit_queue_init(&queue);
    audit_queue_set_max(&queue, 40 * strlen(FIRST));
    for (int i = 0; i < 200; i++) {
        put(&queue, "\"a\"}\n");
        assert_in_range(queue.lines.cap, 1, queue.max);
        if (i % 3 == 0) {
            audit_queue_sent(&queue, audit_queue_peek(&queue, (char[64]){0}, 64));
        }
    }
    assert_true(audit_queue_counts(&queue).num_dropped > 0);
    audit_queue_fini(&queue);
}

// What has no room uses its number up: the gap is what the reader sees.
static void test_what_has_no_room_is_dropped(void **state) {
    (void)state;
    struct audit_queue queue;
    audit_queue_init(&queue);
    assert_false(put(&queue, "\"a\"}\n")); // room for nothing
    audit_queue_set_max(&queue, strlen(SECOND));
    assert_true(put(&queue, "\"b\"}\n"));
    assert_false(put(&queue, "\"c\"}\n"));
    expect_front(&queue, 1000, SECOND);
    audit_queue_sent(&queue, strlen(SECOND));
    put(&queue, "\"d\"}\n");
    expect_front(&queue, 1000, "{\"ts\":5,\"audit_seq\":4,\"d\"}\n");
    struct audit_queue_counts counts = audit_queue_counts(&queue);
    assert_int_equal(counts.num_dropped, 2);
    assert_int_equal(counts.held, strlen(SECOND));
    audit_queue_clear(&queue);
    counts = audit_queue_counts(&queue);
    assert_int_equal(counts.num_dropped, 3);
    assert_int_equal(counts.held, 0);
    audit_queue_fini(&queue);
}

struct writer {
    pthread_t thread;
    struct audit_queue *queue;
};

#define WRITERS 4
#define LINES_EACH 20000

static void *write_lines(void *arg) {
    struct writer *writer = arg;
    for (int i = 0; i < LINES_EACH; i++) {
        (void)put(writer->queue, "\"x\"}\n");
    }
    return NULL;
}

// Numbers rise, every line is whole, and nothing is neither sent nor dropped.
static void test_many_writers(void **state) {
    (void)state;
    struct audit_queue queue;
    struct writer writers[WRITERS];
    audit_queue_init(&queue);
    audit_queue_set_max(&queue, 4096);
    for (int i = 0; i < WRITERS; i++) {
        writers[i].queue = &queue;
        assert_int_equal(pthread_create(&writers[i].thread, NULL, write_lines, &writers[i]), 0);
    }
    unsigned long last = 0;
    struct audit_queue_counts counts;
    do {
        char out[1000];
        size_t len = audit_queue_peek(&queue, out, sizeof(out) - 1);
        out[len] = '\0';
        for (char *line = out; line < out + len; line = strchr(line, '\n') + 1) {
            unsigned long seq = 0;
            assert_int_equal(sscanf(line, "{\"ts\":5,\"audit_seq\":%lu,\"x\"}", &seq), 1);
            assert_true(seq > last);
            last = seq;
        }
        audit_queue_sent(&queue, len);
        counts = audit_queue_counts(&queue);
        assert_true(counts.held <= 4096);
    } while (counts.num_sent + counts.num_dropped < WRITERS * LINES_EACH);
    for (int i = 0; i < WRITERS; i++) {
        pthread_join(writers[i].thread, NULL);
    }
    assert_int_equal(counts.num_queued, counts.num_sent);
    audit_queue_fini(&queue);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_lines_in_order),
        cmocka_unit_test(test_memory_is_bounded),
        cmocka_unit_test(test_what_has_no_room_is_dropped),
        cmocka_unit_test(test_many_writers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
