// The authority's own CA: one root signs, and near its end a younger one joins the bundle before it
// takes over, so that every peer trusts it before it meets it. The roots are kept in a state
// directory or in memory only. One owner, one thread; time is given by the caller.
#ifndef AUTHORITY_CA_H
#define AUTHORITY_CA_H

#include <stdbool.h>
#include <stdint.h>

#include <openssl/base.h>

#include "authority/certificate.h"
#include "base/buf.h"
#include "base/err.h"

#define CA_LIFETIME_S ((int64_t)365 * 24 * 3600)
#define CA_SERIAL_TEXT_MAX 48

struct ca;

struct ca_policy {
    const char *trust_domain;
    const char *state_dir; // NULL: in memory
    int64_t lifetime_s;    // of a root: CA_LIFETIME_S
};

// Loads the roots or makes the first one. A state directory of another trust domain is refused.
// NULL with the sentence on error. The strings of the policy are copied.
struct ca *ca_new(struct ca_policy policy, int64_t now, struct err *err) MUST_USE;
void ca_free(struct ca *ca);
OWN_DEFINE(struct ca, ca_free)

// Does what is due at `now`: drops an expired root, makes the next one at two thirds of the
// youngest one's life (it signs from five sixths on). `*changed` says whether the bundle is
// another one now. On error nothing has changed.
bool ca_maintain(struct ca *ca, int64_t now, bool *changed, struct err *err) MUST_USE;

struct ca_leaf {
    struct buf chain; // DER; the root is not part of it
    struct buf key;   // PKCS#8 DER: buf_clear_secret it; empty where the key is the caller's
    int64_t not_after;
    char serial[CA_SERIAL_TEXT_MAX]; // hex, lower case
};
void ca_leaf_fini(struct ca_leaf *leaf);

struct ca_period { // Unix seconds
    int64_t now;
    int64_t not_after; // or when its root ends, if that is sooner
};

struct ca_subject { // borrowed
    const char *spiffe_id;
    EVP_PKEY *public_key; // NULL: a fresh key is made
};

// A certificate for a SPIFFE ID. `out` is an initialised (zero) leaf.
bool ca_issue(const struct ca *ca, struct ca_subject subject, struct ca_period period,
              struct ca_leaf *out, struct err *err) MUST_USE;
// The same for a TLS server: a fresh key and a certificate for these names.
bool ca_issue_server(const struct ca *ca, const struct certificate_names *names,
                     struct ca_period period, struct ca_leaf *out, struct err *err) MUST_USE;

// Appends the roots as concatenated DER: the trust bundle.
bool ca_bundle(const struct ca *ca, struct buf *out, struct err *err) MUST_USE;

// When the root that signs at `now` ends (Unix seconds).
int64_t ca_not_after(const struct ca *ca, int64_t now);

#endif
