// `pavise check` as a command: exit codes, what goes where, and the examples we ship.
#include "agent/command/check.h"

#include <fcntl.h>
#include <glob.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdio_ext.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define NUM_EXAMPLES_MIN 4

struct outcome {
    int code;
    char *out;
    char *err;
};

static char *read_back(FILE *file) {
    long len = ftell(file);
    assert_true(len >= 0);
    char *text = calloc(1, (size_t)len + 1);
    assert_non_null(text);
    rewind(file);
    assert_int_equal(fread(text, 1, (size_t)len, file), len);
    fclose(file);
    return text;
}

// Runs the command with standard output (unless it is to go elsewhere) and error in files.
static struct outcome run_into(int elsewhere, char **argv, int argc) {
    fflush(stdout);
    fflush(stderr);
    int saved_out = dup(STDOUT_FILENO);
    int saved_err = dup(STDERR_FILENO);
    FILE *out = tmpfile();
    FILE *err = tmpfile();
    assert_non_null(out);
    assert_non_null(err);
    dup2(elsewhere < 0 ? fileno(out) : elsewhere, STDOUT_FILENO);
    dup2(fileno(err), STDERR_FILENO);
    struct outcome outcome = {.code = check_run(argc, argv)};
    fflush(stdout);
    fflush(stderr);
    dup2(saved_out, STDOUT_FILENO);
    dup2(saved_err, STDERR_FILENO);
    close(saved_out);
    close(saved_err);
    fseek(out, 0, SEEK_END);
    fseek(err, 0, SEEK_END);
    outcome.out = read_back(out);
    outcome.err = read_back(err);
    return outcome;
}

static struct outcome run(char **argv, int argc) {
    return run_into(-1, argv, argc);
}

static void fini(struct outcome *outcome) {
    free(outcome->out);
    free(outcome->err);
}

static struct outcome check_file(const char *path) {
    char *argv[] = {"check", "--config", (char *)path, NULL};
    return run(argv, 3);
}

static struct outcome check_text(const char *text, char path[32]) {
    strcpy(path, "/tmp/check_test.XXXXXX");
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, strlen(text)), (ssize_t)strlen(text));
    close(fd);
    struct outcome outcome = check_file(path);
    unlink(path);
    return outcome;
}

// A full disk is said, and is no mistake in the file.
static void test_output_that_cannot_be_written(void **state) {
    (void)state;
    char path[] = "/tmp/check_test.XXXXXX";
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, "{}", 2), 2);
    char *argv[] = {"check", "--config", path, NULL};
    int full = open("/dev/full", O_WRONLY | O_CLOEXEC);
    assert_true(full >= 0);
    struct outcome outcome = run_into(full, argv, 3);
    __fpurge(stdout);
    assert_int_equal(outcome.code, 3);
    assert_string_equal(outcome.err,
                        "pavise check: cannot write the result: No space left on device\n");
    fini(&outcome);
    close(full);
    close(fd);
    unlink(path);
}

static void test_good(void **state) {
    (void)state;
    char path[32];
    struct outcome outcome = check_text("workers: 2\n", path);
    char wanted[64];
    snprintf(wanted, sizeof wanted, "%s: ok\n", path);
    assert_int_equal(outcome.code, 0);
    assert_string_equal(outcome.out, wanted);
    assert_string_equal(outcome.err, "");
    fini(&outcome);
}

static void test_warnings_do_not_fail(void **state) {
    (void)state;
    char path[32];
    struct outcome outcome = check_text("trustStore: {publicRoots: none}\n", path);
    char wanted[128];
    snprintf(wanted, sizeof wanted,
             "%s:1:27: warning: publicRoots: the application will trust no public server\n", path);
    assert_int_equal(outcome.code, 0);
    assert_string_equal(outcome.err, wanted);
    fini(&outcome);
}

static void test_mistakes(void **state) {
    (void)state;
    char path[32];
    struct outcome outcome = check_text("workers: 0\nlisten: 1\n", path);
    char wanted[256];
    snprintf(wanted, sizeof wanted,
             "%s:1:10: workers: \"0\" is not auto or a number from 1 to 64\n"
             "%s:2:1: unknown key \"listen\"\n",
             path, path);
    assert_int_equal(outcome.code, 1);
    assert_string_equal(outcome.out, "");
    assert_string_equal(outcome.err, wanted);
    fini(&outcome);
}

static void test_no_such_file(void **state) {
    (void)state;
    struct outcome outcome = check_file("/nonexistent/pavise.yaml");
    assert_int_equal(outcome.code, 1);
    assert_string_equal(outcome.out, "");
    assert_non_null(strstr(outcome.err, "/nonexistent/pavise.yaml"));
    assert_ptr_equal(strchr(outcome.err, '\n'), outcome.err + strlen(outcome.err) - 1);
    fini(&outcome);
}

static void test_usage(void **state) {
    (void)state;
    char *lines[][4] = {{"check", NULL},
                        {"check", "--config", NULL},
                        {"check", "--bogus", "x", NULL},
                        {"check", "file.yaml", NULL},
                        {"check", "--config", "f", "g"}};
    static const int counts[] = {1, 2, 3, 2, 4};
    for (size_t i = 0; i < sizeof counts / sizeof *counts; i++) {
        char *argv[5] = {0};
        memcpy(argv, lines[i], sizeof lines[i]);
        struct outcome outcome = run(argv, counts[i]);
        assert_int_equal(outcome.code, 2);
        assert_string_equal(outcome.out, "");
        assert_string_equal(outcome.err, "usage: pavise check --config FILE\n");
        fini(&outcome);
    }
}

static void test_examples_are_good(void **state) {
    (void)state;
    glob_t found;
    assert_int_equal(glob("deploy/examples/*.yaml", 0, NULL, &found), 0);
    assert_true(found.gl_pathc >= NUM_EXAMPLES_MIN);
    for (size_t i = 0; i < found.gl_pathc; i++) {
        struct outcome outcome = check_file(found.gl_pathv[i]);
        if (outcome.code != 0 || outcome.err[0] != '\0') {
            fail_msg("%s", outcome.err);
        }
        fini(&outcome);
    }
    globfree(&found);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_output_that_cannot_be_written),
        cmocka_unit_test(test_good),
        cmocka_unit_test(test_warnings_do_not_fail),
        cmocka_unit_test(test_mistakes),
        cmocka_unit_test(test_no_such_file),
        cmocka_unit_test(test_usage),
        cmocka_unit_test(test_examples_are_good),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
