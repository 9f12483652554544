#include "agent/tls/session_cache.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/sha.h>
#include <openssl/ssl.h>

#include "base/lru.h"
#include "base/span.h"

_Static_assert(SHA256_DIGEST_LENGTH == SESSION_CACHE_KEY_LEN &&
                   LRU_KEY_LEN == SESSION_CACHE_KEY_LEN,
               "a SHA-256 is the key");

struct kept_session {
    struct lru_node node;
    SSL_SESSION *session;
};

struct session_cache {
    pthread_mutex_t lock;
    struct lru sessions;
};

static void free_kept(struct lru_node *node) {
    struct kept_session *kept = LIST_ENTRY(node, struct kept_session, node);
    SSL_SESSION_free(kept->session);
    free(kept);
}

struct session_cache *session_cache_new(void) {
    struct session_cache *cache = calloc(1, sizeof(*cache));
    if (cache != NULL) {
        pthread_mutex_init(&cache->lock, NULL);
        lru_init(&cache->sessions, SESSION_CACHE_MAX, free_kept);
    }
    return cache;
}

void session_cache_free(struct session_cache *cache) {
    if (cache != NULL) {
        lru_fini(&cache->sessions);
        pthread_mutex_destroy(&cache->lock);
        free(cache);
    }
}

static void hash_text(SHA256_CTX *sha, const char *text) {
    struct span bytes = span_of_text(text);
    uint64_t size = text == NULL ? UINT64_MAX : bytes.len;
    SHA256_Update(sha, &size, sizeof(size));
    SHA256_Update(sha, bytes.ptr, bytes.len);
}

void session_cache_key(const struct session_endpoint *endpoint,
                       uint8_t key[SESSION_CACHE_KEY_LEN]) {
    SHA256_CTX sha;
    SHA256_Init(&sha);
    const struct netaddr *addr = endpoint->addr;
    SHA256_Update(&sha, &endpoint->use, sizeof(endpoint->use));
    SHA256_Update(&sha, &addr->family, sizeof(addr->family));
    SHA256_Update(&sha, addr->ip, sizeof(addr->ip));
    SHA256_Update(&sha, &addr->port, sizeof(addr->port));
    SHA256_Update(&sha, &addr->scope, sizeof(addr->scope));
    hash_text(&sha, endpoint->server_name);
    for (size_t i = 0; i < endpoint->num_peers; i++) {
        hash_text(&sha, endpoint->peers[i]);
    }
    SHA256_Final(key, &sha);
}

void session_cache_put(struct session_cache *cache, const uint8_t key[SESSION_CACHE_KEY_LEN],
                       SSL_SESSION *session) {
    struct kept_session *kept = calloc(1, sizeof(*kept));
    if (kept == NULL) {
        SSL_SESSION_free(session); // the next handshake is a full one
        return;
    }
    kept->session = session;
    memcpy(kept->node.key, key, SESSION_CACHE_KEY_LEN);
    pthread_mutex_lock(&cache->lock);
    if (lru_count(&cache->sessions, key) >= SESSION_CACHE_PER_KEY_MAX) {
        lru_drop_oldest(&cache->sessions, key);
    }
    lru_put(&cache->sessions, &kept->node);
    pthread_mutex_unlock(&cache->lock);
}

SSL_SESSION *session_cache_take(struct session_cache *cache,
                                const uint8_t key[SESSION_CACHE_KEY_LEN]) {
    pthread_mutex_lock(&cache->lock);
    struct lru_node *node = lru_find(&cache->sessions, key);
    if (node != NULL) {
        lru_remove(&cache->sessions, node);
    }
    pthread_mutex_unlock(&cache->lock);
    if (node == NULL) {
        return NULL;
    }
    struct kept_session *kept = LIST_ENTRY(node, struct kept_session, node);
    SSL_SESSION *session = kept->session;
    free(kept);
    return session;
}
