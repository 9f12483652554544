// The SVIDs in force: for each SPIFFE ID that somebody has asked for, the present certificate and
// key as a ready Workload API response, renewed at a fixed interval with a fresh key each time.
// One owner, one thread; the wall clock is given by the caller, in ms.
#ifndef AUTHORITY_ISSUER_H
#define AUTHORITY_ISSUER_H

#include <stdbool.h>
#include <stdint.h>

#include "authority/ca.h"
#include "base/buf.h"
#include "base/err.h"
#include "base/list.h"
#include "base/span.h"

#define ISSUER_SUBJECTS_MAX 2048

// One SPIFFE ID. Owned by the issuer, which keeps it while `subscribers` has a node; the list and
// what follows it are the service's.
struct subject {
    struct list_node node; // the issuer's
    char *spiffe_id;
    struct buf response; // X509SVIDResponse; holds the private key
    char serial[CA_SERIAL_TEXT_MAX];
    int64_t not_after;   // Unix seconds
    int64_t issued_ms;   // when the present certificate was made
    int64_t due_ms;      // when the next one is
    uint64_t num_issued; // certificates so far
    struct list subscribers;
    int64_t reported_ms;   // its last event about this subject
    uint64_t num_reported; // and how many certificates it knew of then
};

struct issuer_policy {
    const char *trust_domain;
    int64_t ttl_ms;
    int64_t rotate_ms; // less than ttl_ms
};

struct issuer;

// The CA is borrowed and outlives the issuer.
struct issuer *issuer_new(struct ca *ca, struct issuer_policy policy, struct err *err) MUST_USE;
void issuer_free(struct issuer *issuer);
OWN_DEFINE(struct issuer, issuer_free)

// The subject with this ID; its first certificate is made here. NULL with the sentence on error.
// `*is_new` says that it was made now. Borrowed until the next call that takes the issuer, unless
// the caller subscribes.
struct subject *issuer_subject(struct issuer *issuer, const char *spiffe_id, int64_t now_ms,
                               bool *is_new, struct err *err) MUST_USE;

struct issuer_observer {
    void (*renewed)(void *arg, struct subject *subject);
    void (*failed)(void *arg, struct subject *subject, const struct err *err);
    void *arg;
};

// Renews what is due at `now_ms` and has subscribers, and forgets what is due and has none. A
// renewal that fails is tried again a second later; the old certificate stays.
void issuer_renew(struct issuer *issuer, int64_t now_ms, const struct issuer_observer *observer);
// Makes everything due now: the bundle is another one.
void issuer_expire_all(struct issuer *issuer);
// When something is due next; INT64_MAX when there is nothing.
int64_t issuer_next_due_ms(const struct issuer *issuer);

// The present X509BundlesResponse, appended.
bool issuer_bundles(const struct issuer *issuer, struct buf *out, struct err *err) MUST_USE;

#endif
