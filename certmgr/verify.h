// Verifying a peer's X509-SVID: path validation against the bundle of the peer's own trust domain,
// then everything that X509_verify_cert does not refuse by itself.
// Pure: bytes, bundles and a time in; a verdict out.
#ifndef CERTMGR_VERIFY_H
#define CERTMGR_VERIFY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <openssl/base.h>
#include <openssl/pool.h>

#include "base/err.h"
#include "certmgr/bundle.h"
#include "certmgr/spiffe_id.h"
#include "certmgr/svid.h"

enum verify_role { VERIFY_CLIENT, VERIFY_SERVER }; // what the peer is

// Why a peer was refused: a bounded set, used as metric label and in /refusals.
enum verify_result {
#define VERIFY_RESULT(id, name, sentence) id,
#include "certmgr/verify_result.def"
#undef VERIFY_RESULT
    VERIFY_RESULT_COUNT
};

const char *verify_result_name(enum verify_result result);     // "unknown_trust_domain"
const char *verify_result_sentence(enum verify_result result); // for people

// The verdict that fits an error of X509_verify_cert (X509_V_ERR_*).
enum verify_result verify_result_of_path(int error);

// Who a verified peer is.
struct peer {
    struct spiffe_id id; // len 0: verified by DNS name, no SPIFFE ID
    int64_t not_after;   // Unix seconds, the least of the chain that verified
    char serial[SVID_SERIAL_TEXT_MAX];
};

// What is to be verified.
struct verify_question {
    CRYPTO_BUFFER *const *chain; // leaf first, as TLS presented it
    size_t num_chain;
    enum verify_role role;    // what the peer is; with a dns_name: VERIFY_SERVER
    struct span dns_name;     // NULL pointer: by SPIFFE ID; an empty name matches nothing
    struct span trust_domain; // with a dns_name: whose bundle judges
    int64_t now;              // Unix seconds
};

// Without a dns_name: the peer's SVID, against the bundle of its own trust domain. With one, for
// `tls: mutual` rules with a serverName: a server's chain against the bundle of `trust_domain`, and
// its DNS SANs (RFC 6125: exact, or one left-most wildcard label); out->id is set when the leaf has
// a valid SPIFFE ID of that domain. On VERIFY_OK `out` is set; otherwise `err` (may be NULL) holds
// the details, naming the peer's claimed ID where it has one. The cost is bounded before any
// signature is checked: SVID_CHAIN_MAX certificates, SVID_DER_MAX bytes; keys P-256, P-384, RSA
// 2048-4096.
enum verify_result verify_peer(const struct bundle_set *bundles,
                               const struct verify_question *question, struct peer *out,
                               struct err *err) MUST_USE;

#endif
