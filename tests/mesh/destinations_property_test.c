// destinations against an oracle that keeps a plain array and scans it: an entry that has ended is
// nothing; a full table gives up, of those that are left, the one that ends soonest, pins last and
// only for a pin.
#include "agent/mesh/destinations.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/base/prng.h"

struct remembered {
    uint32_t number; // of the address
    enum destination_state state;
    int64_t until_ms;
};

struct oracle {
    struct remembered *items;
    size_t num;
};

static void oracle_purge(struct oracle *oracle, int64_t now_ms) {
    for (size_t i = 0; i < oracle->num;) {
        if (oracle->items[i].until_ms <= now_ms) {
            oracle->items[i] = oracle->items[--oracle->num];
        } else {
            i++;
        }
    }
}

static struct remembered *oracle_find(struct oracle *oracle, uint32_t number) {
    for (size_t i = 0; i < oracle->num; i++) {
        if (oracle->items[i].number == number) {
            return &oracle->items[i];
        }
    }
    return NULL;
}

static bool gives_way_before(const struct remembered *a, const struct remembered *b) {
    bool a_pinned = a->state == DESTINATION_PINNED, b_pinned = b->state == DESTINATION_PINNED;
    return a_pinned != b_pinned ? b_pinned : a->until_ms < b->until_ms;
}

static void oracle_put(struct oracle *oracle, uint32_t number, enum destination_state state,
                       int64_t now_ms, int64_t until_ms) {
    oracle_purge(oracle, now_ms);
    struct remembered *item = oracle_find(oracle, number);
    bool pin = state == DESTINATION_PINNED;
    if (item != NULL && item->state == DESTINATION_PINNED && !pin) {
        return;
    }
    if (item == NULL && oracle->num == DESTINATIONS_MAX) {
        item = &oracle->items[0];
        for (size_t i = 1; i < oracle->num; i++) {
            item = gives_way_before(&oracle->items[i], item) ? &oracle->items[i] : item;
        }
        if (item->state == DESTINATION_PINNED && !pin) {
            return;
        }
    } else if (item == NULL) {
        item = &oracle->items[oracle->num++];
    }
    *item = (struct remembered){.number = number, .state = state, .until_ms = until_ms};
}

static enum destination_state oracle_look_up(struct oracle *oracle, uint32_t number,
                                             int64_t now_ms) {
    oracle_purge(oracle, now_ms);
    struct remembered *item = oracle_find(oracle, number);
    return item == NULL ? DESTINATION_UNKNOWN : item->state;
}

static bool oracle_forget(struct oracle *oracle, uint32_t number, int64_t now_ms) {
    oracle_purge(oracle, now_ms);
    struct remembered *item = oracle_find(oracle, number);
    if (item != NULL) {
        *item = oracle->items[--oracle->num];
    }
    return item != NULL;
}

// Both families, so that an IPv4 and an IPv6 address with the same first bytes meet.
static struct netaddr address(uint32_t number) {
    struct netaddr addr = {.family = number % 2 == 0 ? NETADDR_V4 : NETADDR_V6};
    number /= 2;
    memcpy(addr.ip,
           (uint8_t[4]){10, (uint8_t)(number >> 16), (uint8_t)(number >> 8), (uint8_t)number}, 4);
    return addr;
}

static const struct spiffe_id peer = {.len = 14, .text = "spiffe://a/b/c"};

struct both {
    struct destinations *real;
    struct oracle oracle;
    struct prng prng;
    int64_t now_ms;
};

static struct both both_new(void) {
    struct both both = {.prng = prng_new(), .real = destinations_new(), .now_ms = 1000};
    both.oracle.items = calloc(DESTINATIONS_MAX, sizeof *both.oracle.items);
    assert_non_null(both.real);
    assert_non_null(both.oracle.items);
    return both;
}

static void both_free(struct both *both) {
    destinations_free(both->real);
    free(both->oracle.items);
}

static void put(struct both *both, uint32_t number, int64_t for_ms) {
    struct netaddr addr = address(number);
    enum destination_state state =
        (enum destination_state)(DESTINATION_PINNED + (int)prng_below(&both->prng, 3));
    if (state == DESTINATION_PINNED) {
        destinations_pin(both->real, &addr, &peer, both->now_ms, for_ms);
    } else {
        destinations_miss(both->real, &addr,
                          &(struct destination_miss){state == DESTINATION_PLAINTEXT, "why", for_ms},
                          both->now_ms);
    }
    oracle_put(&both->oracle, number, state, both->now_ms, both->now_ms + for_ms);
}

static void step(struct both *both, uint32_t num_addresses, int64_t most_ms) {
    uint32_t number = (uint32_t)prng_below(&both->prng, num_addresses);
    struct netaddr addr = address(number);
    // Long and random, so that no two end at the same time.
    int64_t for_ms = (int64_t)prng_below(&both->prng, (uint64_t)most_ms);
    switch (prng_below(&both->prng, 8)) {
    case 0:
        // Whether an ended entry was still there is not promised: asking for it first ends it.
        destinations_look_up(both->real, &addr, both->now_ms);
        assert_int_equal(destinations_forget(both->real, &addr),
                         oracle_forget(&both->oracle, number, both->now_ms));
        break;
    case 1:
    case 2:
    case 3:
        assert_int_equal(destinations_look_up(both->real, &addr, both->now_ms),
                         oracle_look_up(&both->oracle, number, both->now_ms));
        break;
    default:
        put(both, number, for_ms);
        break;
    }
}

static void assert_same(struct both *both, uint32_t num_addresses) {
    struct view view = {0};
    destinations_render(both->real, &view, both->now_ms);
    oracle_purge(&both->oracle, both->now_ms);
    assert_int_equal(view.num_destinations, both->oracle.num);
    view_fini(&view);
    enum destination_state *states = calloc(num_addresses, sizeof *states);
    assert_non_null(states);
    for (size_t i = 0; i < both->oracle.num; i++) {
        states[both->oracle.items[i].number] = both->oracle.items[i].state;
    }
    for (uint32_t i = 0; i < num_addresses; i++) {
        struct netaddr addr = address(i);
        assert_int_equal(destinations_look_up(both->real, &addr, both->now_ms), states[i]);
    }
    free(states);
}

static void test_few_addresses_that_come_and_go(void **state) {
    (void)state;
    struct both both = both_new();
    for (int i = 0; i < 100000; i++) {
        both.now_ms += (int64_t)prng_below(&both.prng, 20);
        step(&both, 300, 4000);
        if (i % 5000 == 0) {
            assert_same(&both, 300);
        }
    }
    assert_same(&both, 300);
    both_free(&both);
}

#define NUM_CROWD (DESTINATIONS_MAX * 2u)
#define LONG_MS (1LL << 45)

static void test_a_full_table(void **state) {
    (void)state;
    struct both both = both_new();
    for (uint32_t i = 0; i < DESTINATIONS_MAX; i++) {
        // Not by way of the oracle's scan, which would take minutes: these are all different.
        struct netaddr addr = address(i);
        int64_t for_ms = 1 + (int64_t)prng_below(&both.prng, LONG_MS);
        bool pin = prng_below(&both.prng, 64) != 0;
        if (pin) {
            destinations_pin(both.real, &addr, &peer, both.now_ms, for_ms);
        } else {
            destinations_miss(both.real, &addr, &(struct destination_miss){true, "why", for_ms},
                              both.now_ms);
        }
        both.oracle.items[both.oracle.num++] = (struct remembered){
            i, pin ? DESTINATION_PINNED : DESTINATION_PLAINTEXT, both.now_ms + for_ms};
    }
    assert_same(&both, NUM_CROWD);
    for (int i = 0; i < 6000; i++) {
        step(&both, NUM_CROWD, LONG_MS);
    }
    assert_same(&both, NUM_CROWD);
    both.now_ms += LONG_MS / 2; // about half of them end, pins too
    for (int i = 0; i < 2000; i++) {
        step(&both, NUM_CROWD, LONG_MS);
    }
    assert_same(&both, NUM_CROWD);
    both_free(&both);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_few_addresses_that_come_and_go),
        cmocka_unit_test(test_a_full_table),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
