// One certificate of the trust store: its DER, made anew from what was parsed, and what people and
// programs want to know of it. Whether it is fit is a set of findings; what follows from a finding
// is the policy's business (trust_set.h). A plain value behind a pointer, immutable, one owner.
#ifndef CERTMGR_TRUST_TRUST_CERT_H
#define CERTMGR_TRUST_TRUST_CERT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/own.h"
#include "base/span.h"

#define TRUST_CERT_DER_MAX ((size_t)65536) // bytes of one certificate
#define TRUST_CERT_DNS_MAX 100             // names that are kept of one certificate
#define TRUST_CERT_NAME_MAX 1024           // bytes of a subject or issuer that are kept
#define TRUST_CERT_SHA1_LEN 20
#define TRUST_CERT_SHA256_LEN 32

// Bits.
enum trust_finding {
    TRUST_EXPIRED = 1,
    TRUST_NOT_YET_VALID = 2,
    TRUST_NOT_CA = 4, // cannot issue: not CA:TRUE, or a keyUsage without keyCertSign
    TRUST_WEAK = 8,   // RSA below 2048 bits, or signed by another with MD5 or SHA-1
    // A key on another curve or of another algorithm, an empty name: one such certificate makes a
    // JVM refuse the whole store, so the Java stores are without it.
    TRUST_NOT_FOR_JAVA = 16,
};
#define TRUST_FINDINGS 5

struct trust_cert {
    size_t der_len;
    uint8_t *der;
    uint8_t sha1[TRUST_CERT_SHA1_LEN]; // the "thumbprint"
    uint8_t sha256[TRUST_CERT_SHA256_LEN];
    uint32_t name_hash; // of the subject, as OpenSSL's hash directories want it
    char *subject;      // RFC 2253; UTF-8, control characters replaced
    char *issuer;
    char *common_name;  // or O, or OU, for a short name; "" when there is none
    int64_t not_before; // Unix seconds
    int64_t not_after;
    char *dns_names[TRUST_CERT_DNS_MAX];
    size_t num_dns_names;
    unsigned lasting; // findings that time does not change
};

// Parses DER; with `may_trail` what follows the certificate is dropped (the trust settings of a
// TRUSTED CERTIFICATE block). NULL with the sentence when any runtime might stumble over it.
struct trust_cert *trust_cert_parse(struct span der, bool may_trail, struct err *err) MUST_USE;
void trust_cert_free(struct trust_cert *cert);
OWN_DEFINE(struct trust_cert, trust_cert_free)

// Findings at the time `now` (Unix seconds).
unsigned trust_cert_findings(const struct trust_cert *cert, int64_t now);
const char *trust_cert_finding_name(enum trust_finding finding); // "expired", "notYetValid", ...
const char *trust_cert_finding_sentence(enum trust_finding finding); // "it has expired"

// The next moment after `now` at which the findings change; INT64_MAX: never.
int64_t trust_cert_next_change(const struct trust_cert *cert, int64_t now);

// Lower-case hex of `bytes`; `out` has room for 2 * len + 1.
void trust_cert_hex(const uint8_t *bytes, size_t len, char *out);

#endif
