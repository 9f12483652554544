#include "authority/issuer.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/own.h"
#include "certmgr/update.h"
#include "certmgr/workload_codec.h"

#define RETRY_MS 1000

struct issuer {
    struct ca *ca;
    char *trust_domain_id; // "spiffe://td"
    int64_t ttl_ms;
    int64_t rotate_ms;
    struct list subjects;
    size_t num_subjects;
};

static void subject_free(struct subject *subject) {
    if (subject == NULL) {
        return;
    }
    buf_clear_secret(&subject->response);
    free(subject->spiffe_id);
    free(subject);
}
OWN_DEFINE(struct subject, subject_free)

static void forget(struct issuer *issuer, struct subject *subject) {
    list_remove(&subject->node);
    issuer->num_subjects--;
    subject_free(subject);
}

struct issuer *issuer_new(struct ca *ca, struct issuer_policy policy, struct err *err) {
    OWNED(issuer_free) struct issuer *issuer = calloc(1, sizeof(*issuer));
    if (issuer == NULL) {
        ERR_NO_MEMORY(err, "making the issuer");
        return NULL;
    }
    issuer->ca = ca;
    issuer->ttl_ms = policy.ttl_ms;
    issuer->rotate_ms = policy.rotate_ms;
    list_init(&issuer->subjects);
    if (asprintf(&issuer->trust_domain_id, "spiffe://%s", policy.trust_domain) < 0) {
        issuer->trust_domain_id = NULL;
        ERR_NO_MEMORY(err, "making the issuer");
        return NULL;
    }
    return take(&issuer);
}

void issuer_free(struct issuer *issuer) {
    if (issuer == NULL) {
        return;
    }
    LIST_FOR_EACH(&issuer->subjects, it) {
        forget(issuer, LIST_ENTRY(it, struct subject, node));
    }
    free(issuer->trust_domain_id);
    free(issuer);
}

static bool render(const struct issuer *issuer, const char *spiffe_id, const struct ca_leaf *leaf,
                   struct buf *out, struct err *err) {
    struct buf bundle __attribute__((cleanup(buf_fini))) = {0};
    OWNED(update_free) struct update *update = update_new(1, 0, 0);
    if (!ca_bundle(issuer->ca, &bundle, err)) {
        return false;
    }
    if (update == NULL || !update_bytes_set(&update->svids[0].spiffe_id, span_of_text(spiffe_id)) ||
        !update_bytes_set(&update->svids[0].chain, buf_span(&leaf->chain)) ||
        !update_bytes_set(&update->svids[0].key, buf_span(&leaf->key)) ||
        !update_bytes_set(&update->svids[0].bundle, buf_span(&bundle))) {
        return ERR_NO_MEMORY(err, "rendering a certificate");
    }
    return workload_encode_svids(update, out, err);
}

// A new key, certificate and response. On error the subject is as it was.
static bool issue(const struct issuer *issuer, struct subject *subject, int64_t now_ms,
                  struct err *err) {
    struct ca_leaf leaf __attribute__((cleanup(ca_leaf_fini))) = {0};
    struct buf response __attribute__((cleanup(buf_clear_secret))) = {0};
    int64_t not_after = (now_ms + issuer->ttl_ms + 999) / 1000;
    const struct ca_subject whose = {.spiffe_id = subject->spiffe_id};
    const struct ca_period period = {.now = now_ms / 1000, .not_after = not_after};
    if (!ca_issue(issuer->ca, whose, period, &leaf, err) ||
        !render(issuer, subject->spiffe_id, &leaf, &response, err)) {
        return false;
    }
    struct buf old = subject->response;
    subject->response = response;
    response = old;
    memcpy(subject->serial, leaf.serial, sizeof(leaf.serial));
    subject->not_after = leaf.not_after;
    subject->issued_ms = now_ms;
    subject->due_ms = now_ms + issuer->rotate_ms;
    subject->num_issued++;
    return true;
}

static struct subject *find(const struct issuer *issuer, const char *spiffe_id) {
    LIST_FOR_EACH(&issuer->subjects, it) {
        struct subject *subject = LIST_ENTRY(it, struct subject, node);
        if (strcmp(subject->spiffe_id, spiffe_id) == 0) {
            return subject;
        }
    }
    return NULL;
}

static void forget_unused(struct issuer *issuer) {
    LIST_FOR_EACH(&issuer->subjects, it) {
        struct subject *subject = LIST_ENTRY(it, struct subject, node);
        if (list_is_empty(&subject->subscribers)) {
            forget(issuer, subject);
        }
    }
}

// The certificate is too old, or the clock went back before it was made.
static bool is_due(const struct subject *subject, int64_t now_ms) {
    return now_ms >= subject->due_ms || now_ms < subject->issued_ms;
}

struct subject *issuer_subject(struct issuer *issuer, const char *spiffe_id, int64_t now_ms,
                               bool *is_new, struct err *err) {
    *is_new = false;
    struct subject *known = find(issuer, spiffe_id);
    if (known != NULL && list_is_empty(&known->subscribers) && is_due(known, now_ms)) {
        forget(issuer, known);
        known = NULL;
    }
    if (known != NULL) { // if due it has subscribers, and issuer_renew serves all of them
        return known;
    }
    if (issuer->num_subjects >= ISSUER_SUBJECTS_MAX) {
        forget_unused(issuer);
    }
    if (issuer->num_subjects >= ISSUER_SUBJECTS_MAX) {
        ERR_SET(err, ERR_ENVIRONMENT, "too many identities are in use");
        return NULL;
    }
    OWNED(subject_free) struct subject *subject = calloc(1, sizeof(*subject));
    if (subject == NULL || (subject->spiffe_id = strdup(spiffe_id)) == NULL) {
        ERR_NO_MEMORY(err, "issuing a certificate");
        return NULL;
    }
    list_init(&subject->subscribers);
    if (!issue(issuer, subject, now_ms, err)) {
        return NULL;
    }
    list_append(&issuer->subjects, &subject->node);
    issuer->num_subjects++;
    *is_new = true;
    return take(&subject);
}

void issuer_renew(struct issuer *issuer, int64_t now_ms, const struct issuer_observer *observer) {
    LIST_FOR_EACH(&issuer->subjects, it) {
        struct subject *subject = LIST_ENTRY(it, struct subject, node);
        struct err err = {0};
        if (!is_due(subject, now_ms)) {
            continue;
        }
        if (list_is_empty(&subject->subscribers)) {
            forget(issuer, subject);
        } else if (issue(issuer, subject, now_ms, &err)) {
            observer->renewed(observer->arg, subject);
        } else {
            subject->issued_ms = now_ms;
            subject->due_ms = now_ms + RETRY_MS;
            observer->failed(observer->arg, subject, &err);
        }
    }
}

void issuer_expire_all(struct issuer *issuer) {
    LIST_FOR_EACH(&issuer->subjects, it) {
        LIST_ENTRY(it, struct subject, node)->due_ms = INT64_MIN;
    }
}

int64_t issuer_next_due_ms(const struct issuer *issuer) {
    int64_t first = INT64_MAX;
    LIST_FOR_EACH(&issuer->subjects, it) {
        const struct subject *subject = LIST_ENTRY(it, struct subject, node);
        first = subject->due_ms < first ? subject->due_ms : first;
    }
    return first;
}

bool issuer_bundles(const struct issuer *issuer, struct buf *out, struct err *err) {
    struct buf bundle __attribute__((cleanup(buf_fini))) = {0};
    OWNED(update_free) struct update *update = update_new(0, 1, 0);
    if (!ca_bundle(issuer->ca, &bundle, err)) {
        return false;
    }
    if (update == NULL ||
        !update_bytes_set(&update->federated[0].trust_domain_id,
                          span_of_text(issuer->trust_domain_id)) ||
        !update_bytes_set(&update->federated[0].der, buf_span(&bundle))) {
        return ERR_NO_MEMORY(err, "rendering the trust bundle");
    }
    return workload_encode_bundles(update, out, err);
}
