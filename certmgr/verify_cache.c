#include "certmgr/verify_cache.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/pool.h>
#include <openssl/sha.h>

#include "base/lru.h"
#include "certmgr/revocation.h"
#include "certmgr/sized_hash.h"

_Static_assert(SHA256_DIGEST_LENGTH == LRU_KEY_LEN, "a SHA-256 is the key");

struct verdict {
    struct lru_node node;
    int64_t from;  // the moment it was reached: a clock that was set back is before it
    int64_t until; // the first moment at which it may be another
    int64_t not_after;
    char serial[SVID_SERIAL_TEXT_MAX];
    uint16_t trust_domain_len;
    uint16_t id_len;
    char id[]; // a struct peer has room for the longest
};

struct verify_cache {
    struct bundle_set *bundles;
    pthread_mutex_t lock; // of what follows
    struct lru verdicts;
    uint64_t hits;
    uint64_t misses;
};

static void free_verdict(struct lru_node *node) {
    free(LIST_ENTRY(node, struct verdict, node));
}

struct verify_cache *verify_cache_new(struct bundle_set *bundles) {
    struct verify_cache *cache = calloc(1, sizeof *cache);
    if (cache == NULL) {
        return NULL;
    }
    cache->bundles = bundle_set_ref(bundles);
    pthread_mutex_init(&cache->lock, NULL);
    lru_init(&cache->verdicts, VERIFY_CACHE_MAX, free_verdict);
    return cache;
}

void verify_cache_free(struct verify_cache *cache) {
    if (cache == NULL) {
        return;
    }
    lru_fini(&cache->verdicts);
    pthread_mutex_destroy(&cache->lock);
    bundle_set_unref(cache->bundles);
    free(cache);
}

static void compute_key(const struct verify_question *question, uint8_t key[LRU_KEY_LEN]) {
    SHA256_CTX sha;
    SHA256_Init(&sha);
    uint8_t role = (uint8_t)question->role;
    SHA256_Update(&sha, &role, sizeof role);
    sized_hash_add(&sha, question->dns_name.ptr, question->dns_name.len);
    sized_hash_add(&sha, question->trust_domain.ptr, question->trust_domain.len);
    for (size_t i = 0; i < question->num_chain; i++) {
        const CRYPTO_BUFFER *cert = question->chain[i];
        sized_hash_add(&sha, CRYPTO_BUFFER_data(cert), CRYPTO_BUFFER_len(cert));
    }
    SHA256_Final(key, &sha);
}

// True: `out` is set.
static bool look_up(struct verify_cache *cache, const uint8_t *key, int64_t now, struct peer *out) {
    struct lru_node *node = lru_find(&cache->verdicts, key);
    struct verdict *verdict = node == NULL ? NULL : LIST_ENTRY(node, struct verdict, node);
    if (verdict == NULL || now < verdict->from || now >= verdict->until) {
        cache->misses++;
        return false;
    }
    cache->hits++;
    lru_touch(&cache->verdicts, node);
    out->not_after = verdict->not_after;
    memcpy(out->serial, verdict->serial, sizeof out->serial);
    out->id.len = verdict->id_len;
    out->id.trust_domain_len = verdict->trust_domain_len;
    memcpy(out->id.text, verdict->id, verdict->id_len);
    out->id.text[verdict->id_len] = '\0';
    return true;
}

static struct verdict *make_verdict(const struct verify_cache *cache, int64_t now,
                                    const struct peer *peer) {
    struct verdict *verdict = malloc(sizeof *verdict + peer->id.len);
    if (verdict == NULL) {
        return NULL;
    }
    int64_t change = INT64_MAX;
    if (bundle_set_has_crls(cache->bundles)) {
        change = revocation_next_end(bundle_set_crls(cache->bundles), now);
    }
    verdict->from = now;
    verdict->until = change < peer->not_after ? change : peer->not_after;
    verdict->not_after = peer->not_after;
    memcpy(verdict->serial, peer->serial, sizeof verdict->serial);
    verdict->id_len = peer->id.len;
    verdict->trust_domain_len = peer->id.trust_domain_len;
    memcpy(verdict->id, peer->id.text, peer->id.len);
    return verdict;
}

// Not keeping one, for want of memory, costs a verification.
static void keep(struct verify_cache *cache, const uint8_t *key, int64_t now,
                 const struct peer *peer) {
    struct verdict *verdict = make_verdict(cache, now, peer);
    if (verdict == NULL) {
        return;
    }
    memcpy(verdict->node.key, key, LRU_KEY_LEN);
    pthread_mutex_lock(&cache->lock);
    lru_drop_oldest(&cache->verdicts, key); // another thread's, or one that is past
    lru_put(&cache->verdicts, &verdict->node);
    pthread_mutex_unlock(&cache->lock);
}

enum verify_result verify_cache_ask(struct verify_cache *cache,
                                    const struct verify_question *question, struct peer *out,
                                    struct err *err) {
    // What is too large is refused by its size alone, before it costs a digest.
    bool hashable = question->num_chain > 0 && question->num_chain <= SVID_CHAIN_MAX;
    uint8_t key[LRU_KEY_LEN];
    if (hashable) {
        compute_key(question, key);
        pthread_mutex_lock(&cache->lock);
        bool known = look_up(cache, key, question->now, out);
        pthread_mutex_unlock(&cache->lock);
        if (known) {
            return VERIFY_OK;
        }
    }
    enum verify_result result = verify_peer(cache->bundles, question, out, err);
    if (result == VERIFY_OK) {
        keep(cache, key, question->now, out);
    }
    return result;
}

struct verify_cache_counts verify_cache_counts(struct verify_cache *cache) {
    pthread_mutex_lock(&cache->lock);
    struct verify_cache_counts counts = {
        .hits = cache->hits, .misses = cache->misses, .entries = cache->verdicts.num};
    pthread_mutex_unlock(&cache->lock);
    return counts;
}
