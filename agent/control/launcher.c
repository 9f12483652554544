#include "agent/control/launcher.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#define OUR_FD 3
#define PATH_LEN_MAX 4096

static const char TAKE_OVER[] = "--take-over";

// Of those that a service manager or a terminal sends to every process of the agent.
static const int SIGNALS[] = {SIGHUP, SIGINT, SIGTERM, SIGUSR2};

static void each_signal(void (*handler)(int)) {
    for (size_t i = 0; i < sizeof(SIGNALS) / sizeof(SIGNALS[0]); i++) {
        signal(SIGNALS[i], handler);
    }
}

// The file's name as it was: whatever is there now is the upgrade.
static _Noreturn void execute(const char *path, char **words) {
    each_signal(SIG_DFL);
    unsetenv("WATCHDOG_PID"); // the successor is to be watched in its predecessor's place
    execv(path, words);
    fprintf(stderr, "pavise agent: cannot execute %s: %s\n", path, strerror(errno));
    _exit(127);
}

// Waits until the successor has ended or the agent hangs up. False: it hung up.
static bool watch(int fd, pid_t pid) {
    struct launcher_report report = {.pid = pid};
    int pidfd = pidfd_open(pid, 0);
    struct pollfd both[] = {{.fd = fd, .events = 0}, {.fd = pidfd, .events = POLLIN}};
    while (poll(both, 2, -1) < 0 || (both[0].revents | both[1].revents) == 0) {
    }
    close(pidfd);
    if (both[0].revents != 0) {
        return false;
    }
    return waitpid(pid, &report.status, 0) == pid &&
           send(fd, &report, sizeof(report), MSG_NOSIGNAL) == (ssize_t)sizeof(report);
}

static _Noreturn void serve(int fd, const char *path, char **words) {
    char wish;
    while (recv(fd, &wish, 1, 0) == 1) {
        pid_t pid = fork();
        if (pid == 0) {
            close(fd);
            execute(path, words);
        }
        if (pid > 0 && !watch(fd, pid)) {
            break;
        }
    }
    _exit(0);
}

// argv and --take-over, unless it is there already.
static char **successor_words(int argc, char **argv, char *path) {
    char **words = calloc((size_t)argc + 3, sizeof(*words));
    bool said = false;
    if (words == NULL) {
        return NULL;
    }
    words[0] = path;
    for (int i = 0; i < argc; i++) {
        words[i + 1] = argv[i];
        said = said || strcmp(argv[i], TAKE_OVER) == 0;
    }
    words[argc + 1] = said ? NULL : strdup(TAKE_OVER);
    return words;
}

// In the launcher: nothing that the agent holds may stay open here, least of all its listeners.
static _Noreturn void become_launcher(int fd, int argc, char **argv) {
    char path[PATH_LEN_MAX];
    ssize_t len = readlink("/proc/self/exe", path, sizeof(path) - 1);
    path[len > 0 ? len : 0] = '\0';
    char **words = successor_words(argc, argv, path);
    if (len <= 0 || words == NULL || dup2(fd, OUR_FD) != OUR_FD) {
        _exit(1);
    }
    (void)close_range(OUR_FD + 1, ~0U, 0);
    (void)prctl(PR_SET_NAME, "pavise-launcher");
    each_signal(SIG_IGN);
    serve(OUR_FD, path, words);
}

struct launcher launcher_start(int argc, char **argv) {
    struct launcher none = {.fd = -1, .pidfd = -1};
    int pair[2];
    if (getpid() == 1 || socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) != 0) {
        return none;
    }
    pid_t pid = fork();
    if (pid == 0) {
        become_launcher(pair[1], argc, argv);
    }
    close(pair[1]);
    if (pid < 0) {
        close(pair[0]);
        return none;
    }
    return (struct launcher){.fd = pair[0], .pidfd = pidfd_open(pid, 0)};
}
