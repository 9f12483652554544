// Where a SPIFFE Workload API is: the text of an endpoint (SPIFFE Workload Endpoint, section 4).
// Pure.
#ifndef CERTMGR_ENDPOINT_H
#define CERTMGR_ENDPOINT_H

#include <stdbool.h>

#include "base/err.h"
#include "base/own.h"
#include "base/span.h"

// "unix:///absolute/path" without authority, query, fragment or percent-encoding, short enough for
// a socket address; or "tcp://IP:port" with an IP literal and nothing behind the port.
bool endpoint_check(struct span endpoint, struct err *err) MUST_USE;

#endif
