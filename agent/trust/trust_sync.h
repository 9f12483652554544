// One pass from the inputs to the written store. Blocking.
#ifndef AGENT_TRUST_TRUST_SYNC_H
#define AGENT_TRUST_TRUST_SYNC_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/own.h"
#include "certmgr/trust/trust_options.h"
#include "certmgr/trust/trust_set.h"
#include "certmgr/trust/trust_store.h"

struct trust_sync_result {
    struct trust_set *set; // a reference of the caller
    struct trust_store_state state;
    bool changed; // a new generation was written
};

// On error nothing has changed: the store that is there, if any, stays. `before`: see trust_gather.
bool trust_sync(const struct trust_options *options, const struct trust_set *before, int64_t now,
                struct trust_sync_result *out, struct err *err) MUST_USE;

#endif
