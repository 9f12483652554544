// Renders certificates as a PKCS#12 file that Java reads as a trust store without any password: no
// encryption, no MAC, and on each certificate the attribute by which Java knows a trusted one
// (RFC 7292; Oracle's trustedKeyUsage). Pure.
#ifndef CERTMGR_TRUST_TRUST_PKCS12_H
#define CERTMGR_TRUST_TRUST_PKCS12_H

#include <stdbool.h>

#include "base/buf.h"
#include "base/own.h"
#include "certmgr/trust/trust_set.h"

// Appends the file with those entries that a JVM can read. False when memory is short.
bool trust_pkcs12_render(const struct trust_set *set, struct buf *out) MUST_USE;

#endif
