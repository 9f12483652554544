// When to renew and when to retry: a table of lives and clocks, with jumps of an hour and a day
// either way, and a property over random lives.
#include "certmgr/renewal.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/base/prng.h"

#define SECOND INT64_C(1000)
#define HOUR (3600 * SECOND)
#define DAY (24 * HOUR)
#define WALL (INT64_C(1800000000) * SECOND) // when the certificate comes
#define BOOT (77 * HOUR)

static struct renewal_clock at(int64_t wall_after, int64_t boot_after) {
    return (struct renewal_clock){.wall_ms = WALL + wall_after, .boot_ms = BOOT + boot_after};
}

// A certificate of a day, due at its half exactly (random 0).
static struct renewal day_long(void) {
    struct renewal renewal = {0};
    renewal_succeeded(&renewal, WALL - 2 * 60 * SECOND, WALL + DAY, at(0, 0), 0);
    return renewal;
}

static const struct row {
    const char *what;
    int64_t wall_after; // since the certificate came, by the wall clock
    int64_t boot_after; // and in truth
    bool due;
} rows[] = {
    {"just now", SECOND, SECOND, false},
    {"a second before its half", DAY / 2 - SECOND, DAY / 2 - SECOND, false},
    {"at its half", DAY / 2, DAY / 2, true},
    {"long after, suspended meanwhile", 3 * DAY, 3 * DAY, true},
    {"an hour forward, early", 2 * HOUR, HOUR, false},
    {"an hour forward, across its half", DAY / 2 + HOUR / 2, DAY / 2 - HOUR / 2, true},
    {"a day forward", DAY + HOUR, HOUR, true},
    {"an hour back, early", 0, HOUR, false},
    {"an hour back, to before it began", -HOUR, SECOND, true},
    {"an hour back, at its half in truth", DAY / 2 - HOUR, DAY / 2, true},
    {"a day back", HOUR - DAY, HOUR, true},
    {"two minutes back: notBefore is back-dated as far", -119 * SECOND, SECOND, false},
};

static void clock_jumps(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct renewal renewal = day_long();
        int64_t wait = renewal_decide(&renewal, at(rows[i].wall_after, rows[i].boot_after));
        if ((wait == 0) != rows[i].due || wait < 0 || wait > RENEWAL_LOOK_MS) {
            fail_msg("%s: waits %lld ms", rows[i].what, (long long)wait);
        }
    }
}

static void first_is_due_at_once(void **state) {
    (void)state;
    struct renewal renewal = {0};
    assert_int_equal(renewal_decide(&renewal, at(0, 0)), 0);
    assert_int_equal(renewal_next_wall_ms(&renewal, at(0, 0)), WALL);
}

// Whatever the life and the random number: within 50-60 % of what is left of it.
static void point_is_in_the_window(void **state) {
    (void)state;
    struct prng prng = prng_new();
    for (int i = 0; i < 20000; i++) {
        struct renewal renewal = {0};
        int64_t life = (int64_t)(prng_next(&prng) % (uint64_t)(400 * DAY)) + 2 * SECOND;
        renewal_succeeded(&renewal, WALL - 2 * HOUR, WALL + life, at(0, 0),
                          (uint32_t)prng_next(&prng));
        int64_t due = renewal_next_wall_ms(&renewal, at(0, 0)) - WALL;
        assert_true(due >= life / 1000 * 500);
        assert_true(due <= life / 1000 * 601 + 1);
        assert_int_not_equal(renewal_decide(&renewal, at(due - 1, due - 1)), 0);
        assert_int_equal(renewal_decide(&renewal, at(due, due)), 0);
    }
}

// The whole window is used, and both ends are reached.
static void point_follows_the_random_number(void **state) {
    (void)state;
    struct renewal low = {0};
    struct renewal high = {0};
    renewal_succeeded(&low, WALL, WALL + 1000 * SECOND, at(0, 0), 0);
    renewal_succeeded(&high, WALL, WALL + 1000 * SECOND, at(0, 0), 100 * SECOND);
    assert_int_equal(renewal_next_wall_ms(&low, at(0, 0)), WALL + 500 * SECOND);
    assert_int_equal(renewal_next_wall_ms(&high, at(0, 0)), WALL + 600 * SECOND);
}

// A window of its own stays through every rotation; its width may be nothing.
static void window_is_as_configured(void **state) {
    (void)state;
    struct renewal renewal = {.window = {.at_permille = 250, .jitter_permille = 400}};
    struct renewal fixed = {.window = {.at_permille = 900}};
    assert_int_equal(renewal_decide(&renewal, at(0, 0)), 0);
    for (int i = 0; i < 3; i++) {
        renewal_succeeded(&renewal, WALL, WALL + 1000 * SECOND, at(0, 0), 0);
        assert_int_equal(renewal_next_wall_ms(&renewal, at(0, 0)), WALL + 250 * SECOND);
        renewal_succeeded(&renewal, WALL, WALL + 1000 * SECOND, at(0, 0), 400 * SECOND);
        assert_int_equal(renewal_next_wall_ms(&renewal, at(0, 0)), WALL + 650 * SECOND);
        renewal_failed(&renewal, false, at(0, 0), 0);
        renewal_succeeded(&fixed, WALL, WALL + 1000 * SECOND, at(0, 0), 12345);
        assert_int_equal(renewal_next_wall_ms(&fixed, at(0, 0)), WALL + 900 * SECOND);
    }
}

// Half a year's jitter does not overflow, and is never past the window.
static void long_windows(void **state) {
    (void)state;
    struct prng prng = prng_new();
    for (int i = 0; i < 2000; i++) {
        struct renewal renewal = {.window = {.at_permille = 100, .jitter_permille = 500}};
        renewal_succeeded(&renewal, WALL, WALL + 365 * DAY, at(0, 0), (uint32_t)prng_next(&prng));
        int64_t due = renewal_next_wall_ms(&renewal, at(0, 0)) - WALL;
        assert_true(due >= 36 * DAY && due <= 220 * DAY);
    }
}

// A certificate of seconds, back-dated by minutes, is not asked for over and over.
static void short_life_counts_from_now(void **state) {
    (void)state;
    struct renewal renewal = {0};
    renewal_succeeded(&renewal, WALL - 120 * SECOND, WALL + 10 * SECOND, at(0, 0), 0);
    assert_int_not_equal(renewal_decide(&renewal, at(4 * SECOND, 4 * SECOND)), 0);
    assert_int_equal(renewal_decide(&renewal, at(5 * SECOND, 5 * SECOND)), 0);
}

// A clock that was wrong from the start (by more than the life, either way) makes no storm.
static void wrong_clock_makes_no_storm(void **state) {
    (void)state;
    for (int64_t off = -30 * DAY; off <= 30 * DAY; off += 60 * DAY) {
        struct renewal renewal = {0};
        renewal_succeeded(&renewal, WALL + off, WALL + off + DAY, at(0, 0), 0);
        assert_int_not_equal(renewal_decide(&renewal, at(HOUR, HOUR)), 0);
        assert_int_equal(renewal_decide(&renewal, at(DAY / 2, DAY / 2)), 0);
    }
}

static void life_of_nothing_keeps_a_distance(void **state) {
    (void)state;
    struct renewal renewal = {0};
    renewal_succeeded(&renewal, WALL - HOUR, WALL - HOUR, at(0, 0), 0);
    assert_int_equal(renewal_decide(&renewal, at(0, 0)), RENEWAL_SPACE_MS);
}

static void backoff_grows_to_thirty_seconds(void **state) {
    (void)state;
    struct renewal renewal = {0};
    int64_t last = 0;
    for (int i = 0; i < 100; i++) {
        renewal_failed(&renewal, false, at(0, 0), 0); // no jitter
        int64_t wait = renewal_next_wall_ms(&renewal, at(0, 0)) - WALL;
        assert_true(wait >= last && wait <= RENEWAL_RETRY_MAX_MS);
        assert_true(i != 0 || wait == RENEWAL_RETRY_BASE_MS);
        last = wait;
    }
    assert_int_equal(last, RENEWAL_RETRY_MAX_MS);
}

static void backoff_has_jitter_and_a_ceiling(void **state) {
    (void)state;
    struct prng prng = prng_new();
    int64_t least = INT64_MAX;
    int64_t most = 0;
    for (int i = 0; i < 2000; i++) {
        struct renewal renewal = {0};
        renewal_failed(&renewal, true, at(0, 0), (uint32_t)prng_next(&prng));
        int64_t wait = renewal_next_wall_ms(&renewal, at(0, 0)) - WALL;
        least = wait < least ? wait : least;
        most = wait > most ? wait : most;
    }
    assert_in_range(least, RENEWAL_RETRY_MAX_MS / 2, RENEWAL_RETRY_MAX_MS * 6 / 10);
    assert_in_range(most, RENEWAL_RETRY_MAX_MS * 9 / 10, RENEWAL_RETRY_MAX_MS);
}

// The wall clock may jump as it likes: a retry waits by the clock that only counts.
static void backoff_is_not_moved_by_the_wall_clock(void **state) {
    (void)state;
    struct renewal renewal = {0};
    renewal_failed(&renewal, true, at(0, 0), 0);
    assert_int_not_equal(renewal_decide(&renewal, at(DAY, SECOND)), 0);
    assert_int_equal(renewal_decide(&renewal, at(-DAY, 30 * SECOND)), 0);
}

static void failure_keeps_the_certificate_due(void **state) {
    (void)state;
    struct renewal renewal = day_long();
    renewal_failed(&renewal, false, at(DAY / 2, DAY / 2), 0);
    assert_int_equal(renewal_decide(&renewal, at(DAY / 2 + SECOND, DAY / 2 + SECOND)), 0);
    // Also when the clock is set back meanwhile: it was due once.
    assert_int_equal(renewal_decide(&renewal, at(0, DAY / 2 + SECOND)), 0);
}

static void wish_overrides_everything_once(void **state) {
    (void)state;
    struct renewal renewal = day_long();
    renewal_wish(&renewal);
    assert_int_equal(renewal_decide(&renewal, at(0, 0)), 0);
    renewal_failed(&renewal, true, at(0, 0), 0);
    assert_int_not_equal(renewal_decide(&renewal, at(0, SECOND)), 0);
    renewal_wish(&renewal);
    assert_int_equal(renewal_decide(&renewal, at(0, SECOND)), 0);
    renewal_succeeded(&renewal, WALL, WALL + DAY, at(0, 0), 0);
    assert_int_not_equal(renewal_decide(&renewal, at(0, SECOND)), 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(clock_jumps),
        cmocka_unit_test(first_is_due_at_once),
        cmocka_unit_test(point_is_in_the_window),
        cmocka_unit_test(point_follows_the_random_number),
        cmocka_unit_test(window_is_as_configured),
        cmocka_unit_test(long_windows),
        cmocka_unit_test(short_life_counts_from_now),
        cmocka_unit_test(wrong_clock_makes_no_storm),
        cmocka_unit_test(life_of_nothing_keeps_a_distance),
        cmocka_unit_test(backoff_grows_to_thirty_seconds),
        cmocka_unit_test(backoff_has_jitter_and_a_ceiling),
        cmocka_unit_test(backoff_is_not_moved_by_the_wall_clock),
        cmocka_unit_test(failure_keeps_the_certificate_due),
        cmocka_unit_test(wish_overrides_everything_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
