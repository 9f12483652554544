// A thread that runs an open TLS connection's pump until one end is done, so that gRPC core has a
// plain descriptor to work with.
#ifndef CERTMGR_TLS_CARRIER_H
#define CERTMGR_TLS_CARRIER_H

#include "base/err.h"
#include "base/own.h"
#include "certmgr/tls_pump.h"

struct tls_carrier;

// Takes the pump, which is TLS_PUMP_OPEN, in any case, and starts the thread. `*fd` is the local
// end: the caller's. NULL with the sentence on error.
struct tls_carrier *tls_carrier_new(struct tls_pump *pump, int *fd, struct err *err) MUST_USE;
// Ends the connection and the thread.
void tls_carrier_free(struct tls_carrier *carrier);
OWN_DEFINE(struct tls_carrier, tls_carrier_free)

#endif
