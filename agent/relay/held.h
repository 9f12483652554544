// Bytes that a leg has read and its sink has not taken yet. Memory exists only while bytes do.
#ifndef AGENT_RELAY_HELD_H
#define AGENT_RELAY_HELD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "agent/relay/leg.h"

struct held {
    uint8_t *mem; // NULL while empty; LEG_HEADROOM spare bytes in front
    size_t start; // of the first byte held
    size_t len;
    size_t cap;
};

// Appends what is behind the first `skip` bytes of `offer`. False when memory is short.
bool held_put(struct held *held, const struct leg_runs *offer, size_t skip);
// Offers what is held as one run; `held` is not empty.
void held_offer(const struct held *held, struct leg_runs *out);
// Drops the first `len` bytes; gives the memory back when nothing is left.
void held_take(struct held *held, size_t len);
void held_fini(struct held *held);

#endif
