// When to ask a CA for the next certificate: a random point in a window of the
// lifetime (50-60 % unless said), and after a failure a backoff with jitter of at most 30 s. Pure:
// the clocks and the random number are given.
//
// Two clocks, whichever says so first: the wall clock, because notAfter is written in it and it may
// be set forward; and the one that only counts (suspend included), because the wall clock may be
// set back. Neither can postpone a renewal.
#ifndef CERTMGR_RENEWAL_H
#define CERTMGR_RENEWAL_H

#include <stdbool.h>
#include <stdint.h>

#define RENEWAL_AT_PERMILLE 500 // of the lifetime
#define RENEWAL_JITTER_PERMILLE 100
#define RENEWAL_RETRY_BASE_MS 250
#define RENEWAL_RETRY_MAX_MS 30000
#define RENEWAL_LOOK_MS 1000 // how often the clocks are looked at
#define RENEWAL_SPACE_MS 250 // between two certificates, however short they live

struct renewal_clock {
    int64_t wall_ms; // Unix time
    int64_t boot_ms; // CLOCK_BOOTTIME
};

// From `at` to `at` + `jitter` of the lifetime. `at` 0: the default window.
struct renewal_window {
    uint32_t at_permille, jitter_permille;
};

// Zeroed but for the window to begin with: due at once. A value of one thread.
struct renewal {
    struct renewal_window window; // set once
    bool has_certificate;
    bool began_valid; // notBefore was not in the future when the certificate came
    bool is_wished;   // somebody asked for a new one
    bool has_failed;  // since the last certificate
    unsigned failures;
    int64_t not_before_ms;
    int64_t due_wall_ms;
    int64_t due_boot_ms;
    int64_t retry_boot_ms; // not before this, after a failure or a certificate
};

// A certificate came: plans the next one. Times in Unix ms.
void renewal_succeeded(struct renewal *renewal, int64_t not_before_ms, int64_t not_after_ms,
                       struct renewal_clock now, uint32_t random);
// An attempt failed: plans the next one. `is_slow` is for mistakes that do not pass by themselves:
// then the longest backoff at once.
void renewal_failed(struct renewal *renewal, bool is_slow, struct renewal_clock now,
                    uint32_t random);
// Asks for a new certificate at once: no backoff, no waiting for the due time.
void renewal_wish(struct renewal *renewal);

// 0: ask now. Otherwise how long to wait before looking again, at most RENEWAL_LOOK_MS.
int64_t renewal_decide(const struct renewal *renewal, struct renewal_clock now);

// When the next attempt is planned, Unix ms at `now`: for people.
int64_t renewal_next_wall_ms(const struct renewal *renewal, struct renewal_clock now);

#endif
