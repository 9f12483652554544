#include "certmgr/trust/trust_set.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/check.h"

#define PREFIX_MIN 8 // hex digits that name a certificate

// What trust_set_new hands out is the inside of one of these.
struct shared_set {
    struct trust_set set; // first: see shared_of
    atomic_uint num_refs;
};

static struct shared_set *shared_of(struct trust_set *set) {
    return (struct shared_set *)(void *)set;
}

const char *trust_origin_name(enum trust_origin origin) {
    switch (origin) {
    case TRUST_USER:
        return "user";
    case TRUST_SPIFFE:
        return "spiffe";
    case TRUST_PUBLIC:
        break;
    }
    return "public";
}

struct trust_set *trust_set_new(void) {
    struct shared_set *shared = calloc(1, sizeof(*shared));
    if (shared == NULL) {
        return NULL;
    }
    atomic_init(&shared->num_refs, 1);
    shared->set.next_change = INT64_MAX;
    return &shared->set;
}

struct trust_set *trust_set_ref(struct trust_set *set) {
    atomic_fetch_add_explicit(&shared_of(set)->num_refs, 1, memory_order_relaxed);
    return set;
}

static void free_entry(struct trust_entry *entry) {
    if (entry == NULL) {
        return;
    }
    trust_cert_free(entry->cert);
    free(entry->alias);
    free(entry->source);
    for (size_t i = 0; i < entry->num_also_in; i++) {
        free(entry->also_in[i]);
    }
    free(entry);
}

void trust_set_unref(struct trust_set *set) {
    if (set == NULL) {
        return;
    }
    struct shared_set *shared = shared_of(set);
    unsigned before = atomic_fetch_sub_explicit(&shared->num_refs, 1, memory_order_acq_rel);
    CHECK(before > 0);
    if (before > 1) {
        return;
    }
    for (size_t i = 0; i < set->num_entries; i++) {
        free_entry(set->entries[i]);
    }
    for (size_t i = 0; i < set->num_problems; i++) {
        free(set->problems[i].place);
        free(set->problems[i].sentence);
    }
    free(set->entries);
    free(set->problems);
    free(shared);
}

bool trust_set_is_in_bundle(const struct trust_entry *entry) {
    return entry->is_loaded;
}

bool trust_set_is_in_extra(const struct trust_entry *entry) {
    return entry->is_loaded && entry->origin != TRUST_PUBLIC;
}

bool trust_set_is_in_java(const struct trust_entry *entry) {
    return entry->is_loaded && (entry->findings & TRUST_NOT_FOR_JAVA) == 0;
}

bool trust_set_has_own_file(const struct trust_entry *entry) {
    return entry->origin != TRUST_PUBLIC;
}

size_t trust_set_count(const struct trust_set *set, enum trust_origin origin) {
    size_t num = 0;
    for (size_t i = 0; i < set->num_entries; i++) {
        num += set->entries[i]->origin == origin;
    }
    return num;
}

static bool starts_with(const uint8_t *digest, size_t len, const char *prefix) {
    char hex[2 * TRUST_CERT_SHA256_LEN + 1];
    trust_cert_hex(digest, len, hex);
    return strncasecmp(hex, prefix, strlen(prefix)) == 0;
}

static bool has_digest(const struct trust_cert *cert, const char *prefix) {
    return starts_with(cert->sha1, sizeof(cert->sha1), prefix) ||
           starts_with(cert->sha256, sizeof(cert->sha256), prefix);
}

const struct trust_entry *trust_set_find(const struct trust_set *set, const char *name) {
    const struct trust_entry *by_digest = NULL;
    size_t num = 0;
    size_t len = strlen(name);
    bool may_be_digest = len >= PREFIX_MIN && strspn(name, "0123456789abcdefABCDEF") == len;
    for (size_t i = 0; i < set->num_entries; i++) {
        const struct trust_entry *entry = set->entries[i];
        if (strcasecmp(entry->alias, name) == 0) {
            return entry;
        }
        if (may_be_digest && has_digest(entry->cert, name)) {
            by_digest = entry;
            num++;
        }
    }
    return num == 1 ? by_digest : NULL;
}
