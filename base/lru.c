#include "base/lru.h"

#include <string.h>

#include "base/check.h"

void lru_init(struct lru *lru, size_t max, void (*free_object)(struct lru_node *node)) {
    CHECK(max > 0);
    *lru = (struct lru){.max = max, .free_object = free_object};
    list_init(&lru->ages);
    for (size_t i = 0; i < LRU_BUCKETS; i++) {
        list_init(&lru->buckets[i]);
    }
}

static void drop(struct lru *lru, struct lru_node *node) {
    lru_remove(lru, node);
    lru->free_object(node);
}

void lru_fini(struct lru *lru) {
    while (!list_is_empty(&lru->ages)) {
        drop(lru, LIST_ENTRY(lru->ages.head.next, struct lru_node, age_node));
    }
}

static bool has_key(const struct list_node *it, const uint8_t *key) {
    return memcmp(LIST_ENTRY(it, struct lru_node, bucket_node)->key, key, LRU_KEY_LEN) == 0;
}

// A bucket holds what was used longest ago first.
struct lru_node *lru_find(const struct lru *lru, const uint8_t key[LRU_KEY_LEN]) {
    const struct list *bucket = &lru->buckets[key[0]];
    for (struct list_node *it = bucket->head.prev; it != &bucket->head; it = it->prev) {
        if (has_key(it, key)) {
            return LIST_ENTRY(it, struct lru_node, bucket_node);
        }
    }
    return NULL;
}

size_t lru_count(const struct lru *lru, const uint8_t key[LRU_KEY_LEN]) {
    size_t count = 0;
    LIST_FOR_EACH(&lru->buckets[key[0]], it) {
        count += has_key(it, key);
    }
    return count;
}

static void link_newest(struct lru *lru, struct lru_node *node) {
    list_append(&lru->buckets[node->key[0]], &node->bucket_node);
    list_append(&lru->ages, &node->age_node);
}

void lru_put(struct lru *lru, struct lru_node *node) {
    if (lru->num >= lru->max) {
        drop(lru, LIST_ENTRY(lru->ages.head.next, struct lru_node, age_node));
    }
    node->bucket_node = node->age_node = (struct list_node){0};
    link_newest(lru, node);
    lru->num++;
}

void lru_touch(struct lru *lru, struct lru_node *node) {
    list_remove(&node->bucket_node);
    list_remove(&node->age_node);
    link_newest(lru, node);
}

void lru_remove(struct lru *lru, struct lru_node *node) {
    list_remove(&node->bucket_node);
    list_remove(&node->age_node);
    lru->num--;
}

void lru_drop_oldest(struct lru *lru, const uint8_t key[LRU_KEY_LEN]) {
    LIST_FOR_EACH(&lru->buckets[key[0]], it) {
        if (has_key(it, key)) {
            drop(lru, LIST_ENTRY(it, struct lru_node, bucket_node));
            return;
        }
    }
}
