// The certificates that a list of a configuration names (clientCerts, peerCerts, caCerts): CAs,
// intermediates and leaves, each an anchor by itself. Filled once, then immutable; one owner.
#ifndef CERTMGR_ANCHORS_H
#define CERTMGR_ANCHORS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <openssl/base.h>
#include <openssl/pool.h>

#include "base/err.h"
#include "base/own.h"
#include "base/span.h"

#define ANCHORS_MAX 256

struct anchors;

struct anchors *anchors_new(void) MUST_USE;
void anchors_free(struct anchors *anchors);
OWN_DEFINE(struct anchors, anchors_free)

// Adds every certificate of `input`, PEM or DER, that comes from `name` (a path or a name).
// The sentence begins with invalid_certificate or, for one that is there already,
// duplicated_certs. Input with a private key is refused.
bool anchors_add(struct anchors *anchors, struct span input, const char *name,
                 struct err *err) MUST_USE;
// False when one has expired at `now` (Unix seconds) that `before` (may be NULL) does not hold:
// what expired since it was added blocks nothing. The sentence begins with certificate_expired.
bool anchors_check_expiry(const struct anchors *anchors, const struct anchors *before, int64_t now,
                          struct err *err) MUST_USE;

size_t anchors_num(const struct anchors *anchors);        // NULL: 0
bool anchors_has_leaf(const struct anchors *anchors);     // one that is no CA
X509_STORE *anchors_store(const struct anchors *anchors); // borrowed
// By value: `cert` itself is listed.
bool anchors_contain(const struct anchors *anchors, const X509 *cert);

// Appends who has issued the certificates that the list takes, as DER names, each once and with a
// reference of the caller's: a CA's subject, a client's own certificate's issuer. `anchors` may be
// NULL. False when memory is short.
bool anchors_add_issuers(const struct anchors *anchors, STACK_OF(CRYPTO_BUFFER) * names) MUST_USE;

struct anchor_view {
    const char *name; // where it came from
    int64_t not_after;
};
struct anchor_view anchors_view(const struct anchors *anchors, size_t index);

#endif
