// One X509-SVID of our own: chain, private key and what we say about it. Immutable once parsed;
// shared by reference count.
#ifndef CERTMGR_SVID_H
#define CERTMGR_SVID_H

#include <stdbool.h>
#include <stdint.h>

#include <openssl/base.h>
#include <openssl/pool.h>
#include <openssl/stack.h>

#include "base/err.h"
#include "base/span.h"
#include "certmgr/spiffe_id.h"

#define SVID_CHAIN_MAX 16        // certificates in a chain
#define SVID_DER_MAX (64 * 1024) // bytes of a whole chain
#define SVID_SERIAL_TEXT_MAX 48  // hex, lower case, NUL-terminated

struct svid;

// Parses and validates (SPIFFE X509-SVID, sections 3-5): DER chain, leaf first, concatenated; key
// as PKCS#8 DER. Leaf: exactly one URI SAN that is a SPIFFE ID with a path, equal to `expected_id`
// unless that is empty, cA false, keyUsage critical with digitalSignature and without keyCertSign
// and cRLSign. Every further certificate is a CA. The key matches the leaf. Validity is not looked
// at here. `hint` is kept (at most 1024 bytes). NULL with the sentence on error.
struct svid *svid_parse(struct span chain_der, struct span key_der, struct span expected_id,
                        struct span hint, struct err *err) MUST_USE;
struct svid *svid_ref(struct svid *svid);
void svid_unref(struct svid *svid);
OWN_DEFINE(struct svid, svid_unref)

const struct spiffe_id *svid_id(const struct svid *svid);
int64_t svid_not_before(const struct svid *svid); // Unix seconds, of the leaf
// Unix seconds, the least of the whole chain: past it no handshake may use this SVID.
int64_t svid_not_after(const struct svid *svid);
const char *svid_serial(const struct svid *svid);
const char *svid_hint(const struct svid *svid); // "" when there is none
// Leaf first. Borrowed.
CRYPTO_BUFFER *const *svid_chain(const struct svid *svid, size_t *num);
// What people want to see of a certificate of the chain.
struct svid_certificate {
    char subject[256]; // cut when longer; escaped
    char serial[SVID_SERIAL_TEXT_MAX];
    int64_t not_after; // Unix seconds
};
// False when `index` is behind the end, or memory is short.
bool svid_certificate_at(const struct svid *svid, size_t index,
                         struct svid_certificate *out) MUST_USE;
EVP_PKEY *svid_key(const struct svid *svid); // borrowed

#endif
