// kill -9 at every step of writing a store: what applications see is the old store or the new one,
// whole, and the next writer neither stumbles nor leaves anything behind. The library is built with
// TRUST_FAULTS for this.
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "certmgr/trust/trust_store.h"
#include "tests/certmgr/scratch_dir.h"
#include "tests/trust/store_check.h"

#define STEPS_MAX 1000

void trust_fault_point(void);

// In a child only: how many points are left until the end; negative: none.
static const char left_variable[] = "PAVISE_TRUST_POINTS_LEFT";

void trust_fault_point(void) {
    const char *left = getenv(left_variable);
    if (left == NULL) {
        return;
    }
    int number = atoi(left);
    if (number == 0) {
        kill(getpid(), SIGKILL);
    }
    char text[16];
    (void)snprintf(text, sizeof(text), "%d", number - 1);
    setenv(left_variable, text, 1);
}

// Whether a child that dies at point `step` got to its end before.
static bool write_in_child(const char *output, const struct trust_files *files, int step) {
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        struct trust_store_state state;
        struct err err = {0};
        bool changed;
        char text[16];
        (void)snprintf(text, sizeof(text), "%d", step);
        setenv(left_variable, text, 1);
        _exit(trust_store_write(output, files, &state, &changed, &err) ? 0 : 1);
    }
    int status = 0;
    assert_int_equal(waitpid(child, &status, 0), child);
    if (WIFSIGNALED(status)) {
        assert_int_equal(WTERMSIG(status), SIGKILL);
        return false;
    }
    assert_int_equal(WEXITSTATUS(status), 0);
    return true;
}

static void expect_write(const char *output, const struct trust_files *files) {
    struct trust_store_state state;
    struct err err = {0};
    bool changed;
    if (!trust_store_write(output, files, &state, &changed, &err)) {
        fail_msg("%s", err.msg);
    }
    assert_true(store_check_is(output, files));
}

static void replacing_a_store(void **state) {
    struct scratch_dir *dir = *state;
    struct scratch_path output = scratch_dir_path(dir, "out");
    struct trust_files before = {0}, after = {0};
    store_check_make(&before, "before");
    store_check_make(&after, "after");
    int num_old = 0, num_new = 0;
    bool ended = false;
    for (int step = 0; !ended; step++) {
        assert_true(step < STEPS_MAX);
        expect_write(output.text, &before);
        ended = write_in_child(output.text, &after, step);
        bool is_old = store_check_is(output.text, &before);
        bool is_new = store_check_is(output.text, &after);
        assert_true(is_old != is_new);
        assert_true(!ended || is_new);
        num_old += is_old;
        num_new += is_new;
        expect_write(output.text, &after);
        assert_true(store_check_num_generations(output.text) <= 2);
    }
    assert_true(num_old > 10); // directories, each file, the links, the new link
    assert_true(num_new >= 2); // after the rename, and at the end
    trust_files_fini(&before);
    trust_files_fini(&after);
}

// Nothing is visible, or all is.
static void the_first_store(void **state) {
    struct scratch_dir *dir = *state;
    struct trust_files files = {0};
    store_check_make(&files, "first");
    bool ended = false;
    for (int step = 0; !ended; step++) {
        char name[32];
        assert_true(step < STEPS_MAX);
        (void)snprintf(name, sizeof(name), "first%d", step);
        struct scratch_path output = scratch_dir_path(dir, name);
        ended = write_in_child(output.text, &files, step);
        bool is_whole = store_check_is(output.text, &files);
        for (size_t i = 0; i < files.num && !is_whole; i++) {
            char path[SCRATCH_PATH_MAX + 64];
            (void)snprintf(path, sizeof(path), "%s/%s", output.text, files.items[i].path);
            assert_int_not_equal(access(path, F_OK), 0);
        }
        assert_true(!ended || is_whole);
        expect_write(output.text, &files);
        assert_true(store_check_num_generations(output.text) <= 1);
    }
    trust_files_fini(&files);
}

static int set_up(void **state) {
    static struct scratch_dir dir;
    scratch_dir_init(&dir);
    *state = &dir;
    return 0;
}

static int tear_down(void **state) {
    scratch_dir_fini(*state);
    return 0;
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(replacing_a_store, set_up, tear_down),
        cmocka_unit_test_setup_teardown(the_first_store, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
