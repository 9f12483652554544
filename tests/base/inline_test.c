// The header-only parts of base: span, list, mailbox, own.
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/list.h"
#include "base/mailbox.h"
#include "base/own.h"
#include "base/span.h"

static void test_spans(void **state) {
    (void)state;
    assert_true(span_equal(span_of(NULL, 0), span_of_text("")));
    assert_true(span_equal(span_of_text(NULL), span_of_text("")));
    assert_true(span_equal_text(span_after(span_of_text("abc"), 1), "bc"));
    assert_true(span_equal_text(span_after(span_of_text("abc"), 3), ""));
    assert_false(span_equal(span_of("a\0b", 3), span_of("a\0c", 3)));
    assert_false(span_equal_text(span_of("a\0", 2), "a"));
}

struct item {
    int value;
    struct list_node node;
};

static int sum_of(struct list *list) {
    int sum = 0;
    LIST_FOR_EACH(list, it) {
        sum = 10 * sum + LIST_ENTRY(it, struct item, node)->value;
    }
    return sum;
}

static void test_list(void **state) {
    (void)state;
    struct list list;
    list_init(&list);
    assert_true(list_is_empty(&list));
    struct item items[3] = {{.value = 1}, {.value = 2}, {.value = 3}};
    for (size_t i = 0; i < 3; i++) {
        assert_false(list_is_linked(&items[i].node));
        list_append(&list, &items[i].node);
    }
    assert_int_equal(sum_of(&list), 123);
    list_remove(&items[1].node);
    list_remove(&items[1].node); // once more is harmless
    assert_false(list_is_linked(&items[1].node));
    assert_int_equal(sum_of(&list), 13);
    LIST_FOR_EACH(&list, it) {
        list_remove(it);
    }
    assert_true(list_is_empty(&list));
}

static void test_mailbox_keeps_the_latest(void **state) {
    (void)state;
    struct mailbox box = {NULL}; // clang 14 takes no 0 for an atomic pointer
    int a = 1, b = 2;
    assert_null(mailbox_take(&box));
    assert_null(mailbox_put(&box, &a));
    assert_ptr_equal(mailbox_put(&box, &b), &a);
    assert_ptr_equal(mailbox_take(&box), &b);
    assert_null(mailbox_take(&box));
}

#define NUM_VALUES 100000

static void *produce(void *arg) {
    struct mailbox *box = arg;
    for (int i = 1; i <= NUM_VALUES; i++) {
        int *value = malloc(sizeof *value);
        *value = i;
        free(mailbox_put(box, value)); // what was displaced is the producer's
    }
    return NULL;
}

// Values arrive in order and the last one arrives; nothing is freed twice or lost (ASan sees it).
static void test_mailbox_between_threads(void **state) {
    (void)state;
    struct mailbox box = {NULL}; // clang 14 takes no 0 for an atomic pointer
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, produce, &box), 0);
    int last = 0;
    while (last != NUM_VALUES) {
        int *value = mailbox_take(&box);
        if (value == NULL) {
            continue;
        }
        assert_true(*value > last);
        last = *value;
        free(value);
    }
    pthread_join(thread, NULL);
    assert_null(mailbox_take(&box));
}

static void count(int *counter) {
    if (counter != NULL) {
        (*counter)++;
    }
}
OWN_DEFINE(int, count)

static int *keep(int *counter) {
    OWNED(count) int *owned = counter;
    return take(&owned);
}

static void test_own_and_take(void **state) {
    (void)state;
    int counter = 0;
    {
        OWNED(count) int *owned = &counter;
        assert_int_equal(*owned, 0);
    }
    assert_int_equal(counter, 1);
    assert_ptr_equal(keep(&counter), &counter);
    assert_int_equal(counter, 1);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_spans),
        cmocka_unit_test(test_list),
        cmocka_unit_test(test_mailbox_keeps_the_latest),
        cmocka_unit_test(test_mailbox_between_threads),
        cmocka_unit_test(test_own_and_take),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
