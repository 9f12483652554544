#include "certmgr/token_file.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/file.h"

struct place {
    char folder[32];
    char path[48];
};

static int set_up(void **state) {
    struct place *place = calloc(1, sizeof(*place));
    snprintf(place->folder, sizeof(place->folder), "/tmp/pavise-token-XXXXXX");
    assert_non_null(mkdtemp(place->folder));
    snprintf(place->path, sizeof(place->path), "%s/token", place->folder);
    *state = place;
    return 0;
}

static int tear_down(void **state) {
    struct place *place = *state;
    unlink(place->path);
    rmdir(place->folder);
    free(place);
    return 0;
}

static void write_token(const struct place *place, const void *bytes, size_t len) {
    struct err err;
    assert_true(file_write_atomic(place->path, span_of(bytes, len), 0600, &err));
}

static const struct row {
    const char *text;
    const char *bearer; // NULL: an error that says `says`
    const char *says;
} rows[] = {
    {"abc", "Bearer abc", NULL},
    {"abc\n", "Bearer abc", NULL},
    {" \r\n\tabc.def-_~+/=\t\n\n", "Bearer abc.def-_~+/=", NULL},
    {"", NULL, "is empty"},
    {" \n", NULL, "is empty"},
    {"secret two", NULL, "byte 7"},
    {"secret\ntwo", NULL, "byte 7"},
    {"secret\x7f", NULL, "byte 7"},
    {"secr\xc3\xa9t", NULL, "byte 5"},
};

static void contents(void **state) {
    const struct place *place = *state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct buf out = {0};
        struct err err = {0};
        write_token(place, rows[i].text, strlen(rows[i].text));
        bool ok = token_file_load(place->path, &out, &err);
        assert_int_equal(ok, rows[i].bearer != NULL);
        if (ok) {
            assert_string_equal((const char *)buf_span(&out).ptr, rows[i].bearer);
        } else {
            assert_non_null(strstr(err.msg, rows[i].says));
            assert_non_null(strstr(err.msg, place->path));
            assert_null(strstr(err.msg, "secret"));
            assert_int_equal(out.len, 0);
        }
        buf_clear_secret(&out);
    }
}

static void a_nul_is_no_end(void **state) {
    const struct place *place = *state;
    struct buf out = {0};
    struct err err;
    write_token(place, "abc\0def", 7);
    assert_false(token_file_load(place->path, &out, &err));
}

static void missing_and_oversized_files(void **state) {
    const struct place *place = *state;
    struct buf out = {0};
    struct err err;
    assert_false(token_file_load("/nonexistent/token", &out, &err));
    assert_non_null(strstr(err.msg, "/nonexistent/token"));
    char *large = malloc(TOKEN_FILE_MAX + 1);
    memset(large, 'a', TOKEN_FILE_MAX + 1);
    write_token(place, large, TOKEN_FILE_MAX + 1);
    assert_false(token_file_load(place->path, &out, &err));
    write_token(place, large, TOKEN_FILE_MAX);
    assert_true(token_file_load(place->path, &out, &err));
    buf_clear_secret(&out);
    free(large);
}

#define ROW(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void) {
    const struct CMUnitTest tests[] = {
        ROW(contents),
        ROW(a_nul_is_no_end),
        ROW(missing_and_oversized_files),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
