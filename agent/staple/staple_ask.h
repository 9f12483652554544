// One question to an OCSP responder, by HTTP POST (RFC 6960 A.1). Blocking, within the caller's
// patience; at most OCSP_RESPONSE_MAX bytes of an answer are read.
#ifndef AGENT_STAPLE_STAPLE_ASK_H
#define AGENT_STAPLE_STAPLE_ASK_H

#include "agent/edge/edge_asked.h"
#include "agent/staple/staple_table.h"
#include "certmgr/patience.h"

// Fills `out`, whose response is the caller's.
void staple_ask(const struct edge_asked *asked, const struct patience *patience,
                struct staple_answer *out);

#endif
