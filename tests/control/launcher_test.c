// The launcher executes this very program again: as a successor it is told apart by its words.
#include "agent/control/launcher.h"

#include <fcntl.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#define CODE_OK 42

static int ask(struct launcher launcher, struct launcher_report *report) {
    char wish = 'u';
    assert_int_equal(send(launcher.fd, &wish, 1, MSG_NOSIGNAL), 1);
    return (int)recv(launcher.fd, report, sizeof(*report), 0);
}

// It ends when it is hung up on, and that can be seen.
static void end(struct launcher launcher) {
    struct pollfd ended = {.fd = launcher.pidfd, .events = POLLIN};
    assert_int_equal(poll(&ended, 1, 0), 0);
    close(launcher.fd);
    assert_int_equal(poll(&ended, 1, 10000), 1);
    close(launcher.pidfd);
}

static void test_starts_one_and_says_how_it_ended(void **state) {
    (void)state;
    char *words[] = {"agent", "--config", "x", NULL};
    struct launcher launcher = launcher_start(3, words);
    assert_true(launcher.fd >= 0 && launcher.pidfd >= 0);
    for (int i = 0; i < 2; i++) { // as often as one is asked for
        struct launcher_report report = {0};
        assert_int_equal(ask(launcher, &report), sizeof(report));
        assert_true(report.pid > 0 && report.pid != getpid());
        assert_true(WIFEXITED(report.status));
        assert_int_equal(WEXITSTATUS(report.status), CODE_OK);
    }
    end(launcher);
}

static void test_says_it_once(void **state) {
    (void)state;
    char *words[] = {"agent", "--config", "x", "--take-over", NULL};
    struct launcher launcher = launcher_start(4, words);
    struct launcher_report report = {0};
    assert_int_equal(ask(launcher, &report), sizeof(report));
    assert_int_equal(WEXITSTATUS(report.status), CODE_OK);
    end(launcher);
}

// What the agent holds open must be closed when the agent closes it.
static void test_holds_nothing_open(void **state) {
    (void)state;
    int ends[2];
    char byte;
    assert_int_equal(pipe(ends), 0);
    char *words[] = {"agent", NULL};
    struct launcher launcher = launcher_start(1, words);
    struct launcher_report report = {0};
    assert_int_equal(ask(launcher, &report), sizeof(report)); // it is beyond its own start
    assert_int_not_equal(WEXITSTATUS(report.status), CODE_OK);
    close(ends[1]);
    assert_int_equal(read(ends[0], &byte, 1), 0);
    close(ends[0]);
    end(launcher);
}

static int be_successor(int argc, char **argv) {
    int have = 0;
    for (int i = 0; i < argc; i++) {
        have += strcmp(argv[i], "--take-over") == 0;
    }
    return argc == 5 && have == 1 && fcntl(3, F_GETFD) < 0 && strcmp(argv[2], "--config") == 0
               ? CODE_OK
               : 1;
}

int main(int argc, char **argv) {
    if (argc > 1 && strcmp(argv[1], "agent") == 0) {
        return be_successor(argc, argv);
    }
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_starts_one_and_says_how_it_ended),
        cmocka_unit_test(test_says_it_once),
        cmocka_unit_test(test_holds_nothing_open),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
