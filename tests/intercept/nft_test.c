// A shell script stands for nft: what it is given, and what is made of what it says.
#include "agent/intercept/nft.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/buf.h"
#include "base/file.h"
#include "base/span.h"

#define PATH_LEN 256

struct stage {
    char dir[PATH_LEN];
    char program[PATH_LEN];
    char seen[PATH_LEN]; // what the program was given on standard input
};

static int set_up(void **state) {
    struct stage *stage = calloc(1, sizeof *stage);
    assert_non_null(stage);
    const char *base = getenv("TEST_TMPDIR");
    snprintf(stage->dir, PATH_LEN, "%s/nft-XXXXXX", base == NULL ? "/tmp" : base);
    assert_non_null(mkdtemp(stage->dir));
    assert_true(snprintf(stage->program, PATH_LEN, "%.200s/nft", stage->dir) < PATH_LEN);
    assert_true(snprintf(stage->seen, PATH_LEN, "%.200s/seen", stage->dir) < PATH_LEN);
    char path[2 * PATH_LEN];
    // An empty and a relative element are never looked into.
    snprintf(path, sizeof path, ":.:%s:/usr/bin:/bin", stage->dir);
    assert_int_equal(setenv("PATH", path, 1), 0);
    assert_int_equal(setenv("SEEN", stage->seen, 1), 0);
    *state = stage;
    return 0;
}

static int tear_down(void **state) {
    struct stage *stage = *state;
    unlink(stage->program);
    unlink(stage->seen);
    rmdir(stage->dir);
    free(stage);
    return 0;
}

static void write_program(const struct stage *stage, const char *body) {
    char text[1024];
    struct err err = {0};
    int len = snprintf(text, sizeof text, "#!/bin/sh\n%s\n", body);
    assert_true(file_write_atomic(stage->program, span_of(text, (size_t)len), 0700, &err));
}

static void test_rules_arrive_whole(void **state) {
    write_program(*state, "[ \"$*\" = '-f -' ] || exit 9\ncat > \"$SEEN\"");
    const struct stage *stage = *state;
    struct buf rules = {0};
    struct buf seen = {0};
    struct err err = {0};
    for (int i = 0; i < 20000; i++) { // far more than a pipe holds
        assert_true(buf_printf(&rules, "line %d\n", i));
    }
    assert_true(nft_load(buf_span(&rules), &err));
    assert_true(file_read(stage->seen, (size_t)1024 * 1024, &seen, &err));
    assert_true(span_equal(buf_span(&rules), buf_span(&seen)));
    buf_fini(&rules);
    buf_fini(&seen);
}

static void check_refusal(const struct stage *stage, const char *body, const char *wanted) {
    struct err err = {0};
    write_program(stage, body);
    assert_false(nft_load(span_of_text("table inet pavise {}\n"), &err));
    assert_int_equal(err.class, ERR_ENVIRONMENT);
    assert_non_null(strstr(err.msg, wanted));
}

static void test_refusals(void **state) {
    check_refusal(*state, "echo 'Operation not permitted (you must be root)' >&2; exit 1",
                  "NET_ADMIN");
    check_refusal(*state, "echo 'Error: Could not process rule: No such device' >&2; exit 1",
                  "nft refused: Error: Could not process rule: No such device");
    check_refusal(*state, "exit 1", "nft refused: it did not say why");
    check_refusal(*state, "kill -9 $$", "did not run to its end");
    // More than an error holds.
    check_refusal(*state, "yes noise | head -c 300000 >&2; exit 1", "nft refused: noise");
}

static void test_program_that_cannot_start(void **state) {
    const struct stage *stage = *state;
    struct err err = {0};
    assert_true(file_write_atomic(stage->program, span_of_text("\177ELF"), 0700, &err));
    assert_false(nft_load(span_of_text(""), &err));
    assert_int_equal(err.class, ERR_ENVIRONMENT);
}

static void test_list(void **state) {
    struct err err = {0};
    struct buf out = {0};
    write_program(*state, "[ \"$*\" = 'list table inet pavise' ] || exit 9\necho rules");
    assert_int_equal(nft_list("inet pavise", &out, &err), NFT_LISTED);
    assert_true(span_equal_text(buf_span(&out), "rules\n"));
    buf_clear(&out);
    write_program(*state, "echo 'Error: No such file or directory' >&2; exit 1");
    assert_int_equal(nft_list("inet pavise", &out, &err), NFT_NO_TABLE);
    write_program(*state,
                  "echo 'cache initialization failed: Operation not permitted' >&2; exit 1");
    assert_int_equal(nft_list("inet pavise", &out, &err), NFT_FAILED);
    assert_non_null(strstr(err.msg, "NET_ADMIN"));
    assert_int_equal(out.len, 0);
    buf_fini(&out);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_rules_arrive_whole, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_refusals, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_program_that_cannot_start, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_list, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
