// Whether CRLs revoke a certificate of a chain that has been verified. An absent CRL refuses
// nothing; a stale one refuses everything of its issuer, because it may hide a revocation.
#ifndef CERTMGR_REVOCATION_H
#define CERTMGR_REVOCATION_H

#include <stdint.h>

#include <openssl/x509.h>

enum revocation_verdict {
    REVOCATION_GOOD,    // no CRL speaks about the chain, or a current one does and clears it
    REVOCATION_REVOKED, // a CRL lists a certificate of the chain
    REVOCATION_STALE,   // every CRL of an issuer in the chain is past its nextUpdate, or early
};

// `chain` is leaf first and ends at the trust anchor, which is not checked itself. A CRL counts
// for an issuer when the name is the issuer's and the signature verifies with its key, so that a
// CA of the same name in another trust domain has no say.
enum revocation_verdict revocation_check(const STACK_OF(X509_CRL) * crls,
                                         const STACK_OF(X509) * chain, int64_t now);

// The first moment after `now` (Unix seconds) at which a CRL that is current ends, so that a chain
// which was good may be stale; INT64_MAX when there is none.
int64_t revocation_next_end(const STACK_OF(X509_CRL) * crls, int64_t now);

#endif
