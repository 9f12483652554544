#include "certmgr/update.h"

#include <stdlib.h>
#include <string.h>

#include "base/own.h"

struct update *update_new(size_t num_svids, size_t num_federated, size_t num_crls) {
    struct update *update OWNED(update_free) = calloc(1, sizeof *update);
    if (update == NULL) {
        return NULL;
    }
    // calloc(0) may give NULL; one element more keeps "NULL" for "no memory".
    update->svids = calloc(num_svids + 1, sizeof *update->svids);
    update->federated = calloc(num_federated + 1, sizeof *update->federated);
    update->crls = calloc(num_crls + 1, sizeof *update->crls);
    if (update->svids == NULL || update->federated == NULL || update->crls == NULL) {
        return NULL;
    }
    update->num_svids = num_svids;
    update->num_federated = num_federated;
    update->num_crls = num_crls;
    return take(&update);
}

static void free_svid(struct update_svid *svid) {
    if (svid->key.ptr != NULL) {
        explicit_bzero(svid->key.ptr, svid->key.len);
    }
    free(svid->spiffe_id.ptr);
    free(svid->chain.ptr);
    free(svid->key.ptr);
    free(svid->bundle.ptr);
    free(svid->hint.ptr);
}

void update_free(struct update *update) {
    if (update == NULL) {
        return;
    }
    for (size_t i = 0; i < update->num_svids; i++) {
        free_svid(&update->svids[i]);
    }
    for (size_t i = 0; i < update->num_federated; i++) {
        free(update->federated[i].trust_domain_id.ptr);
        free(update->federated[i].der.ptr);
    }
    for (size_t i = 0; i < update->num_crls; i++) {
        free(update->crls[i].ptr);
    }
    free(update->svids);
    free(update->federated);
    free(update->crls);
    free(update);
}

bool update_bytes_set(struct update_bytes *out, struct span bytes) {
    uint8_t *copy = malloc(bytes.len + 1);
    if (copy == NULL) {
        return false;
    }
    if (bytes.len > 0) {
        memcpy(copy, bytes.ptr, bytes.len);
    }
    if (out->ptr != NULL) {
        explicit_bzero(out->ptr, out->len); // it may be a key
        free(out->ptr);
    }
    *out = (struct update_bytes){.ptr = copy, .len = bytes.len};
    return true;
}

struct span update_bytes_span(const struct update_bytes *bytes) {
    return span_of(bytes->ptr, bytes->len);
}
