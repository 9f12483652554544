#include "agent/worker/refusals.h"

#include <pthread.h>
#include <stdlib.h>

struct refusals {
    pthread_mutex_t lock;
    size_t next; // counts for ever; the slot is its remainder
    struct refusal_view ring[REFUSALS_KEPT];
};

struct refusals *refusals_new(void) {
    struct refusals *refusals = calloc(1, sizeof(*refusals));
    if (refusals != NULL) {
        pthread_mutex_init(&refusals->lock, NULL);
    }
    return refusals;
}

void refusals_free(struct refusals *refusals) {
    if (refusals != NULL) {
        pthread_mutex_destroy(&refusals->lock);
        free(refusals);
    }
}

void refusals_add(struct refusals *refusals, const struct refusal_view *refusal) {
    pthread_mutex_lock(&refusals->lock);
    refusals->ring[refusals->next++ % REFUSALS_KEPT] = *refusal;
    pthread_mutex_unlock(&refusals->lock);
}

void refusals_render(struct refusals *refusals, struct view *out) {
    pthread_mutex_lock(&refusals->lock);
    size_t num = refusals->next < REFUSALS_KEPT ? refusals->next : REFUSALS_KEPT;
    for (size_t i = 1; i <= num; i++) {
        struct refusal_view *view = view_add_refusal(out);
        if (view == NULL) {
            break;
        }
        *view = refusals->ring[(refusals->next - i) % REFUSALS_KEPT];
    }
    pthread_mutex_unlock(&refusals->lock);
}
