#include "agent/mesh/destinations.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

// A chained hash table keyed by address, and two binary heaps over the same entries, ordered by
// the time at which an entry ends: one of pins, one of the rest. Who gives way when the table is
// full is the top of a heap: first a pin that has ended, then whichever other entry ends soonest,
// then the pin that ends soonest, and that only for a new pin: however many destinations do not
// answer, they push no pin out.

#define SLOTS_MIN 64
#define PEER_ID_MAX (sizeof((struct destination_view *)0)->peer_id - 1)

struct entry {
    struct entry *next; // in its bucket
    struct netaddr address;
    enum destination_state state;
    size_t heap_index; // in heaps[destinations_is_pin(state)]
    int64_t since_ms, until_ms;
    char *peer_id;    // of pinned ones; NULL: none, or memory was short
    char *last_error; // of the last miss; may be NULL
};

struct heap {
    struct entry **slots;
    size_t num;
};

struct destinations {
    pthread_mutex_t mutex; // guards all that follows
    struct entry **buckets;
    size_t num_slots; // of the buckets and of each heap: a power of two, or 0
    size_t num;
    struct heap heaps[2]; // [0] unpinned, [1] pinned
    uint64_t seed;        // so that nobody can choose addresses that share a bucket
    uint64_t pin_changes;
};

bool destinations_is_pin(enum destination_state state) {
    return state == DESTINATION_PINNED || state == DESTINATION_SERVICE;
}

static struct heap *heap_of(struct destinations *d, const struct entry *entry) {
    return &d->heaps[destinations_is_pin(entry->state)];
}

static void heap_set(struct heap *heap, size_t index, struct entry *entry) {
    heap->slots[index] = entry;
    entry->heap_index = index;
}

static void heap_up(struct heap *heap, struct entry *entry) {
    size_t at = entry->heap_index;
    while (at > 0 && heap->slots[(at - 1) / 2]->until_ms > entry->until_ms) {
        heap_set(heap, at, heap->slots[(at - 1) / 2]);
        at = (at - 1) / 2;
    }
    heap_set(heap, at, entry);
}

static void heap_down(struct heap *heap, struct entry *entry) {
    size_t at = entry->heap_index;
    for (;;) {
        size_t child = 2 * at + 1;
        if (child + 1 < heap->num &&
            heap->slots[child + 1]->until_ms < heap->slots[child]->until_ms) {
            child++;
        }
        if (child >= heap->num || heap->slots[child]->until_ms >= entry->until_ms) {
            heap_set(heap, at, entry);
            return;
        }
        heap_set(heap, at, heap->slots[child]);
        at = child;
    }
}

static void heap_insert(struct heap *heap, struct entry *entry) {
    heap_set(heap, heap->num++, entry);
    heap_up(heap, entry);
}

static void heap_remove(struct heap *heap, struct entry *entry) {
    size_t hole = entry->heap_index;
    struct entry *last = heap->slots[--heap->num];
    if (last == entry) {
        return;
    }
    heap_set(heap, hole, last);
    heap_up(heap, last);
    heap_down(heap, last);
}

static struct entry **bucket_of(const struct destinations *d, const struct netaddr *addr) {
    uint64_t hash = (netaddr_hash(addr, false) ^ d->seed) * 0x9e3779b97f4a7c15u;
    return &d->buckets[(hash >> 32) & (d->num_slots - 1)];
}

static struct entry *find(const struct destinations *d, const struct netaddr *addr) {
    struct entry *entry = d->num_slots == 0 ? NULL : *bucket_of(d, addr);
    while (entry != NULL && !netaddr_ip_equal(&entry->address, addr)) {
        entry = entry->next;
    }
    return entry;
}

static void entry_free(struct entry *entry) {
    free(entry->peer_id);
    free(entry->last_error);
    free(entry);
}

static void drop(struct destinations *d, struct entry *entry) {
    struct entry **link = bucket_of(d, &entry->address);
    while (*link != entry) {
        link = &(*link)->next;
    }
    *link = entry->next;
    heap_remove(heap_of(d, entry), entry);
    d->num--;
    entry_free(entry);
}

// Doubles the buckets and the heaps together, so that an entry that is in can always change heaps.
static bool grow(struct destinations *d) {
    size_t num_slots = d->num_slots == 0 ? SLOTS_MIN : 2 * d->num_slots;
    for (size_t i = 0; i < 2; i++) {
        struct entry **slots = reallocarray(d->heaps[i].slots, num_slots, sizeof(struct entry *));
        if (slots == NULL) {
            return false;
        }
        d->heaps[i].slots = slots;
    }
    struct entry **old = d->buckets;
    struct entry **buckets = calloc(num_slots, sizeof(struct entry *));
    if (buckets == NULL) {
        return false;
    }
    size_t num_old = d->num_slots;
    d->buckets = buckets;
    d->num_slots = num_slots;
    for (size_t i = 0; i < num_old; i++) {
        for (struct entry *entry = old[i], *next; entry != NULL; entry = next) {
            next = entry->next;
            struct entry **bucket = bucket_of(d, &entry->address);
            entry->next = *bucket;
            *bucket = entry;
        }
    }
    free(old);
    return true;
}

// Makes room in a full table; false when nothing gives way to an entry in `state`.
static bool make_room(struct destinations *d, enum destination_state state, int64_t now_ms) {
    struct heap *unpinned = &d->heaps[0], *pinned = &d->heaps[1];
    if (d->num < DESTINATIONS_MAX) {
        return true;
    }
    if (pinned->num > 0 && pinned->slots[0]->until_ms <= now_ms) {
        drop(d, pinned->slots[0]);
    } else if (unpinned->num > 0) {
        drop(d, unpinned->slots[0]);
    } else if (destinations_is_pin(state)) {
        drop(d, pinned->slots[0]);
    }
    return d->num < DESTINATIONS_MAX;
}

static struct entry *insert(struct destinations *d, const struct netaddr *addr,
                            enum destination_state state, int64_t now_ms) {
    if (!make_room(d, state, now_ms) || (d->num == d->num_slots && !grow(d))) {
        return NULL;
    }
    struct entry *entry = calloc(1, sizeof *entry);
    if (entry == NULL) {
        return NULL;
    }
    entry->address = netaddr_with_port(addr, 0);
    entry->state = state;
    entry->since_ms = now_ms;
    entry->until_ms = now_ms;
    struct entry **bucket = bucket_of(d, addr);
    entry->next = *bucket;
    *bucket = entry;
    d->num++;
    heap_insert(heap_of(d, entry), entry);
    return entry;
}

// The entry of `addr`, made if there is none, brought into `state` until `until_ms`. NULL: full of
// pins, or memory is short.
static struct entry *remember(struct destinations *d, const struct netaddr *addr,
                              enum destination_state state, int64_t now_ms, int64_t until_ms) {
    struct entry *entry = find(d, addr);
    if (entry == NULL) {
        entry = insert(d, addr, state, now_ms);
    }
    if (entry == NULL) {
        return NULL;
    }
    heap_remove(heap_of(d, entry), entry);
    if (entry->state != state || entry->until_ms <= now_ms) {
        entry->since_ms = now_ms;
    }
    entry->state = state;
    entry->until_ms = until_ms;
    heap_insert(heap_of(d, entry), entry);
    return entry;
}

static void replace_text(char **slot, const char *text, size_t max) {
    free(*slot);
    *slot = text == NULL || *text == '\0' ? NULL : strndup(text, max);
}

struct destinations *destinations_new(void) {
    struct destinations *d = calloc(1, sizeof *d);
    if (d == NULL) {
        return NULL;
    }
    if (getrandom(&d->seed, sizeof d->seed, 0) != (ssize_t)sizeof d->seed ||
        pthread_mutex_init(&d->mutex, NULL) != 0) {
        free(d);
        return NULL;
    }
    return d;
}

void destinations_free(struct destinations *destinations) {
    struct destinations *d = destinations;
    if (d == NULL) {
        return;
    }
    for (size_t i = 0; i < d->num_slots; i++) {
        for (struct entry *entry = d->buckets[i], *next; entry != NULL; entry = next) {
            next = entry->next;
            entry_free(entry);
        }
    }
    free(d->buckets);
    free(d->heaps[0].slots);
    free(d->heaps[1].slots);
    pthread_mutex_destroy(&d->mutex);
    free(d);
}

enum destination_state destinations_look_up(struct destinations *destinations,
                                            const struct netaddr *addr, int64_t now_ms) {
    pthread_mutex_lock(&destinations->mutex);
    enum destination_state state = DESTINATION_UNKNOWN;
    struct entry *entry = find(destinations, addr);
    if (entry != NULL && entry->until_ms > now_ms) {
        state = entry->state;
    } else if (entry != NULL) {
        drop(destinations, entry);
    }
    pthread_mutex_unlock(&destinations->mutex);
    return state;
}

static bool is_renewal(const struct entry *entry, const struct spiffe_id *peer) {
    return entry != NULL && entry->state == DESTINATION_PINNED && entry->peer_id != NULL &&
           peer != NULL && strncmp(entry->peer_id, peer->text, PEER_ID_MAX) == 0;
}

void destinations_pin(struct destinations *destinations, const struct netaddr *addr,
                      const struct spiffe_id *peer, int64_t now_ms, int64_t pin_for_ms) {
    pthread_mutex_lock(&destinations->mutex);
    if (!is_renewal(find(destinations, addr), peer)) {
        destinations->pin_changes++;
    }
    struct entry *entry =
        remember(destinations, addr, DESTINATION_PINNED, now_ms, now_ms + pin_for_ms);
    if (entry != NULL) {
        replace_text(&entry->peer_id, peer == NULL ? NULL : peer->text, PEER_ID_MAX);
        replace_text(&entry->last_error, NULL, 0);
    }
    pthread_mutex_unlock(&destinations->mutex);
}

void destinations_note_service(struct destinations *destinations, const struct netaddr *addr,
                               int64_t now_ms, int64_t for_ms) {
    pthread_mutex_lock(&destinations->mutex);
    struct entry *entry = find(destinations, addr);
    // Renewed only when half of the time is over: each connection to the Service comes by.
    bool is_known = entry != NULL && entry->state == DESTINATION_SERVICE &&
                    entry->until_ms > now_ms + for_ms / 2 && entry->last_error == NULL;
    if (!is_known) {
        destinations->pin_changes += entry == NULL || entry->state != DESTINATION_SERVICE;
        entry = remember(destinations, addr, DESTINATION_SERVICE, now_ms, now_ms + for_ms);
    }
    if (!is_known && entry != NULL) {
        replace_text(&entry->peer_id, NULL, 0);
        replace_text(&entry->last_error, NULL, 0);
    }
    pthread_mutex_unlock(&destinations->mutex);
}

void destinations_miss(struct destinations *destinations, const struct netaddr *addr,
                       const struct destination_miss *miss, int64_t now_ms) {
    pthread_mutex_lock(&destinations->mutex);
    struct entry *entry = find(destinations, addr);
    if (entry == NULL || !destinations_is_pin(entry->state) || entry->until_ms <= now_ms) {
        entry = remember(destinations, addr,
                         miss->plaintext ? DESTINATION_PLAINTEXT : DESTINATION_UNREACHABLE, now_ms,
                         now_ms + miss->for_ms);
        if (entry != NULL) {
            replace_text(&entry->peer_id, NULL, 0);
        }
    }
    if (entry != NULL) { // a pin too says miss->why its tunnel port is silent
        replace_text(&entry->last_error, miss->why,
                     sizeof((struct destination_view *)0)->last_error - 1);
    }
    pthread_mutex_unlock(&destinations->mutex);
}

bool destinations_forget(struct destinations *destinations, const struct netaddr *addr) {
    pthread_mutex_lock(&destinations->mutex);
    struct entry *entry = find(destinations, addr);
    if (entry != NULL) {
        destinations->pin_changes += destinations_is_pin(entry->state);
        drop(destinations, entry);
    }
    pthread_mutex_unlock(&destinations->mutex);
    return entry != NULL;
}

uint64_t destinations_pin_changes(struct destinations *destinations) {
    pthread_mutex_lock(&destinations->mutex);
    uint64_t changes = destinations->pin_changes;
    pthread_mutex_unlock(&destinations->mutex);
    return changes;
}

static const char *state_name(enum destination_state state) {
    switch (state) {
    case DESTINATION_PINNED:
        return "pinned";
    case DESTINATION_PLAINTEXT:
        return "plaintext";
    case DESTINATION_UNREACHABLE:
        return "unreachable";
    case DESTINATION_SERVICE:
        return "service";
    case DESTINATION_UNKNOWN:
        break;
    }
    return "unknown";
}

static void render(const struct entry *entry, struct destination_view *out) {
    out->address = entry->address;
    out->state = state_name(entry->state);
    out->since_ms = entry->since_ms;
    out->until_ms = entry->until_ms;
    snprintf(out->peer_id, sizeof out->peer_id, "%s", entry->peer_id ? entry->peer_id : "");
    snprintf(out->last_error, sizeof out->last_error, "%s",
             entry->last_error ? entry->last_error : "");
}

static void render_heap(const struct heap *heap, struct view *out, int64_t now_ms) {
    for (size_t i = 0; i < heap->num; i++) {
        if (heap->slots[i]->until_ms <= now_ms) {
            continue;
        }
        struct destination_view *added = view_add_destination(out);
        if (added != NULL) {
            render(heap->slots[i], added);
        }
    }
}

void destinations_render(struct destinations *destinations, struct view *out, int64_t now_ms) {
    pthread_mutex_lock(&destinations->mutex);
    render_heap(&destinations->heaps[1], out, now_ms); // pins first
    render_heap(&destinations->heaps[0], out, now_ms);
    pthread_mutex_unlock(&destinations->mutex);
}
