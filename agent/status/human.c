#include "agent/status/human.h"

#include <inttypes.h>
#include <stddef.h>
#include <stdio.h>

const char *human_duration(int64_t ms, char out[HUMAN_TEXT_MAX]) {
    uint64_t left = ms < 0 ? 0 - (uint64_t)ms : (uint64_t)ms;
    uint64_t s = left / 1000;
    if (left < 1000) {
        (void)snprintf(out, HUMAN_TEXT_MAX, "%" PRIu64 "ms", left);
    } else if (s < 60) {
        (void)snprintf(out, HUMAN_TEXT_MAX, "%" PRIu64 "s", s);
    } else if (s < 3600) {
        (void)snprintf(out, HUMAN_TEXT_MAX, "%" PRIu64 "m", s / 60);
    } else if (s < 86400) {
        (void)snprintf(out, HUMAN_TEXT_MAX, "%" PRIu64 "h %" PRIu64 "m", s / 3600, s / 60 % 60);
    } else {
        (void)snprintf(out, HUMAN_TEXT_MAX, "%" PRIu64 "d %" PRIu64 "h", s / 86400, s / 3600 % 24);
    }
    return out;
}

const char *human_distance(int64_t then_ms, int64_t now_ms, char out[HUMAN_TEXT_MAX]) {
    char duration[HUMAN_TEXT_MAX];
    int64_t distance = then_ms - now_ms;
    (void)human_duration(distance, duration);
    if (distance > -1000 && distance < 1000) {
        (void)snprintf(out, HUMAN_TEXT_MAX, "now");
    } else if (distance > 0) {
        (void)snprintf(out, HUMAN_TEXT_MAX, "in %.*s", HUMAN_TEXT_MAX - 8, duration);
    } else {
        (void)snprintf(out, HUMAN_TEXT_MAX, "%.*s ago", HUMAN_TEXT_MAX - 8, duration);
    }
    return out;
}

const char *human_bytes(uint64_t bytes, char out[HUMAN_TEXT_MAX]) {
    static const char *const units[] = {"B", "KiB", "MiB", "GiB", "TiB"};
    size_t unit = 0;
    double value = (double)bytes;
    while (value >= 1024.0 && unit + 1 < sizeof(units) / sizeof(units[0])) {
        value /= 1024.0;
        unit++;
    }
    (void)snprintf(out, HUMAN_TEXT_MAX, unit == 0 ? "%.0f %s" : "%.1f %s", value, units[unit]);
    return out;
}
