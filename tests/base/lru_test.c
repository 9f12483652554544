#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>

#include "base/lru.h"

struct object {
    struct lru_node node;
    int value;
};

static int num_freed;
static int last_freed;

static void free_object(struct lru_node *node) {
    struct object *object = LIST_ENTRY(node, struct object, node);
    num_freed++;
    last_freed = object->value;
    free(object);
}

static void fill_key(uint8_t key[LRU_KEY_LEN], int name) {
    for (size_t i = 0; i < LRU_KEY_LEN; i++) {
        key[i] = (uint8_t)(name >> (i % 2 == 0 ? 0 : 8));
    }
}

static struct object *put(struct lru *lru, int name, int value) {
    struct object *object = calloc(1, sizeof(*object));
    assert_non_null(object);
    fill_key(object->node.key, name);
    object->value = value;
    lru_put(lru, &object->node);
    return object;
}

static int find(const struct lru *lru, int name) {
    uint8_t key[LRU_KEY_LEN];
    fill_key(key, name);
    struct lru_node *node = lru_find(lru, key);
    return node == NULL ? -1 : LIST_ENTRY(node, struct object, node)->value;
}

static int start(void **state) {
    static struct lru lru;
    num_freed = 0;
    lru_init(&lru, 4, free_object);
    *state = &lru;
    return 0;
}

static int finish(void **state) {
    struct lru *lru = *state;
    lru_fini(lru);
    return lru->num == 0 ? 0 : 1;
}

static void what_was_used_longest_ago_goes(void **state) {
    struct lru *lru = *state;
    struct object *first = put(lru, 1, 1);
    for (int i = 2; i <= 4; i++) {
        put(lru, i, i);
    }
    lru_touch(lru, &first->node);
    put(lru, 5, 5);
    assert_int_equal(num_freed, 1);
    assert_int_equal(last_freed, 2);
    assert_int_equal(find(lru, 1), 1);
    assert_int_equal(find(lru, 2), -1);
    assert_int_equal(lru->num, 4);
}

static void keys_of_one_bucket_stay_apart(void **state) {
    struct lru *lru = *state;
    put(lru, 0x0107, 1);
    put(lru, 0x0207, 2);
    assert_int_equal(find(lru, 0x0107), 1);
    assert_int_equal(find(lru, 0x0207), 2);
    assert_int_equal(find(lru, 0x0307), -1);
}

static void one_key_may_have_several(void **state) {
    struct lru *lru = *state;
    uint8_t key[LRU_KEY_LEN];
    fill_key(key, 7);
    struct object *old = put(lru, 7, 1);
    put(lru, 7, 2);
    put(lru, 8, 3);
    assert_int_equal(lru_count(lru, key), 2);
    assert_int_equal(find(lru, 7), 2);
    lru_touch(lru, &old->node);
    assert_int_equal(find(lru, 7), 1);
    lru_drop_oldest(lru, key);
    assert_int_equal(last_freed, 2);
    assert_int_equal(lru_count(lru, key), 1);
    lru_remove(lru, &old->node);
    assert_int_equal(find(lru, 7), -1);
    assert_int_equal(num_freed, 1); // it is ours again
    free(old);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(what_was_used_longest_ago_goes, start, finish),
        cmocka_unit_test_setup_teardown(keys_of_one_bucket_stay_apart, start, finish),
        cmocka_unit_test_setup_teardown(one_key_may_have_several, start, finish),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
