// The two clocks. Deadlines and durations use the monotonic one; expiry and renewal of
// certificates use the wall clock, because that is what notAfter is written in.
#ifndef BASE_CLOCK_H
#define BASE_CLOCK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/span.h"

int64_t clock_mono_ms(void);
int64_t clock_mono_us(void);
int64_t clock_wall_ms(void); // Unix time in ms
int64_t clock_wall_s(void);

// Milliseconds as RFC 3339 in UTC: "2026-01-02T03:04:05.678Z" (with_ms) or "...05Z".
#define CLOCK_TEXT_MAX 32
void clock_format(int64_t wall_ms, bool with_ms, char out[CLOCK_TEXT_MAX]);

// "500ms", "25s", "5m", "24h", "7d": a whole number and one unit. False when it is anything else,
// or over 10 years.
bool clock_duration_parse(struct span text, int64_t *out_ms);
// The same back, in the largest unit that says it exactly. `ms` >= 0.
#define CLOCK_DURATION_MAX 32
void clock_duration_format(int64_t ms, char out[CLOCK_DURATION_MAX]);

#endif
