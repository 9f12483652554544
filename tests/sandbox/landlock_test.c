#include "agent/sandbox/landlock.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "tests/sandbox/child.h"
#include "tests/sandbox/place.h"

// errno of opening, or 0.
static int opened(const char *name, int flags) {
    int fd = open(place_path(name).text, flags | O_CLOEXEC, 0600);
    int errnum = fd < 0 ? errno : 0;
    if (fd >= 0) {
        close(fd);
    }
    return errnum;
}

static bool enter(void) {
    int set = landlock_new();
    return set >= 0 && landlock_allow(set, place_path("read").text, LANDLOCK_READ) &&
           landlock_allow(set, place_path("written").text, LANDLOCK_READ | LANDLOCK_WRITE) &&
           landlock_allow(set, place_path("single").text, LANDLOCK_READ | LANDLOCK_WRITE) &&
           prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 && landlock_enforce(set);
}

static int reads(void *arg) {
    (void)arg;
    if (!enter()) {
        return 1;
    }
    return opened("read/file", O_RDONLY) == 0 && opened("read", O_RDONLY | O_DIRECTORY) == 0 &&
                   opened("written/file", O_RDONLY) == 0 && opened("single", O_RDWR) == 0 &&
                   opened("read/file", O_WRONLY) == EACCES &&
                   opened("read/new", O_WRONLY | O_CREAT) == EACCES &&
                   opened("outside/file", O_RDONLY) == EACCES &&
                   opened(".", O_RDONLY | O_DIRECTORY) == EACCES
               ? 0
               : 2;
}

static int writes(void *arg) {
    (void)arg;
    struct stat st;
    if (!enter()) {
        return 1;
    }
    if (opened("written/new", O_WRONLY | O_CREAT) != 0 || // made, replaced, linked, removed
        rename(place_path("written/new").text, place_path("written/file").text) != 0 ||
        symlink("file", place_path("written/link").text) != 0 ||
        mkdir(place_path("written/sub").text, 0755) != 0 ||
        rename(place_path("written/file").text, place_path("written/sub/file").text) != 0 ||
        unlink(place_path("written/link").text) != 0) {
        return 2;
    }
    if (opened("outside/new", O_WRONLY | O_CREAT) != EACCES ||
        unlink(place_path("outside/file").text) == 0 || errno != EACCES ||
        rename(place_path("written/sub/file").text, place_path("outside/other").text) == 0) {
        return 3;
    }
    if (mkfifo(place_path("written/fifo").text, 0600) == 0) {
        return 4;
    }
    return stat(place_path("outside/file").text, &st) == 0 ? 0 : 5; // attributes are not restricted
}

static void run(int (*body)(void *)) {
    if (landlock_abi() == 0) {
        print_message("this kernel has no Landlock: %s\n", strerror(errno));
        skip();
    }
    assert_int_equal(child_run(body, NULL), 0);
}

static void test_reads(void **state) {
    (void)state;
    run(reads);
}

static void test_writes(void **state) {
    (void)state;
    run(writes);
}

static int replaced(void *arg) {
    (void)arg;
    int set = landlock_new();
    bool ok = set >= 0 && landlock_allow(set, place_path("single").text, LANDLOCK_READ);
    if (!ok || rename(place_path("read/file").text, place_path("single").text) != 0 ||
        prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 || !landlock_enforce(set)) {
        return 1;
    }
    return opened("single", O_RDONLY) == EACCES ? 0 : 2;
}

static void test_a_file_is_not_its_name(void **state) {
    (void)state;
    run(replaced);
}

static void test_what_is_not_there(void **state) {
    (void)state;
    if (landlock_abi() == 0) {
        skip();
    }
    int set = landlock_new();
    assert_true(set >= 0);
    assert_false(landlock_allow(set, place_path("nothing").text, LANDLOCK_READ));
    assert_int_equal(errno, ENOENT);
    close(set);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_reads, place_set_up, place_tear_down),
        cmocka_unit_test_setup_teardown(test_writes, place_set_up, place_tear_down),
        cmocka_unit_test_setup_teardown(test_a_file_is_not_its_name, place_set_up, place_tear_down),
        cmocka_unit_test_setup_teardown(test_what_is_not_there, place_set_up, place_tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
