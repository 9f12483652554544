// Random numbers for property tests: a seed that is printed, and that PAVISE_TEST_SEED replays.
#ifndef TESTS_BASE_PRNG_H
#define TESTS_BASE_PRNG_H

#include <inttypes.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

struct prng {
    uint64_t state;
};

static inline struct prng prng_new(void) {
    const char *given = getenv("PAVISE_TEST_SEED");
    struct timespec now = {0};
    clock_gettime(CLOCK_REALTIME, &now);
    uint64_t seed = given != NULL ? strtoull(given, NULL, 10)
                                  : (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
    printf("PAVISE_TEST_SEED=%" PRIu64 "\n", seed);
    fflush(stdout);
    return (struct prng){.state = seed};
}

// splitmix64
static inline uint64_t prng_next(struct prng *prng) {
    uint64_t z = prng->state += 0x9e3779b97f4a7c15u;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return z ^ z >> 31;
}

// 0 to below - 1.
static inline uint64_t prng_below(struct prng *prng, uint64_t below) {
    return prng_next(prng) % below;
}

#endif
