// Durations, times and sizes as people say them.
#ifndef AGENT_STATUS_HUMAN_H
#define AGENT_STATUS_HUMAN_H

#include <stdint.h>

#define HUMAN_TEXT_MAX 32

// "850ms", "12s", "52m", "3h 20m", "4d 2h"; of the absolute value.
const char *human_duration(int64_t ms, char out[HUMAN_TEXT_MAX]);
// "in 52m", "12s ago", "now".
const char *human_distance(int64_t then_ms, int64_t now_ms, char out[HUMAN_TEXT_MAX]);
// "17 B", "1.2 KiB", "64.0 MiB".
const char *human_bytes(uint64_t bytes, char out[HUMAN_TEXT_MAX]);

#endif
