// Verifying a certificate chain against a list of anchors, as configurations give them for clients
// and servers outside the mesh: ordinary X.509, not the X509-SVID profile (certmgr/verify.h). The
// old ways of such lists are allowed: version 1, no EKU, no SAN. Pure.
#ifndef CERTMGR_CHAIN_VERIFY_H
#define CERTMGR_CHAIN_VERIFY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <openssl/base.h>
#include <openssl/pool.h>

#include "base/err.h"
#include "certmgr/anchors.h"
#include "certmgr/verify.h"

struct chain_rules {
    const struct anchors *anchors;
    enum verify_role role; // what the peer is
    unsigned depth;        // intermediates between leaf and anchor
    bool allow_outdated;   // the leaf may have expired
    bool allow_weak;       // RSA below 2048 bits, SHA-1
};

// `chain` is leaf first, as TLS presented it. An EKU, where there is one, has to have the role's
// bit. On anything but VERIFY_OK `err` (may be NULL) says why.
enum verify_result chain_verify(const struct chain_rules *rules, CRYPTO_BUFFER *const *chain,
                                size_t num, int64_t now, struct err *err) MUST_USE;

#endif
