#include "base/log.h"

#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "tests/base/prng.h"

#define TEXT_MAX (1 << 20)

static char captured[TEXT_MAX];

struct capture {
    int file, saved;
};

static struct capture capture_begin(void) {
    struct capture capture;
    FILE *file = tmpfile();
    assert_non_null(file);
    capture.file = fcntl(fileno(file), F_DUPFD_CLOEXEC, 3);
    fclose(file);
    capture.saved = dup(STDERR_FILENO);
    dup2(capture.file, STDERR_FILENO);
    return capture;
}

// What was written to standard error since capture_begin.
static size_t capture_end(struct capture capture) {
    dup2(capture.saved, STDERR_FILENO);
    close(capture.saved);
    lseek(capture.file, 0, SEEK_SET);
    size_t len = 0;
    ssize_t got;
    while ((got = read(capture.file, captured + len, TEXT_MAX - 1 - len)) > 0) {
        len += (size_t)got;
    }
    captured[len] = '\0';
    close(capture.file);
    return len;
}

static int reset(void **state) {
    (void)state;
    log_set_level(LOG_INFO);
    log_set_format(LOG_LOGFMT);
    return 0;
}

// The captured line behind its time stamp.
static const char *after_ts(const char *opening) {
    assert_memory_equal(captured, opening, strlen(opening));
    return captured + strlen(opening) + strlen("2026-01-02T03:04:05.678Z");
}

static void one_of_each(void) {
    struct log_line line;
    log_begin(&line, LOG_WARN, "event_name");
    log_text(&line, "plain", "spiffe://example.org/a-b_c");
    log_text(&line, "left_out", NULL);
    log_text(&line, "empty", "");
    log_text(&line, "spaces", "a b");
    log_text(&line, "equals", "a=b");
    log_text(&line, "quote", "a\"b\\c");
    log_bytes(&line, "bytes", "a\nb\r\0\x1b[1m\x7f\xc3\xa9\xff\xf0\x9f\x98\x80", 17);
    log_u64(&line, "u64", UINT64_MAX);
    log_i64(&line, "i64", INT64_MIN);
    log_end(&line);
}

static void test_logfmt(void **state) {
    (void)state;
    struct capture capture = capture_begin();
    one_of_each();
    capture_end(capture);
    assert_string_equal(
        after_ts("ts="),
        " level=warn event=event_name plain=spiffe://example.org/a-b_c empty=\"\" spaces=\"a b\""
        " equals=\"a=b\" quote=\"a\\\"b\\\\c\""
        " bytes=\"a\\nb\\x0d\\x00\\x1b[1m\\x7f\\xc3\\xa9\\xff\\xf0\\x9f\\x98\\x80\""
        " u64=18446744073709551615 i64=-9223372036854775808\n");
}

static void test_json(void **state) {
    (void)state;
    log_set_format(LOG_JSON);
    struct capture capture = capture_begin();
    one_of_each();
    capture_end(capture);
    assert_string_equal(
        after_ts("{\"ts\":\""),
        "\",\"level\":\"warn\",\"event\":\"event_name\",\"plain\":\"spiffe://example.org/a-b_c\","
        "\"empty\":\"\",\"spaces\":\"a b\",\"equals\":\"a=b\",\"quote\":\"a\\\"b\\\\c\","
        "\"bytes\":\"a\\nb\\u000d\\u0000\\u001b[1m\\u007f\\u00e9\\ufffd\\ud83d\\ude00\","
        "\"u64\":18446744073709551615,\"i64\":-9223372036854775808}\n");
}

// Every byte sequence is one printable line, and JSON never has a lone surrogate or a raw byte.
static void test_hostile_bytes_make_one_ascii_line(void **state) {
    (void)state;
    struct prng prng = prng_new();
    for (int i = 0; i < 2000; i++) {
        log_set_format(i % 2 == 0 ? LOG_LOGFMT : LOG_JSON);
        uint8_t value[64];
        size_t len = (size_t)prng_below(&prng, sizeof value);
        for (size_t k = 0; k < len; k++) {
            value[k] = (uint8_t)(prng_below(&prng, 3) == 0 ? 0xe0 + prng_below(&prng, 32)
                                                           : prng_next(&prng));
        }
        struct log_line line;
        struct capture capture = capture_begin();
        log_begin(&line, LOG_ERROR, "e");
        log_bytes(&line, "v", value, len);
        log_end(&line);
        size_t written = capture_end(capture);
        assert_int_equal(captured[written - 1], '\n');
        for (size_t k = 0; k + 1 < written; k++) {
            assert_in_range(captured[k], 0x20, 0x7e);
        }
    }
}

static void test_bad_utf8_is_replaced_in_json(void **state) {
    (void)state;
    log_set_format(LOG_JSON);
    // Overlong, surrogate, above U+10FFFF, cut short, stray continuation.
    const char *const rows[] = {"\xc0\x80", "\xed\xa0\x80", "\xf4\x90\x80\x80", "\xe2\x82", "\x80"};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct log_line line;
        struct capture capture = capture_begin();
        log_begin(&line, LOG_INFO, "e");
        log_text(&line, "v", rows[i]);
        log_end(&line);
        capture_end(capture);
        const char *at = strstr(captured, "\"v\":\"");
        assert_non_null(at);
        at += 5;
        for (size_t k = 0; k < strlen(rows[i]); k++, at += 6) {
            assert_memory_equal(at, "\\ufffd", 6);
        }
        assert_string_equal(at, "\"}\n");
    }
}

static void test_pairs_that_do_not_fit_are_left_out(void **state) {
    (void)state;
    for (int format = LOG_LOGFMT; format <= LOG_JSON; format++) {
        log_set_format((enum log_format)format);
        char big[LOG_LINE_MAX];
        memset(big, '\n', sizeof big);
        struct log_line line;
        struct capture capture = capture_begin();
        log_begin(&line, LOG_INFO, "e");
        log_bytes(&line, "big", big, sizeof big);
        log_text(&line, "small", "x");
        for (int i = 0; i < 2000; i++) {
            log_u64(&line, "n", 12345);
        }
        log_end(&line);
        size_t len = capture_end(capture);
        assert_true(len <= LOG_LINE_MAX);
        assert_null(strstr(captured, "big"));
        assert_non_null(strstr(captured, "small"));
        const char *tail = format == LOG_JSON ? ",\"truncated\":true}\n" : " truncated=true\n";
        assert_string_equal(captured + len - strlen(tail), tail);
    }
}

static void test_long_messages_are_cut_not_lost(void **state) {
    (void)state;
    log_set_format(LOG_JSON);
    char big[3000];
    memset(big, '\x01', sizeof big - 1);
    big[sizeof big - 1] = '\0';
    struct capture capture = capture_begin();
    log_msg(LOG_INFO, "e", "begin %s", big);
    capture_end(capture);
    assert_non_null(strstr(captured, "\"msg\":\"begin \\u0001"));
    assert_non_null(strstr(captured, "\"truncated\":true}\n"));
    capture = capture_begin();
    log_msg(LOG_INFO, "e", "%s %d", "short", 1);
    capture_end(capture);
    assert_non_null(strstr(captured, "\"msg\":\"short 1\"}\n"));
    // An event of this size leaves no room for a sentence; the line must still come to an end.
    memset(big, 'x', sizeof big - 1);
    char event[LOG_LINE_MAX];
    memset(event, 'e', sizeof event);
    for (size_t len = LOG_LINE_MAX - 200; len < LOG_LINE_MAX; len++) {
        event[len] = '\0';
        capture = capture_begin();
        log_msg(LOG_INFO, event, "%s", big);
        capture_end(capture);
        assert_non_null(strstr(captured, "\"truncated\":true}\n"));
        event[len] = 'e';
    }
}

static void test_levels(void **state) {
    (void)state;
    log_set_level(LOG_WARN);
    assert_int_equal(log_get_level(), LOG_WARN);
    struct capture capture = capture_begin();
    log_msg(LOG_DEBUG, "no", "x");
    log_msg(LOG_INFO, "no", "x");
    struct log_line line;
    log_begin(&line, LOG_INFO, "no");
    log_text(&line, "k", "v");
    log_u64(&line, "n", 1);
    log_end(&line);
    assert_int_equal(capture_end(capture), 0);
    capture = capture_begin();
    log_msg(LOG_WARN, "yes", "x");
    log_msg(LOG_ERROR, "yes", "x");
    capture_end(capture);
    assert_non_null(strstr(captured, "level=warn event=yes msg=x\n"));
    assert_non_null(strstr(captured, "level=error event=yes msg=x\n"));
}

static void test_level_names(void **state) {
    (void)state;
    for (int i = LOG_DEBUG; i <= LOG_ERROR; i++) {
        enum log_level level;
        assert_true(log_level_parse(log_level_name((enum log_level)i), &level));
        assert_int_equal(level, i);
    }
    const char *const bad[] = {"", "INFO", "info ", "trace"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        enum log_level level = LOG_WARN;
        assert_false(log_level_parse(bad[i], &level));
        assert_int_equal(level, LOG_WARN);
    }
    enum log_level level;
    assert_false(log_level_parse(NULL, &level));
}

#define NUM_THREADS 4
#define NUM_LINES 500

static void *log_many(void *arg) {
    for (int i = 0; i < NUM_LINES; i++) {
        log_msg(LOG_INFO, "thread", "%s", (const char *)arg);
    }
    return NULL;
}

// A pipe, not a file: that is where half lines would mix.
static void test_lines_of_threads_do_not_mix(void **state) {
    (void)state;
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    int saved = dup(STDERR_FILENO);
    dup2(ends[1], STDERR_FILENO);
    close(ends[1]);
    char text[200];
    memset(text, 'x', sizeof text - 1);
    text[sizeof text - 1] = '\0';
    pthread_t threads[NUM_THREADS];
    for (size_t i = 0; i < NUM_THREADS; i++) {
        pthread_create(&threads[i], NULL, log_many, text);
    }
    FILE *in = fdopen(ends[0], "r");
    char line[LOG_LINE_MAX];
    int bad = 0;
    for (int i = 0; i < NUM_THREADS * NUM_LINES; i++) {
        bad += fgets(line, sizeof line, in) == NULL || strncmp(line, "ts=", 3) != 0 ||
               strstr(line, text) == NULL || strstr(line, "x\n") == NULL;
    }
    for (size_t i = 0; i < NUM_THREADS; i++) {
        pthread_join(threads[i], NULL);
    }
    dup2(saved, STDERR_FILENO);
    close(saved);
    fclose(in);
    assert_int_equal(bad, 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_logfmt, reset),
        cmocka_unit_test_setup(test_json, reset),
        cmocka_unit_test_setup(test_hostile_bytes_make_one_ascii_line, reset),
        cmocka_unit_test_setup(test_bad_utf8_is_replaced_in_json, reset),
        cmocka_unit_test_setup(test_pairs_that_do_not_fit_are_left_out, reset),
        cmocka_unit_test_setup(test_long_messages_are_cut_not_lost, reset),
        cmocka_unit_test_setup(test_levels, reset),
        cmocka_unit_test_setup(test_level_names, reset),
        cmocka_unit_test_setup(test_lines_of_threads_do_not_mix, reset),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
