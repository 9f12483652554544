// Renders certificates as a JKS file, the key store of Java 8 and before: big-endian records and a
// keyed SHA-1 at the end, which nobody has to check. Pure.
#ifndef CERTMGR_TRUST_TRUST_JKS_H
#define CERTMGR_TRUST_TRUST_JKS_H

#include <stdbool.h>

#include "base/buf.h"
#include "base/own.h"
#include "certmgr/trust/trust_set.h"

// Appends the file with those entries that a JVM can read. The password is ASCII and no secret: it
// only seals the file. False when memory is short.
bool trust_jks_render(const struct trust_set *set, const char *password, struct buf *out) MUST_USE;

#endif
