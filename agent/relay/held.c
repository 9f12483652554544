#include "agent/relay/held.h"

#include <stdlib.h>
#include <string.h>

#include "base/check.h"

static bool reserve(struct held *held, size_t more) {
    size_t need = held->start + held->len + more;
    if (held->mem != NULL && need <= held->cap) {
        return true;
    }
    // Exact at first, then twice as much: many small pieces must not copy what is held each time.
    size_t cap = LEG_HEADROOM + more + (held->mem == NULL ? 0 : 2 * held->len);
    uint8_t *mem = malloc(cap);
    if (mem == NULL) {
        return false;
    }
    if (held->len > 0) {
        memcpy(mem + LEG_HEADROOM, held->mem + held->start, held->len);
    }
    free(held->mem);
    held->mem = mem;
    held->start = LEG_HEADROOM;
    held->cap = cap;
    return true;
}

bool held_put(struct held *held, const struct leg_runs *offer, size_t skip) {
    if (skip >= offer->len) {
        return true;
    }
    if (!reserve(held, offer->len - skip)) {
        return false;
    }
    for (int i = 0; i < offer->num; i++) {
        size_t len = offer->run[i].iov_len;
        size_t from = skip < len ? skip : len;
        memcpy(held->mem + held->start + held->len, (uint8_t *)offer->run[i].iov_base + from,
               len - from);
        held->len += len - from;
        skip -= from;
    }
    return true;
}

void held_offer(const struct held *held, struct leg_runs *out) {
    CHECK(held->len > 0);
    out->run[0] = (struct iovec){.iov_base = held->mem + held->start, .iov_len = held->len};
    out->num = 1;
    out->len = held->len;
}

void held_take(struct held *held, size_t len) {
    CHECK(len <= held->len);
    held->start += len;
    held->len -= len;
    if (held->len == 0) {
        held_fini(held);
    }
}

void held_fini(struct held *held) {
    free(held->mem);
    *held = (struct held){0};
}
