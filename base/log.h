// One event per line on standard error: time, level, event name, then key=value pairs (logfmt), or
// the same as a JSON object. Text is quoted and escaped, so nothing a peer sends can forge a line.
// Thread-safe: a line is built on the stack and written by one write(2).
// This module holds the only mutable file-scope state of the project: level and format.
#ifndef BASE_LOG_H
#define BASE_LOG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum log_level { LOG_DEBUG, LOG_INFO, LOG_WARN, LOG_ERROR };
enum log_format { LOG_LOGFMT, LOG_JSON };

void log_set_level(enum log_level level);
enum log_level log_get_level(void);
void log_set_format(enum log_format format);
// "debug", "info", "warn", "error". False for anything else.
bool log_level_parse(const char *text, enum log_level *out);
const char *log_level_name(enum log_level level);

#define LOG_LINE_MAX 4096

// A line under construction. Pairs that do not fit are left out and the line says "truncated=true".
struct log_line {
    bool enabled;
    bool truncated;
    size_t len;
    char text[LOG_LINE_MAX];
};

// Starts a line; `event` is a fixed name like "connection_closed".
void log_begin(struct log_line *line, enum log_level level, const char *event);
void log_text(struct log_line *line, const char *key, const char *value); // NULL is left out
void log_bytes(struct log_line *line, const char *key, const void *value, size_t len);
void log_u64(struct log_line *line, const char *key, uint64_t value);
void log_i64(struct log_line *line, const char *key, int64_t value);
void log_end(struct log_line *line);

// A line with one sentence: event and msg="...".
void log_msg(enum log_level level, const char *event, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

#endif
