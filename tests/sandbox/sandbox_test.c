#include "agent/sandbox/sandbox.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cmocka.h>

#include "tests/sandbox/child.h"
#include "tests/sandbox/place.h"

static struct sandbox *enter(const char *text, struct err *err) {
    struct config *config = config_parse("test", span_of_text(text), NULL, NULL);
    struct sandbox *sandbox = sandbox_enter(config, place_path("etc/agent.yaml").text, err);
    config_unref(config);
    return sandbox;
}

static bool can_read(const char *name) {
    int fd = open(place_path(name).text, O_RDONLY | O_CLOEXEC);
    return fd >= 0 && close(fd) == 0;
}

// Refuses one system call before the sandbox is entered, as a container or an old kernel does.
static bool lose(int number, int errnum) {
    struct sock_filter code[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (unsigned)number, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | (unsigned)errnum),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    const struct sock_fprog program = {.len = 4, .filter = code};
    return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
           prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program, 0, 0) == 0;
}

static int all_layers(void *arg) {
    (void)arg;
    struct err err = {0};
    struct sandbox *sandbox = enter("sandbox: required", &err);
    if (sandbox == NULL) {
        fprintf(stderr, "%s\n", err.msg);
        return 1;
    }
    for (int i = 0; i < SANDBOX_LAYERS; i++) {
        if (!sandbox->layers[i].is_on || sandbox->layers[i].errnum != 0) {
            return 2;
        }
    }
    return can_read("etc/agent.yaml") && !can_read("outside/file") &&
                   socket(AF_PACKET, SOCK_RAW, 0) < 0 && errno == EPERM
               ? 0
               : 3;
}

static void test_all_layers(void **state) {
    (void)state;
    assert_int_equal(child_run(all_layers, NULL), 0);
}

static int off(void *arg) {
    (void)arg;
    struct err err = {0};
    struct sandbox *sandbox = enter("sandbox: off", &err);
    for (int i = 0; sandbox != NULL && i < SANDBOX_LAYERS; i++) {
        if (sandbox->layers[i].is_on) {
            return 1;
        }
    }
    return sandbox != NULL && can_read("outside/file") &&
                   prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 0 &&
                   sandbox_admits(sandbox, NULL, "/nowhere/at/all", &err)
               ? 0
               : 2;
}

static void test_off(void **state) {
    (void)state;
    assert_int_equal(child_run(off, NULL), 0);
}

static int required_without_landlock(void *arg) {
    (void)arg;
    struct err err = {0};
    if (!lose(SYS_landlock_create_ruleset, ENOSYS) || enter("sandbox: required", &err) != NULL) {
        return 1;
    }
    return err_exit_code(&err) == 3 &&
                   strcmp(err.msg, "sandbox: required, but the layer landlock cannot be had here "
                                   "(ENOSYS): Function not implemented") == 0
               ? 0
               : 2;
}

static int best_effort_without_landlock(void *arg) {
    (void)arg;
    struct err err = {0};
    struct sandbox *sandbox = NULL;
    if (!lose(SYS_landlock_create_ruleset, EOPNOTSUPP) ||
        (sandbox = enter("sandbox: best-effort", &err)) == NULL) {
        return 1;
    }
    return !sandbox->layers[SANDBOX_LANDLOCK].is_on &&
                   sandbox->layers[SANDBOX_LANDLOCK].errnum == EOPNOTSUPP &&
                   sandbox->layers[SANDBOX_SECCOMP].is_on &&
                   sandbox->layers[SANDBOX_CAPABILITIES].is_on && can_read("outside/file") &&
                   socket(AF_PACKET, SOCK_RAW, 0) < 0 &&
                   sandbox_admits(sandbox, NULL, "/nowhere/at/all", &err)
               ? 0
               : 2;
}

static int required_without_seccomp(void *arg) {
    (void)arg;
    struct err err = {0};
    if (!lose(SYS_seccomp, EINVAL) || enter("sandbox: required", &err) != NULL) {
        return 1;
    }
    return strstr(err.msg, "the layer seccomp cannot be had here (EINVAL)") != NULL ? 0 : 2;
}

static void test_a_layer_is_missing(void **state) {
    (void)state;
    assert_int_equal(child_run(required_without_landlock, NULL), 0);
    assert_int_equal(child_run(best_effort_without_landlock, NULL), 0);
    assert_int_equal(child_run(required_without_seccomp, NULL), 0);
}

static int admits(void *arg) {
    (void)arg;
    struct err err = {0};
    char text[512];
    const char *file = place_path("etc/agent.yaml").text;
    struct sandbox *sandbox = enter("", &err);
    if (sandbox == NULL || !sandbox_admits(sandbox, NULL, file, &err)) {
        return 1;
    }
    (void)snprintf(text, sizeof(text), "trustStore: {sources: ['%s/outside/file'], output: '%s'}",
                   place()->path, place_path("out").text);
    struct config *config = config_parse("test", span_of_text(text), NULL, NULL);
    if (config == NULL || sandbox_admits(sandbox, config, file, &err)) {
        return 2;
    }
    config_unref(config);
    return strncmp(err.msg, "trustStore.sources[0]: ", 23) == 0 &&
                   strstr(err.msg, "/outside is not among the directories") != NULL
               ? 0
               : 3;
}

static void test_a_later_configuration(void **state) {
    (void)state;
    assert_int_equal(child_run(admits, NULL), 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_all_layers, place_set_up, place_tear_down),
        cmocka_unit_test_setup_teardown(test_off, place_set_up, place_tear_down),
        cmocka_unit_test_setup_teardown(test_a_layer_is_missing, place_set_up, place_tear_down),
        cmocka_unit_test_setup_teardown(test_a_later_configuration, place_set_up, place_tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
