// A root, an intermediate and a leaf, each with options of the test's choice, and the verdict.
#ifndef TESTS_CERTMGR_VERIFY_FIXTURE_H
#define TESTS_CERTMGR_VERIFY_FIXTURE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "certmgr/verify.h"
#include "tests/testing/pki.h"

#define FIXTURE_ID "spiffe://example.org/ns/default/sa/web"
#define FIXTURE_DOMAIN "example.org"

struct verify_fixture {
    struct pki_options root; // `ca` is set for the root and the intermediate
    struct pki_options intermediate;
    struct pki_options leaf;  // FIXTURE_ID unless `no_default_id` or a URI is given
    bool no_default_id;       // the leaf gets no URI SAN of ours
    bool no_intermediate;     // the root signs the leaf
    const char *trust_domain; // of the bundle; FIXTURE_DOMAIN unless given
    int64_t now;              // PKI_NOW unless given
};

// Issues the chain and verifies it; `peer` and `err` may be NULL.
enum verify_result verify_fixture_run(const struct verify_fixture *options, enum verify_role role,
                                      struct peer *peer, struct err *err);

// The same for both roles; fails the test unless both verdicts are `expected`.
void verify_fixture_expect(const char *name, const struct verify_fixture *options,
                           enum verify_result expected);

// Verifies certificates that the test has made itself.
enum verify_result verify_fixture_certs(const struct bundle_set *bundles,
                                        const struct pki_cert *const *certs, size_t num,
                                        struct err *err);

#endif
