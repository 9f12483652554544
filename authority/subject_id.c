#include "authority/subject_id.h"

#include <string.h>

#include "certmgr/spiffe_id.h"

char *subject_id_parse(struct span text, const char *trust_domain, struct err *err) {
    struct spiffe_id id;
    if (!spiffe_id_parse(&id, text, err)) {
        return NULL;
    }
    if (!span_equal_text(spiffe_id_trust_domain(&id), trust_domain)) {
        ERR_SET(err, ERR_INPUT, "spiffeId is not in this authority's trust domain");
        return NULL;
    }
    if (spiffe_id_path(&id).len == 0) {
        ERR_SET(err, ERR_INPUT, "spiffeId needs a path after the trust domain");
        return NULL;
    }
    char *copy = strdup(id.text);
    if (copy == NULL) {
        ERR_NO_MEMORY(err, "reading an identity");
    }
    return copy;
}
