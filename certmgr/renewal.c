#include "certmgr/renewal.h"

#define JITTER_PERMILLE 500 // a backoff is cut by up to this much

// `value` * `permille` / 1000 without overflow.
static int64_t scale(int64_t value, int64_t permille) {
    return value / 1000 * permille + value % 1000 * permille / 1000;
}

// Uniform in [0, max].
static int64_t pick(uint32_t random, int64_t max) {
    return max <= 0 ? 0 : (int64_t)(random % (uint64_t)(max + 1));
}

static int64_t min_of(int64_t a, int64_t b) {
    return a < b ? a : b;
}

static struct renewal_window window_of(const struct renewal *renewal) {
    static const struct renewal_window usual = {RENEWAL_AT_PERMILLE, RENEWAL_JITTER_PERMILLE};
    return renewal->window.at_permille == 0 ? usual : renewal->window;
}

void renewal_succeeded(struct renewal *renewal, int64_t not_before_ms, int64_t not_after_ms,
                       struct renewal_clock now, uint32_t random) {
    // The lifetime is what is left of it: notBefore is back-dated, by minutes even for certificates
    // that live seconds. With a clock that is plainly wrong only the certificate can be believed.
    bool is_sane = not_before_ms <= now.wall_ms && now.wall_ms < not_after_ms;
    int64_t lifetime_ms = not_after_ms - (is_sane ? now.wall_ms : not_before_ms);
    lifetime_ms = lifetime_ms > 0 ? lifetime_ms : 0;
    struct renewal_window window = window_of(renewal);
    int64_t earliest_ms = scale(lifetime_ms, window.at_permille);
    int64_t latest_ms = scale(lifetime_ms, window.at_permille + window.jitter_permille);
    // The random number has 32 bits: milliseconds of 49 days. What a longer window has beyond them
    // is not used.
    int64_t delay_ms = earliest_ms + pick(random, latest_ms - earliest_ms);
    *renewal = (struct renewal){
        .window = renewal->window,
        .has_certificate = true,
        .began_valid = not_before_ms <= now.wall_ms,
        .not_before_ms = not_before_ms,
        .due_wall_ms = now.wall_ms + delay_ms,
        .due_boot_ms = now.boot_ms + delay_ms,
        .retry_boot_ms = now.boot_ms + RENEWAL_SPACE_MS,
    };
}

void renewal_failed(struct renewal *renewal, bool is_slow, struct renewal_clock now,
                    uint32_t random) {
    int64_t backoff_ms = RENEWAL_RETRY_BASE_MS;
    for (unsigned i = 0; i < renewal->failures && backoff_ms < RENEWAL_RETRY_MAX_MS; i++) {
        backoff_ms *= 2;
    }
    backoff_ms = is_slow ? RENEWAL_RETRY_MAX_MS : min_of(backoff_ms, RENEWAL_RETRY_MAX_MS);
    backoff_ms -= pick(random, scale(backoff_ms, JITTER_PERMILLE));
    if (renewal->failures < 64) { // enough to reach the longest backoff
        renewal->failures++;
    }
    renewal->is_wished = false;
    renewal->has_failed = true;
    renewal->retry_boot_ms = now.boot_ms + backoff_ms;
}

void renewal_wish(struct renewal *renewal) {
    renewal->is_wished = true;
    renewal->failures = 0;
}

// The wall clock was set back to before the certificate began: nobody with this clock takes it.
static bool has_become_future(const struct renewal *renewal, struct renewal_clock now) {
    return renewal->began_valid && now.wall_ms < renewal->not_before_ms;
}

// By the clock that says so first.
static int64_t until_due_ms(const struct renewal *renewal, struct renewal_clock now) {
    return min_of(renewal->due_wall_ms - now.wall_ms, renewal->due_boot_ms - now.boot_ms);
}

static bool is_due(const struct renewal *renewal, struct renewal_clock now) {
    return !renewal->has_certificate || renewal->has_failed || has_become_future(renewal, now) ||
           until_due_ms(renewal, now) <= 0;
}

int64_t renewal_decide(const struct renewal *renewal, struct renewal_clock now) {
    if (renewal->is_wished) {
        return 0;
    }
    int64_t wait_ms = renewal->retry_boot_ms - now.boot_ms;
    if (!is_due(renewal, now) && until_due_ms(renewal, now) > wait_ms) {
        wait_ms = until_due_ms(renewal, now);
    }
    return wait_ms <= 0 ? 0 : min_of(wait_ms, RENEWAL_LOOK_MS);
}

int64_t renewal_next_wall_ms(const struct renewal *renewal, struct renewal_clock now) {
    int64_t wait_ms = renewal->retry_boot_ms - now.boot_ms;
    if (!is_due(renewal, now)) {
        wait_ms = until_due_ms(renewal, now);
    }
    return now.wall_ms + (wait_ms > 0 && !renewal->is_wished ? wait_ms : 0);
}
