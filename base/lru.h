// A bounded table of objects by a 32-byte digest: when it is full, the object that was used longest
// ago goes. Several objects may have one key. A node is embedded in its object; the table owns the
// objects and frees them. Not thread-safe.
#ifndef BASE_LRU_H
#define BASE_LRU_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/list.h"

#define LRU_KEY_LEN 32
#define LRU_BUCKETS 256

struct lru_node {
    struct list_node bucket_node;
    struct list_node age_node;
    uint8_t key[LRU_KEY_LEN]; // a digest: its bytes are spread evenly
};

struct lru {
    struct list buckets[LRU_BUCKETS];
    struct list ages; // used longest ago first
    size_t num;
    size_t max;
    void (*free_object)(struct lru_node *node);
};

// `max` is at least 1.
void lru_init(struct lru *lru, size_t max, void (*free_object)(struct lru_node *node));
void lru_fini(struct lru *lru); // frees every object

// The object of `key` that was put or used last; NULL when there is none. Borrowed.
struct lru_node *lru_find(const struct lru *lru, const uint8_t key[LRU_KEY_LEN]);
size_t lru_count(const struct lru *lru, const uint8_t key[LRU_KEY_LEN]);
// Takes the object; `node->key` is set. Frees another one when the table is full.
void lru_put(struct lru *lru, struct lru_node *node);
// It was used just now.
void lru_touch(struct lru *lru, struct lru_node *node);
// Gives the object back to the caller.
void lru_remove(struct lru *lru, struct lru_node *node);
// Frees the object of `key` that was used longest ago.
void lru_drop_oldest(struct lru *lru, const uint8_t key[LRU_KEY_LEN]);

#endif
