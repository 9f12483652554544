#include "base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

// Each test runs in a fresh directory and leaves it empty.
static int enter(void **state) {
    const char *base = getenv("TEST_TMPDIR");
    char *dir = NULL;
    if (asprintf(&dir, "%s/file_test.XXXXXX", base != NULL ? base : "/tmp") < 0) {
        return -1;
    }
    *state = dir;
    return mkdtemp(dir) != NULL && chdir(dir) == 0 ? 0 : -1;
}

static int leave(void **state) {
    int failed = chdir("/") + rmdir(*state); // fails when a temporary file was left behind
    free(*state);
    return failed;
}

static void put(const char *path, const char *text) {
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    fputs(text, file);
    fclose(file);
}

static void assert_content(const char *path, const char *text) {
    struct buf buf = {0};
    struct err err = {0};
    assert_true(file_read(path, 1000, &buf, &err));
    assert_true(span_equal_text(buf_span(&buf), text));
    buf_fini(&buf);
}

static void test_read_appends(void **state) {
    (void)state;
    put("a", "content");
    put("empty", "");
    struct buf buf = {0};
    struct err err = {0};
    assert_true(buf_append_text(&buf, "before "));
    assert_true(file_read("a", 7, &buf, &err));
    assert_true(file_read("empty", 0, &buf, &err));
    assert_true(span_equal_text(buf_span(&buf), "before content"));
    buf_fini(&buf);
    assert_true(file_read("empty", 10, &buf, &err));
    assert_null(buf.mem);
    unlink("a");
    unlink("empty");
}

static void test_read_files_without_a_size(void **state) {
    (void)state;
    struct buf buf = {0};
    struct err err = {0};
    assert_true(file_read("/proc/self/status", 65536, &buf, &err));
    assert_true(buf_span(&buf).len > 100);
    buf_clear(&buf);
    assert_false(
        file_read("/proc/self/status", 100, &buf, &err)); // its size is 0: found by reading
    assert_non_null(strstr(err.msg, "larger than 100 bytes"));
    assert_null(buf.mem);
}

static void test_failures_leave_the_buffer(void **state) {
    (void)state;
    put("big", "12345678");
    assert_int_equal(mkdir("dir", 0700), 0);
    assert_int_equal(mkfifo("fifo", 0600), 0);
    assert_int_equal(symlink("loop", "loop"), 0);
    const struct {
        const char *path, *words;
        enum err_class class;
    } rows[] = {
        {"missing", "No such file", ERR_INPUT},
        {"big/x", "Not a directory", ERR_INPUT},
        {"loop", "symbolic links", ERR_INPUT},
        {"dir", "dir is not a regular file", ERR_INPUT},
        {"fifo", "fifo is not a regular file", ERR_INPUT},
        {"/dev/zero", "/dev/zero is not a regular file", ERR_INPUT},
        {"big", "big is larger than 7 bytes", ERR_INPUT},
        {"", "cannot read", ERR_INPUT},
    };
    struct buf buf = {0};
    assert_true(buf_append_text(&buf, "kept"));
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct err err = {0};
        assert_false(file_read(rows[i].path, 7, &buf, &err));
        assert_non_null(strstr(err.msg, rows[i].words));
        assert_int_equal(err.class, rows[i].class);
        assert_true(span_equal_text(buf_span(&buf), "kept"));
    }
    buf_fini(&buf);
    unlink("big");
    rmdir("dir");
    unlink("fifo");
    unlink("loop");
}

static void test_write_replaces_and_sets_the_mode(void **state) {
    (void)state;
    put("a", "old and longer");
    struct err err = {0};
    mode_t mask = umask(077);
    assert_true(file_write_atomic("a", span_of_text("new"), 0644, &err));
    umask(mask);
    assert_content("a", "new");
    struct stat st;
    assert_int_equal(stat("a", &st), 0);
    assert_int_equal(st.st_mode & 07777, 0644); // whatever the umask says
    char path[4096];
    assert_non_null(getcwd(path, sizeof path - 16));
    strcat(path, "/b");
    assert_true(file_write_atomic(path, span_of_text(""), 0600, &err));
    assert_content("b", "");
    unlink("a");
    unlink("b");
}

static void test_open_readers_keep_the_old_content(void **state) {
    (void)state;
    put("a", "old");
    int fd = open("a", O_RDONLY | O_CLOEXEC);
    struct err err = {0};
    assert_true(file_write_atomic("a", span_of_text("new"), 0600, &err));
    char text[8] = {0};
    assert_int_equal(read(fd, text, sizeof text), 3);
    assert_string_equal(text, "old");
    close(fd);
    unlink("a");
}

static void test_failed_write_leaves_nothing(void **state) {
    (void)state;
    struct err err = {0};
    assert_false(file_write_atomic("missing/a", span_of_text("x"), 0600, &err));
    assert_non_null(strstr(err.msg, "cannot write missing/a: No such file"));
    assert_int_equal(err.class, ERR_INPUT);
    // A directory in the way is found by the rename, when the temporary file is there already.
    assert_int_equal(mkdir("dir", 0700), 0);
    assert_false(file_write_atomic("dir", span_of_text("x"), 0600, &err));
    assert_non_null(strstr(err.msg, "cannot write dir: "));
    assert_int_equal(rmdir("dir"), 0);
}

// A pipe that is full takes no more: what fits is written, and errno says the rest.
static void test_write_all(void **state) {
    (void)state;
    int ends[2];
    uint8_t block[4096] = {0};
    assert_int_equal(pipe2(ends, O_CLOEXEC | O_NONBLOCK), 0);
    int room = fcntl(ends[1], F_SETPIPE_SZ, sizeof block);
    assert_int_equal(room, sizeof block);
    assert_true(file_write_all(ends[1], span_of(block, 0)));
    assert_true(file_write_all(ends[1], span_of(block, sizeof block)));
    errno = 0;
    assert_false(file_write_all(ends[1], span_of(block, 1)));
    assert_int_equal(errno, EAGAIN);
    assert_int_equal(read(ends[0], block, sizeof block), sizeof block);
    close(ends[0]);
    close(ends[1]);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_read_appends, enter, leave),
        cmocka_unit_test_setup_teardown(test_read_files_without_a_size, enter, leave),
        cmocka_unit_test_setup_teardown(test_failures_leave_the_buffer, enter, leave),
        cmocka_unit_test_setup_teardown(test_write_replaces_and_sets_the_mode, enter, leave),
        cmocka_unit_test_setup_teardown(test_open_readers_keep_the_old_content, enter, leave),
        cmocka_unit_test_setup_teardown(test_failed_write_leaves_nothing, enter, leave),
        cmocka_unit_test(test_write_all),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
