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

struct tunnel *pool_get(struct pool *pool, const struct tunnel_target *target, int64_t now_s,
                        bool *reused, struct tunnel_failure *failure) {
    struct list *bucket = &pool->buckets[netaddr_hash(&target->addr, true) % POOL_BUCKETS];
    struct tunnel *pending = NULL;
    size_t num = 0;
    *reused = false;
    LIST_FOR_EACH(bucket, it) {
        struct tunnel *tunnel = LIST_ENTRY(it, struct tunnel, pool_node);
        if (!matches(tunnel, target)) {
            continue;
        }
        num += tunnel->state == TUNNEL_READY; // those that end live as long as their streams
        if (tunnel_is_usable(tunnel, now_s)) {
            *reused = true;
            return tunnel;
        }
        if (tunnel->state < TUNNEL_READY) {
            pending = tunnel;
        }
    }
    if (pending != NULL) {
        return pending;
    }
    if (num >= POOL_MAX_PER_KEY) {
        *failure = (struct tunnel_failure){.reason = CLOSE_LIMIT};
        snprintf(failure->detail, sizeof(failure->detail), "%zu tunnels to the peer are full", num);
        return NULL;
    }
    struct tunnel *tunnel = tunnel_connect(pool->env, target, failure);
    if (tunnel != NULL) {
        list_append(bucket, &tunnel->pool_node);
    }
    return tunnel;
}
