#include "agent/tls/edge_staples.h"

#include <stdlib.h>

struct edge_staples *edge_staples_new(size_t num) {
    struct edge_staples *staples = calloc(1, sizeof(*staples));
    if (staples == NULL) {
        return NULL;
    }
    atomic_init(&staples->num_refs, 1);
    staples->num = num;
    staples->items = calloc(num + 1, sizeof(*staples->items));
    if (staples->items == NULL) {
        free(staples);
        return NULL;
    }
    return staples;
}

struct edge_staples *edge_staples_ref(struct edge_staples *staples) {
    atomic_fetch_add_explicit(&staples->num_refs, 1, memory_order_relaxed);
    return staples;
}

void edge_staples_unref(struct edge_staples *staples) {
    if (staples == NULL ||
        atomic_fetch_sub_explicit(&staples->num_refs, 1, memory_order_acq_rel) > 1) {
        return;
    }
    for (size_t i = 0; i < staples->num; i++) {
        CRYPTO_BUFFER_free(staples->items[i].response);
    }
    free(staples->items);
    free(staples);
}

const CRYPTO_BUFFER *edge_staples_find(const struct edge_staples *staples, size_t slot,
                                       int64_t now) {
    if (staples == NULL || slot == 0 || slot > staples->num) {
        return NULL;
    }
    const struct edge_staple *staple = &staples->items[slot - 1];
    return now < staple->until ? staple->response : NULL;
}
