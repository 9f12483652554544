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

#include "tests/certmgr/scratch_dir.h"
#include "tests/sandbox/child.h"

static struct scratch_dir dir;

static int set_up(void **state) {
    (void)state;
    scratch_dir_init(&dir);
    const char *const places[] = {"read", "written", "outside"};
    for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
        char name[64];
        scratch_dir_make(&dir, places[i]);
        (void)snprintf(name, sizeof(name), "%s/file", places[i]);
        scratch_dir_rewrite(&dir, name, span_of_text("x"));
    }
    scratch_dir_rewrite(&dir, "single", span_of_text("x"));
    return 0;
}

static int tear_down(void **state) {
    (void)state;
    scratch_dir_fini(&dir);
    return 0;
}

static struct scratch_path in(const char *name) {
    return scratch_dir_path(&dir, name);
}

// errno of opening, or 0.
static int opened(const char *name, int flags) {
    int fd = open(in(name).text, flags | O_CLOEXEC, 0600);
    int errnum = fd < 0 ? errno : 0;
    if (fd >= 0) {
        close(fd);
    }
    return errnum;
}

static bool enter(void) {
    int set = landlock_new();
    return set >= 0 && landlock_allow(set, in("read").text, LANDLOCK_READ) &&
           landlock_allow(set, in("written").text, LANDLOCK_READ | LANDLOCK_WRITE) &&
           landlock_allow(set, in("single").text, LANDLOCK_READ | LANDLOCK_WRITE) &&
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
        rename(in("written/new").text, in("written/file").text) != 0 ||
        symlink("file", in("written/link").text) != 0 || mkdir(in("written/sub").text, 0755) != 0 ||
        rename(in("written/file").text, in("written/sub/file").text) != 0 ||
        unlink(in("written/link").text) != 0) {
        return 2;
    }
    if (opened("outside/new", O_WRONLY | O_CREAT) != EACCES ||
        unlink(in("outside/file").text) == 0 || errno != EACCES ||
        rename(in("written/sub/file").text, in("outside/other").text) == 0) {
        return 3;
    }
    if (mkfifo(in("written/fifo").text, 0600) == 0) {
        return 4;
    }
    return stat(in("outside/file").text, &st) == 0 ? 0 : 5; // attributes are not restricted
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
    bool ok = set >= 0 && landlock_allow(set, in("single").text, LANDLOCK_READ);
    if (!ok || rename(in("read/file").text, in("single").text) != 0 ||
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
    assert_false(landlock_allow(set, in("nothing").text, LANDLOCK_READ));
    assert_int_equal(errno, ENOENT);
    close(set);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_reads, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_writes, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_a_file_is_not_its_name, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_what_is_not_there, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
