#include "agent/tunnel/pool.h"

#include <stdio.h>
#include <string.h>

void pool_init(struct pool *pool, struct tunnel_env *env) {
    pool->env = env;
    for (size_t i = 0; i < POOL_BUCKETS; i++) {
        list_init(&pool->buckets[i]);
    }
}

static bool same_peers(const struct string_list *a, const struct string_list *b) {
    if (a == b) {
        return true;
    }
    if (a->num != b->num) {
        return false;
    }
    for (size_t i = 0; i < a->num; i++) {
        if (strcmp(a->items[i], b->items[i]) != 0) {
            return false;
        }
    }
    return true;
}

static bool matches(const struct tunnel *tunnel, const struct tunnel_target *target) {
    return tls_context_identity(tunnel->context) == tls_context_identity(target->context) &&
           netaddr_equal(&tunnel->peer_addr, &target->addr) &&
           same_peers(tunnel->peers, target->peers);
}

// The tunnels of one key.
struct candidates {
    struct tunnel *best;    // usable, and the one in which a new stream waits least
    struct tunnel *pending; // on its way
    size_t num;             // open; those that end live as long as their streams
};

static bool is_better(const struct tunnel *a, const struct tunnel *b) {
    bool a_congested = tunnel_is_congested(a);
    if (a_congested != tunnel_is_congested(b)) {
        return !a_congested;
    }
    return tunnel_num_queued(a) < tunnel_num_queued(b);
}

static struct candidates find(const struct list *bucket, const struct tunnel_target *target,
                              int64_t now_s) {
    struct candidates found = {0};
    LIST_FOR_EACH(bucket, it) {
        struct tunnel *tunnel = LIST_ENTRY(it, struct tunnel, pool_node);
        if (!matches(tunnel, target)) {
            continue;
        }
        found.num += tunnel->state == TUNNEL_READY;
        if (tunnel->state < TUNNEL_READY) {
            found.pending = tunnel;
        } else if (tunnel_is_usable(tunnel, now_s) &&
                   (found.best == NULL || is_better(tunnel, found.best))) {
            found.best = tunnel;
        }
    }
    return found;
}

static struct tunnel *open_another(struct pool *pool, struct list *bucket,
                                   const struct tunnel_target *target,
                                   struct tunnel_failure *failure) {
    struct tunnel *tunnel = tunnel_connect(pool->env, target, failure);
    if (tunnel != NULL) {
        list_append(bucket, &tunnel->pool_node);
    }
    return tunnel;
}

struct tunnel *pool_get(struct pool *pool, const struct tunnel_target *target, int64_t now_s,
                        bool *reused, struct tunnel_failure *failure) {
    struct list *bucket = &pool->buckets[netaddr_hash(&target->addr, true) % POOL_BUCKETS];
    struct candidates found = find(bucket, target, now_s);
    *reused = found.best != NULL;
    if (found.best != NULL) {
        if (found.pending == NULL && found.num < POOL_MAX_CONGESTED &&
            tunnel_is_congested(found.best)) {
            (void)open_another(pool, bucket, target, failure); // for those who come next
        }
        return found.best;
    }
    if (found.pending != NULL) {
        return found.pending;
    }
    if (found.num >= POOL_MAX_PER_KEY) {
        *failure = (struct tunnel_failure){.reason = CLOSE_LIMIT};
        snprintf(failure->detail, sizeof(failure->detail), "%zu tunnels to the peer are full",
                 found.num);
        return NULL;
    }
    return open_another(pool, bucket, target, failure);
}
