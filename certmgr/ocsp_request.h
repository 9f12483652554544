// Asking an OCSP responder (RFC 6960) about a certificate of our own: the request, and where to
// send it. Pure. The request is unsigned and has no nonce, since responders answer with what they
// have signed before (RFC 5019).
#ifndef CERTMGR_OCSP_REQUEST_H
#define CERTMGR_OCSP_REQUEST_H

#include <openssl/base.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/own.h"

// Appends the request in DER. False with the sentence where `issuer` has not issued `leaf`.
bool ocsp_request_render(X509 *leaf, X509 *issuer, struct buf *out, struct err *err) MUST_USE;

// The first http:// URL of an OCSP responder in the certificate (RFC 5280 4.2.2.1), as text that
// nobody has checked; the caller frees it. NULL: it names none.
char *ocsp_request_responder(const X509 *leaf) MUST_USE;

#endif
