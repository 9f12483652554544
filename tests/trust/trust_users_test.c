// Who uses the store, from a /proc made for the test.
#include "agent/trust/trust_users.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/buf.h"
#include "base/clock.h"
#include "tests/certmgr/scratch_dir.h"

// A process that started `started_s` seconds after the boot.
static void put_process(const struct scratch_dir *dir, const char *pid, const char *environment,
                        size_t environment_len, long started_s) {
    char name[64], text[256];
    scratch_dir_make(dir, pid);
    (void)snprintf(name, sizeof(name), "%s/environ", pid);
    scratch_dir_rewrite(dir, name, span_of(environment, environment_len));
    (void)snprintf(name, sizeof(name), "%s/stat", pid);
    (void)snprintf(text, sizeof(text),
                   "%s (a) (b) S 1 1 1 0 -1 4194560 1 0 0 0 0 0 0 0 20 0 1 0 %ld 1 1\n", pid,
                   started_s * sysconf(_SC_CLK_TCK));
    scratch_dir_rewrite(dir, name, span_of_text(text));
}

#define PUT(dir, pid, environment, started)                                                        \
    put_process((dir), (pid), (environment), sizeof(environment) - 1, (started))

static int64_t booted_ms(void) {
    struct timespec since;
    clock_gettime(CLOCK_BOOTTIME, &since);
    return clock_wall_ms() - since.tv_sec * 1000 - since.tv_nsec / 1000000;
}

static const struct trust_process_view *find(const struct trust_view *view, int pid) {
    for (size_t i = 0; i < view->num_processes; i++) {
        if (view->processes[i].pid == pid) {
            return &view->processes[i];
        }
    }
    return NULL;
}

static void those_whose_environment_names_it(void **state) {
    struct scratch_dir *dir = *state;
    struct trust_view view = {.written_ms = booted_ms() + 5000};
    (void)snprintf(view.output, sizeof(view.output), "/run/trust");
    PUT(dir, "100", "A=b\0SSL_CERT_FILE=/run/trust/ca-bundle.pem\0", 2);
    PUT(dir, "101", "SSL_CERT_DIR=/etc/ssl/certs:/run/trust/certs", 8);
    PUT(dir, "102", "SSL_CERT_FILE=/run/trust2/ca-bundle.pem\0X=/run/trust\0", 2);
    PUT(dir, "103", "", 2);
    scratch_dir_make(dir, "self");
    scratch_dir_make(dir, "104"); // without files: it has just ended
    assert_true(trust_users_find(dir->path, &view));
    assert_int_equal(view.num_processes, 2);
    assert_string_equal(find(&view, 100)->command, "a) (b");
    assert_true(find(&view, 100)->needs_restart);
    assert_false(find(&view, 101)->needs_restart);
    assert_int_equal(trust_view_num_stale(&view), 1);
    assert_int_equal(view.num_unreadable, 0);
    trust_view_fini(&view);
}

static void broken_files(void **state) {
    struct scratch_dir *dir = *state;
    struct trust_view view = {0};
    (void)snprintf(view.output, sizeof(view.output), "/run/trust");
    PUT(dir, "200", "A=/run/trust/env\0", 2);
    scratch_dir_rewrite(dir, "200/stat", span_of_text("200 (x) S 1 2"));
    PUT(dir, "201", "A=/run/trust/env\0", 2);
    scratch_dir_rewrite(dir, "201/stat", span_of_text(")("));
    assert_true(trust_users_find(dir->path, &view));
    assert_int_equal(view.num_processes, 0);
    assert_true(trust_users_find("/nonexistent", &view));
    trust_view_fini(&view);
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
        cmocka_unit_test_setup_teardown(those_whose_environment_names_it, set_up, tear_down),
        cmocka_unit_test_setup_teardown(broken_files, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
