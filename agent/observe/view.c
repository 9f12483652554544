#include "agent/observe/view.h"

#include <stdlib.h>
#include <string.h>

#define CAP_MIN 16

// `items` with room for one more than `num`; NULL when memory is short (`items` stays valid).
static void *with_room(void *items, size_t num, size_t *cap, size_t item_len) {
    if (num < *cap) {
        return items;
    }
    size_t grown = *cap == 0 ? CAP_MIN : 2 * *cap;
    void *moved = reallocarray(items, grown, item_len);
    if (moved != NULL) {
        *cap = grown;
    }
    return moved;
}

#define VIEW_ADD(kind, field)                                                                      \
    struct kind##_view *view_add_##kind(struct view *view) {                                       \
        void *items =                                                                              \
            with_room(view->field, view->num_##field, &view->cap_##field, sizeof view->field[0]);  \
        if (items == NULL) {                                                                       \
            return NULL;                                                                           \
        }                                                                                          \
        view->field = items;                                                                       \
        struct kind##_view *added = &view->field[view->num_##field++];                             \
        memset(added, 0, sizeof *added);                                                           \
        return added;                                                                              \
    }

VIEW_ADD(connection, connections)
VIEW_ADD(tunnel, tunnels)
VIEW_ADD(listener, listeners)
VIEW_ADD(destination, destinations)
VIEW_ADD(host, hosts)
VIEW_ADD(refusal, refusals)
VIEW_ADD(certificate, certificates)

void view_fini(struct view *view) {
    if (view == NULL) {
        return;
    }
    free(view->connections);
    free(view->tunnels);
    free(view->listeners);
    free(view->destinations);
    free(view->hosts);
    free(view->refusals);
    free(view->certificates);
    *view = (struct view){0};
}
