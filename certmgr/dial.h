// Connecting to the first address of several that answers, blocking within the caller's patience:
// an address that does not answer has its share of the time and no more.
#ifndef CERTMGR_DIAL_H
#define CERTMGR_DIAL_H

#include "base/err.h"
#include "base/own.h"
#include "certmgr/patience.h"
#include "certmgr/resolve.h"

// A connected socket, non-blocking, the caller's to close; -1 with what the last address said.
int dial_any(const struct resolve_result *to, const struct patience *patience,
             struct err *err) MUST_USE;

#endif
