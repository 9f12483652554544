// The socket file: for everybody, replaced when stale, left alone when somebody listens or when it
// is something else.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

#include "authority/unix_listener.h"
#include "base/err.h"
#include "base/own.h"
#include "tests/authority/temp_dir.h"

struct fixture {
    struct temp_dir dir;
    char path[TEMP_PATH_MAX];
};

static int setup(void **state) {
    struct fixture *fixture = calloc(1, sizeof(*fixture));
    assert_non_null(fixture);
    temp_dir_init(&fixture->dir);
    temp_dir_path(&fixture->dir, "s", fixture->path);
    *state = fixture;
    return 0;
}

static int teardown(void **state) {
    struct fixture *fixture = *state;
    temp_dir_fini(&fixture->dir);
    free(fixture);
    return 0;
}

static int bind_at(const char *path) {
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    memcpy(address.sun_path, path, strlen(path) + 1);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(fd >= 0);
    assert_int_equal(bind(fd, (const struct sockaddr *)&address, sizeof(address)), 0);
    return fd;
}

static int connect_to(const char *path) {
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    memcpy(address.sun_path, path, strlen(path) + 1);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(fd >= 0);
    assert_int_equal(connect(fd, (const struct sockaddr *)&address, sizeof(address)), 0);
    return fd;
}

static void test_serves_and_cleans_up(void **state) {
    const struct fixture *fixture = *state;
    struct err err = {0};
    struct stat st;
    int fd = -1;
    uid_t uid = 12345;
    mode_t before = umask(0077);
    struct unix_listener *listener = unix_listener_new(fixture->path, &err);
    assert_int_equal(umask(before), 0077); // put back
    assert_non_null(listener);
    assert_int_equal(lstat(fixture->path, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0666);
    assert_int_equal(unix_listener_accept(listener, &fd, &uid), UNIX_NONE);
    int client = connect_to(fixture->path);
    assert_int_equal(unix_listener_accept(listener, &fd, &uid), UNIX_ACCEPTED);
    assert_int_equal(uid, geteuid());
    char byte;
    assert_int_equal(recv(fd, &byte, 1, 0), -1); // non-blocking
    (void)close(fd);
    (void)close(client);
    unix_listener_free(listener);
    assert_int_not_equal(lstat(fixture->path, &st), 0);
}

static void test_stale_is_replaced(void **state) {
    const struct fixture *fixture = *state;
    struct err err = {0};
    (void)close(bind_at(fixture->path));
    OWNED(unix_listener_free)
    struct unix_listener *listener = unix_listener_new(fixture->path, &err);
    assert_non_null(listener);
    (void)close(connect_to(fixture->path));
}

static void test_live_is_left_alone(void **state) {
    const struct fixture *fixture = *state;
    struct err err = {0};
    OWNED(unix_listener_free) struct unix_listener *first = unix_listener_new(fixture->path, &err);
    assert_non_null(first);
    assert_null(unix_listener_new(fixture->path, &err));
    assert_int_equal(err.class, ERR_ENVIRONMENT);
    assert_non_null(strstr(err.msg, "address in use"));
    (void)close(connect_to(fixture->path));
}

static void test_other_file_is_left_alone(void **state) {
    const struct fixture *fixture = *state;
    struct err err = {0};
    struct stat st;
    char path[TEMP_PATH_MAX];
    temp_dir_write(&fixture->dir, "s", "x", 1, path);
    assert_null(unix_listener_new(fixture->path, &err));
    assert_int_equal(err.class, ERR_ENVIRONMENT);
    assert_int_equal(lstat(fixture->path, &st), 0);
    assert_true(S_ISREG(st.st_mode));
    // Nor a link to a socket, whoever put it there.
    assert_int_equal(unlink(fixture->path), 0);
    assert_int_equal(symlink("elsewhere", fixture->path), 0);
    assert_null(unix_listener_new(fixture->path, &err));
    assert_int_equal(lstat(fixture->path, &st), 0);
    assert_true(S_ISLNK(st.st_mode));
}

// At its end it removes its own file only.
static void test_successor_keeps_its_file(void **state) {
    const struct fixture *fixture = *state;
    struct err err = {0};
    struct unix_listener *first = unix_listener_new(fixture->path, &err);
    assert_non_null(first);
    assert_int_equal(unlink(fixture->path), 0);
    int other = bind_at(fixture->path);
    unix_listener_free(first);
    struct stat st;
    assert_int_equal(lstat(fixture->path, &st), 0);
    (void)close(other);
}

static void test_bad_paths(void **state) {
    (void)state;
    struct err err = {0};
    char path[200];
    assert_null(unix_listener_new("relative", &err));
    assert_int_equal(err.class, ERR_USAGE);
    memset(path, 'a', sizeof(path));
    path[0] = '/';
    path[sizeof(path) - 1] = '\0';
    assert_null(unix_listener_new(path, &err));
    assert_int_equal(err.class, ERR_USAGE);
    assert_null(unix_listener_new("/does/not/exist/s", &err));
    assert_int_equal(err.class, ERR_ENVIRONMENT);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_serves_and_cleans_up, setup, teardown),
        cmocka_unit_test_setup_teardown(test_stale_is_replaced, setup, teardown),
        cmocka_unit_test_setup_teardown(test_live_is_left_alone, setup, teardown),
        cmocka_unit_test_setup_teardown(test_other_file_is_left_alone, setup, teardown),
        cmocka_unit_test_setup_teardown(test_successor_keeps_its_file, setup, teardown),
        cmocka_unit_test(test_bad_paths),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
