// An intrusive doubly linked list. A node is embedded in its object; a list never owns.
#ifndef BASE_LIST_H
#define BASE_LIST_H

#include <stdbool.h>
#include <stddef.h>

struct list_node {
    struct list_node *prev;
    struct list_node *next;
};

struct list {
    struct list_node head;
};

#define LIST_ENTRY(node, T, member) ((T *)(void *)((char *)(node)-offsetof(T, member)))

static inline void list_init(struct list *list) {
    list->head.prev = list->head.next = &list->head;
}

static inline bool list_is_empty(const struct list *list) {
    return list->head.next == &list->head;
}

// A node that is in no list has NULL links.
static inline bool list_is_linked(const struct list_node *node) {
    return node->next != NULL;
}

static inline void list_append(struct list *list, struct list_node *node) {
    node->prev = list->head.prev;
    node->next = &list->head;
    list->head.prev->next = node;
    list->head.prev = node;
}

static inline void list_remove(struct list_node *node) {
    if (node->next == NULL) {
        return;
    }
    node->prev->next = node->next;
    node->next->prev = node->prev;
    node->prev = node->next = NULL;
}

// Iterates; the current node may be removed inside the loop, no other one.
#define LIST_FOR_EACH(list, it)                                                                    \
    for (struct list_node *it = (list)->head.next, *it##_next = it->next; it != &(list)->head;     \
         it = it##_next, it##_next = it->next)

#endif
