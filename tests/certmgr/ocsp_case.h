// A certificate, its issuer and a response about it, one after the other in DER: what a file of
// tests/fuzz/corpus/ocsp_response holds, of `openssl ocsp` or of a fuzzer.
#ifndef TESTS_CERTMGR_OCSP_CASE_H
#define TESTS_CERTMGR_OCSP_CASE_H

#include "base/span.h"
#include "certmgr/x509_der.h"

struct ocsp_case {
    X509 *leaf;
    X509 *issuer;
    struct span response; // not looked at; borrowed of what was parsed
};

// False where the first two are no certificates. Call ocsp_case_fini in any case.
bool ocsp_case_parse(struct ocsp_case *made, struct span bytes) MUST_USE;
void ocsp_case_fini(struct ocsp_case *made);

#endif
