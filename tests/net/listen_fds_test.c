#include "agent/net/listen_fds.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "agent/net/socket.h"

static void test_whose_and_how_many(void **state) {
    (void)state;
    unsigned num = 9;
    assert_true(listen_fds_parse(&(struct listen_fds_env){0}, 17, &num, NULL));
    assert_int_equal(num, 0);
    assert_true(listen_fds_parse(&(struct listen_fds_env){"17", "2", NULL}, 17, &num, NULL));
    assert_int_equal(num, 2);
    // Inherited from a parent: not for this process.
    assert_true(listen_fds_parse(&(struct listen_fds_env){"16", "2", NULL}, 17, &num, NULL));
    assert_int_equal(num, 0);
    assert_true(listen_fds_parse(&(struct listen_fds_env){"16", "x", NULL}, 17, &num, NULL));
}

static void test_nonsense_is_said(void **state) {
    (void)state;
    static const struct listen_fds_env ENVS[] = {
        {NULL, "1", NULL},
        {"", "1", NULL},
        {"x", "1", NULL},
        {"17x", "1", NULL},
        {"-17", "1", NULL},
        {" 17", "1", NULL},
        {"17", NULL, NULL},
        {"17", "", NULL},
        {"17", "-1", NULL},
        {"17", "1 ", NULL},
        {"17", "1025", NULL},
        {"17", "99999999999999999999", NULL},
        {"99999999999999999999", "1", NULL},
    };
    for (size_t i = 0; i < sizeof(ENVS) / sizeof(ENVS[0]); i++) {
        struct err err = {0};
        unsigned num = 9;
        assert_false(listen_fds_parse(&ENVS[i], 17, &num, &err));
        assert_int_equal(err.class, ERR_ENVIRONMENT);
        assert_non_null(strstr(err.msg, "LISTEN_"));
        assert_int_equal(num, 0);
    }
}

static void test_names(void **state) {
    (void)state;
    static const struct {
        const char *names;
        unsigned i;
        const char *want;
    } CASES[] = {
        {"a:bc:d", 0, "a"},  {"a:bc:d", 1, "bc"},
        {"a:bc:d", 2, "d"},  {"a:bc:d", 3, "unknown"},
        {"a", 7, "unknown"}, {NULL, 0, "unknown"},
        {"", 0, "unknown"},  {"::c", 1, "unknown"},
        {"::c", 2, "c"},     {"longer-than-it", 0, "longer-"},
    };
    for (size_t i = 0; i < sizeof(CASES) / sizeof(CASES[0]); i++) {
        char name[8];
        listen_fds_name(CASES[i].names, CASES[i].i, name, sizeof(name));
        assert_string_equal(name, CASES[i].want);
    }
}

// As systemd starts it: the sockets from 3 on, the variables in the environment.
static void test_takes_and_forgets(void **state) {
    (void)state;
    struct netaddr at = {.family = NETADDR_V4, .ip = {127, 0, 0, 1}};
    int fd = socket_listen(&at, false, NULL);
    assert_true(socket_local_address(fd, &at));
    if (fd != LISTEN_FDS_FIRST) {
        assert_int_equal(dup2(fd, LISTEN_FDS_FIRST), LISTEN_FDS_FIRST);
        socket_close(fd);
    }
    char pid[32];
    snprintf(pid, sizeof(pid), "%d", getpid());
    setenv("LISTEN_PID", pid, 1);
    setenv("LISTEN_FDS", "1", 1);
    setenv("LISTEN_FDNAMES", "tunnel", 1);
    OWNED(handed_free) struct handed *handed = handed_new();
    struct err err = {0};
    assert_true(listen_fds_take(handed, &err));
    assert_int_equal(handed_num(handed), 1);
    assert_string_equal(handed_name(handed, 0), "tunnel");
    assert_true(netaddr_equal(handed_address(handed, 0), &at));
    assert_null(getenv("LISTEN_PID"));
    assert_null(getenv("LISTEN_FDS"));
    assert_null(getenv("LISTEN_FDNAMES"));
    assert_true(listen_fds_take(handed, &err)); // nothing is left to take
    assert_int_equal(handed_num(handed), 1);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_whose_and_how_many),
        cmocka_unit_test(test_nonsense_is_said),
        cmocka_unit_test(test_names),
        cmocka_unit_test(test_takes_and_forgets),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
