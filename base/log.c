#include "base/log.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"

// Room that pairs may not take: the note that some are missing, the closing brace and the newline.
#define TAIL_MAX 24
#define MSG_MAX 2048

static _Atomic int current_level = LOG_INFO;
static _Atomic int current_format = LOG_LOGFMT;

static const char *const level_names[] = {"debug", "info", "warn", "error"};
#define LEVEL_COUNT (sizeof level_names / sizeof level_names[0])

void log_set_level(enum log_level level) {
    atomic_store_explicit(&current_level, (int)level, memory_order_relaxed);
}

enum log_level log_get_level(void) {
    return (enum log_level)atomic_load_explicit(&current_level, memory_order_relaxed);
}

void log_set_format(enum log_format format) {
    atomic_store_explicit(&current_format, (int)format, memory_order_relaxed);
}

bool log_level_parse(const char *text, enum log_level *out) {
    for (size_t i = 0; text != NULL && i < LEVEL_COUNT; i++) {
        if (strcmp(text, level_names[i]) == 0) {
            *out = (enum log_level)i;
            return true;
        }
    }
    return false;
}

const char *log_level_name(enum log_level level) {
    return (size_t)level < LEVEL_COUNT ? level_names[level] : "unknown";
}

// The format of a line is that of its first byte, so that a change between two calls on one line
// cannot mix them.
static bool is_json(const struct log_line *line) {
    return line->text[0] == '{';
}

static bool put(struct log_line *line, const char *bytes, size_t len) {
    if (len > LOG_LINE_MAX - TAIL_MAX - line->len) {
        return false;
    }
    memcpy(line->text + line->len, bytes, len);
    line->len += len;
    return true;
}

static bool put_text(struct log_line *line, const char *text) {
    return put(line, text, strlen(text));
}

static bool put_key(struct log_line *line, const char *key) {
    if (!is_json(line)) {
        return (line->len == 0 || put(line, " ", 1)) && put_text(line, key) && put(line, "=", 1);
    }
    bool first = line->len == 1;
    return put_text(line, first ? "\"" : ",\"") && put_text(line, key) && put_text(line, "\":");
}

// The code point at the start of `at` and how many bytes it takes; 0 bytes: not valid UTF-8
// (RFC 3629: no overlong forms, no surrogates, nothing above U+10FFFF).
static size_t decode_utf8(const uint8_t *at, size_t len, uint32_t *out) {
    static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
    size_t num = at[0] < 0x80             ? 1
                 : (at[0] & 0xe0) == 0xc0 ? 2
                 : (at[0] & 0xf0) == 0xe0 ? 3
                 : (at[0] & 0xf8) == 0xf0 ? 4
                                          : 0;
    if (num == 0 || num > len) {
        return 0;
    }
    uint32_t point = num == 1 ? at[0] : at[0] & (0xffu >> (num + 1));
    for (size_t i = 1; i < num; i++) {
        if ((at[i] & 0xc0) != 0x80) {
            return 0;
        }
        point = point << 6 | (at[i] & 0x3fu);
    }
    if (point < least[num] || point > 0x10ffff || (point >= 0xd800 && point <= 0xdfff)) {
        return 0;
    }
    *out = point;
    return num;
}

static bool put_escape(struct log_line *line, uint32_t point) {
    char text[16];
    switch (point) {
    case '"':
        return put(line, "\\\"", 2);
    case '\\':
        return put(line, "\\\\", 2);
    case '\n':
        return put(line, "\\n", 2);
    default:
        break;
    }
    if (!is_json(line)) {
        snprintf(text, sizeof text, "\\x%02x", point & 0xffu);
    } else if (point < 0x10000) {
        snprintf(text, sizeof text, "\\u%04x", point);
    } else {
        snprintf(text, sizeof text, "\\u%04x\\u%04x", 0xd800 + ((point - 0x10000) >> 10),
                 0xdc00 + (point & 0x3ffu));
    }
    return put_text(line, text);
}

static bool is_plain(uint8_t byte) {
    return byte >= 0x20 && byte < 0x7f && byte != '"' && byte != '\\';
}

// Quoted and in ASCII only: neither control sequences nor bidirectional marks reach a terminal.
// In JSON valid UTF-8 keeps its meaning; a byte that is not UTF-8 becomes U+FFFD.
static bool put_quoted(struct log_line *line, const uint8_t *at, size_t len) {
    bool ok = put(line, "\"", 1);
    for (size_t i = 0; ok && i < len;) {
        if (is_plain(at[i])) {
            ok = put(line, (const char *)at + i, 1);
            i++;
            continue;
        }
        uint32_t point = at[i];
        size_t num = is_json(line) ? decode_utf8(at + i, len - i, &point) : 1;
        ok = put_escape(line, num == 0 ? 0xfffd : point);
        i += num == 0 ? 1 : num;
    }
    return ok && put(line, "\"", 1);
}

static bool is_bare(const uint8_t *at, size_t len) {
    for (size_t i = 0; i < len; i++) {
        if (!is_plain(at[i]) || at[i] == ' ' || at[i] == '=') {
            return false;
        }
    }
    return len > 0;
}

// All of the pair or nothing of it.
static bool put_pair(struct log_line *line, const char *key, const void *value, size_t len) {
    size_t before = line->len;
    bool ok = put_key(line, key);
    if (ok && !is_json(line) && is_bare(value, len)) {
        ok = put(line, value, len);
    } else if (ok) {
        ok = put_quoted(line, value, len);
    }
    line->len = ok ? line->len : before;
    return ok;
}

static void put_number(struct log_line *line, const char *key, const char *digits) {
    if (!line->enabled) {
        return;
    }
    size_t before = line->len;
    if (!put_key(line, key) || !put_text(line, digits)) {
        line->len = before;
        line->truncated = true;
    }
}

void log_begin(struct log_line *line, enum log_level level, const char *event) {
    line->enabled = level >= log_get_level();
    line->truncated = false;
    line->len = 0;
    line->text[0] = '\0';
    if (!line->enabled) {
        return;
    }
    if (atomic_load_explicit(&current_format, memory_order_relaxed) == LOG_JSON) {
        line->text[line->len++] = '{';
    }
    char ts[CLOCK_TEXT_MAX];
    clock_format(clock_wall_ms(), true, ts);
    log_text(line, "ts", ts);
    log_text(line, "level", log_level_name(level));
    log_text(line, "event", event);
}

void log_text(struct log_line *line, const char *key, const char *value) {
    if (value != NULL) {
        log_bytes(line, key, value, strlen(value));
    }
}

void log_bytes(struct log_line *line, const char *key, const void *value, size_t len) {
    if (line->enabled && !put_pair(line, key, value, len)) {
        line->truncated = true;
    }
}

void log_u64(struct log_line *line, const char *key, uint64_t value) {
    char digits[24];
    snprintf(digits, sizeof digits, "%" PRIu64, value);
    put_number(line, key, digits);
}

void log_i64(struct log_line *line, const char *key, int64_t value) {
    char digits[24];
    snprintf(digits, sizeof digits, "%" PRId64, value);
    put_number(line, key, digits);
}

void log_end(struct log_line *line) {
    if (!line->enabled) {
        return;
    }
    line->enabled = false;
    const char *note = is_json(line) ? ",\"truncated\":true" : " truncated=true";
    const char *tail = is_json(line) ? "}\n" : "\n";
    // TAIL_MAX bytes were kept free for these two.
    line->len += (size_t)snprintf(line->text + line->len, LOG_LINE_MAX - line->len, "%s%s",
                                  line->truncated ? note : "", tail);
    int saved = errno;
    // One write and no second half: a line is whole or lost, never mixed with another thread's.
    while (write(STDERR_FILENO, line->text, line->len) < 0 && errno == EINTR) {
    }
    errno = saved;
}

void log_msg(enum log_level level, const char *event, const char *format, ...) {
    struct log_line line;
    log_begin(&line, level, event);
    if (!line.enabled) {
        return;
    }
    char msg[MSG_MAX];
    va_list args;
    va_start(args, format);
    int needed = vsnprintf(msg, sizeof msg, format, args);
    va_end(args);
    size_t len = needed < 0 ? 0 : (size_t)needed;
    line.truncated = len >= sizeof msg;
    len = line.truncated ? sizeof msg - 1 : len;
    // Escapes may make it too long; then the beginning of the sentence is better than nothing.
    while (!put_pair(&line, "msg", msg, len) && len > 0) {
        line.truncated = true;
        len /= 2;
    }
    log_end(&line);
}
