#include "base/clock.h"

#include <inttypes.h>
#include <stdio.h>
#include <time.h>

#define YEAR_0_MS (-62167219200000LL)
#define YEAR_9999_END_MS 253402300799999LL
#define DURATION_MAX_MS (3652LL * 24 * 3600 * 1000)

static struct timespec now_of(clockid_t id) {
    struct timespec now = {0};
    clock_gettime(id, &now); // cannot fail for these two clocks and a valid pointer
    return now;
}

int64_t clock_mono_ms(void) {
    struct timespec now = now_of(CLOCK_MONOTONIC);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

int64_t clock_mono_us(void) {
    struct timespec now = now_of(CLOCK_MONOTONIC);
    return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

int64_t clock_wall_ms(void) {
    struct timespec now = now_of(CLOCK_REALTIME);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

int64_t clock_wall_s(void) {
    return (int64_t)now_of(CLOCK_REALTIME).tv_sec;
}

void clock_format(int64_t wall_ms, bool with_ms, char out[CLOCK_TEXT_MAX]) {
    // RFC 3339 has four digits for the year; a time outside is shown as the nearest one inside.
    int64_t clamped = wall_ms < YEAR_0_MS ? YEAR_0_MS : wall_ms;
    clamped = clamped > YEAR_9999_END_MS ? YEAR_9999_END_MS : clamped;
    int64_t ms = clamped % 1000;
    ms += ms < 0 ? 1000 : 0;
    time_t seconds = (time_t)((clamped - ms) / 1000);
    struct tm tm = {0};
    gmtime_r(&seconds, &tm);
    size_t len = strftime(out, CLOCK_TEXT_MAX, "%Y-%m-%dT%H:%M:%S", &tm);
    // strftime does not pad the year in every libc.
    if (tm.tm_year + 1900 < 1000) {
        char rest[CLOCK_TEXT_MAX];
        strftime(rest, sizeof rest, "-%m-%dT%H:%M:%S", &tm);
        len = (size_t)snprintf(out, CLOCK_TEXT_MAX, "%04u%.15s",
                               (unsigned)(tm.tm_year + 1900) % 10000, rest);
    }
    if (with_ms) {
        snprintf(out + len, CLOCK_TEXT_MAX - len, ".%03uZ", (unsigned)ms % 1000);
    } else {
        snprintf(out + len, CLOCK_TEXT_MAX - len, "Z");
    }
}

static const struct {
    const char *name;
    int64_t ms;
} units[] = {{"d", 86400000}, {"h", 3600000}, {"m", 60000}, {"s", 1000}, {"ms", 1}};

static int64_t unit_ms(struct span unit) {
    for (size_t i = 0; i < sizeof units / sizeof units[0]; i++) {
        if (span_equal_text(unit, units[i].name)) {
            return units[i].ms;
        }
    }
    return 0;
}

bool clock_duration_parse(struct span text, int64_t *out_ms) {
    int64_t number = 0;
    size_t digits = 0;
    while (digits < text.len && text.ptr[digits] >= '0' && text.ptr[digits] <= '9') {
        number = number * 10 + (text.ptr[digits] - '0');
        if (number > DURATION_MAX_MS) {
            return false;
        }
        digits++;
    }
    if (digits == 0) {
        return false;
    }
    int64_t unit = unit_ms(span_after(text, digits));
    if (unit == 0 || number > DURATION_MAX_MS / unit) {
        return false;
    }
    *out_ms = number * unit;
    return true;
}

void clock_duration_format(int64_t ms, char out[CLOCK_DURATION_MAX]) {
    size_t i = 0;
    while (ms % units[i].ms != 0 || (ms == 0 && units[i].ms > 1000)) {
        i++;
    }
    snprintf(out, CLOCK_DURATION_MAX, "%" PRId64 "%s", ms / units[i].ms, units[i].name);
}
