// A leg in memory that trickles: it offers a given text in random pieces and takes random amounts.
#ifndef TESTS_RELAY_FAKE_LEG_H
#define TESTS_RELAY_FAKE_LEG_H

#include "agent/relay/leg.h"
#include "base/buf.h"
#include "tests/base/prng.h"

struct fake_leg {
    struct leg leg;
    struct prng *prng;
    uint8_t *source; // what it will say; LEG_HEADROOM bytes in front are scratch
    size_t source_len;
    size_t offered;  // consumed of the source
    bool fails;      // at the end of the source, instead of finishing
    struct buf sink; // what it was told
    bool finished;
    bool reset;
    bool closed;
    bool dead_sink; // refuses to be written to
    size_t room;    // that it says it has
    int num_peeks;
    size_t most;                  // that the last peek was asked for
    bool wants_read, wants_write; // as armed
};

// `text` of `len` bytes is copied.
void fake_leg_init(struct fake_leg *leg, struct prng *prng, const void *text, size_t len);
void fake_leg_fini(struct fake_leg *leg);

#endif
