#include "agent/command/hold.h"

#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

enum { LOOKS_MAX = 3000, LOOK_EVERY_US = 10000 };

static bool status_says(pid_t pid, const char *wanted) {
    char path[64];
    char line[256];
    bool found = false;
    snprintf(path, sizeof(path), "/proc/%d/status", (int)pid);
    FILE *status = fopen(path, "re");
    while (status != NULL && !found && fgets(line, sizeof(line), status) != NULL) {
        found = strcmp(line, wanted) == 0;
    }
    if (status != NULL) {
        fclose(status);
    }
    return found;
}

static bool becomes(pid_t pid, const char *wanted) {
    for (int i = 0; i < LOOKS_MAX; i++) {
        if (status_says(pid, wanted)) {
            return true;
        }
        usleep(LOOK_EVERY_US);
    }
    return false;
}

static bool disappears(pid_t pid) {
    char path[64];
    struct stat st;
    snprintf(path, sizeof(path), "/proc/%d", (int)pid);
    for (int i = 0; i < LOOKS_MAX; i++) {
        if (stat(path, &st) != 0) {
            return true;
        }
        usleep(LOOK_EVERY_US);
    }
    return false;
}

struct ends {
    int child[2];   // the holder's child says its process id
    int release[2]; // and ends when this is closed
};

static _Noreturn void hold(const struct ends *ends) {
    struct err err = {0};
    close(ends->release[1]);
    pid_t pid = fork();
    if (pid == 0) {
        char word;
        (void)!read(ends->release[0], &word, 1);
        _exit(0);
    }
    (void)!write(ends->child[1], &pid, sizeof(pid));
    _exit(hold_until_told(&err) ? 0 : 1);
}

static void test_holds_without_privileges_until_told(void **state) {
    (void)state;
    struct ends ends;
    pid_t child = 0;
    int status = 0;
    assert_int_equal(pipe2(ends.child, O_CLOEXEC) | pipe2(ends.release, O_CLOEXEC), 0);
    pid_t holder = fork();
    if (holder == 0) {
        hold(&ends);
    }
    assert_int_equal(read(ends.child[0], &child, sizeof(child)), sizeof(child));
    assert_true(becomes(holder, "NoNewPrivs:\t1\n"));
    assert_true(status_says(holder, "CapEff:\t0000000000000000\n"));
    assert_true(status_says(holder, "CapPrm:\t0000000000000000\n"));
    close(ends.release[0]);
    close(ends.release[1]);
    assert_true(disappears(child)); // nobody stays a zombie
    assert_int_equal(waitpid(holder, &status, WNOHANG), 0);
    assert_int_equal(kill(holder, SIGTERM), 0);
    assert_int_equal(waitpid(holder, &status, 0), holder);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    close(ends.child[0]);
    close(ends.child[1]);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_holds_without_privileges_until_told)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
