#include "agent/worker/snapshot.h"

#include <stdlib.h>

struct snapshot *snapshot_new(struct config *config, struct tls_context *context,
                              enum identity_state state, struct edge_set *edges,
                              struct host_table *hosts) {
    struct snapshot *snapshot = calloc(1, sizeof(*snapshot));
    if (snapshot == NULL) {
        return NULL;
    }
    snapshot->refs = 1;
    snapshot->config = config_ref(config);
    snapshot->context = context == NULL ? NULL : tls_context_ref(context);
    snapshot->state = state;
    snapshot->edges = edges == NULL ? NULL : edge_set_ref(edges);
    snapshot->hosts = hosts == NULL ? NULL : host_table_ref(hosts);
    return snapshot;
}

void snapshot_set_staples(struct snapshot *snapshot, struct edge_staples *staples) {
    snapshot->staples = edge_staples_ref(staples);
}

struct snapshot *snapshot_ref(struct snapshot *snapshot) {
    atomic_fetch_add_explicit(&snapshot->refs, 1, memory_order_relaxed);
    return snapshot;
}

void snapshot_unref(struct snapshot *snapshot) {
    if (snapshot == NULL ||
        atomic_fetch_sub_explicit(&snapshot->refs, 1, memory_order_acq_rel) != 1) {
        return;
    }
    edge_staples_unref(snapshot->staples);
    host_table_unref(snapshot->hosts);
    edge_set_unref(snapshot->edges);
    tls_context_unref(snapshot->context);
    config_unref(snapshot->config);
    free(snapshot);
}

struct tls_context *snapshot_context(const struct snapshot *snapshot, int64_t now_s,
                                     enum close_reason *why) {
    if (snapshot->context == NULL) {
        *why = snapshot->state == IDENTITY_WITHDRAWN ? CLOSE_IDENTITY_WITHDRAWN
               : snapshot->state == IDENTITY_EXPIRED ? CLOSE_IDENTITY_EXPIRED
                                                     : CLOSE_NO_IDENTITY;
        return NULL;
    }
    struct identity *identity = tls_context_identity(snapshot->context);
    if (now_s >= svid_not_after(identity_svid(identity))) {
        *why = CLOSE_IDENTITY_EXPIRED;
        return NULL;
    }
    return snapshot->context;
}
