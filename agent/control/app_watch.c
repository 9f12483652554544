#include "agent/control/app_watch.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#define OUR_FD 3
#define TEXT_MAX 4096
#define PROCESSES_MAX 65536
// An application that does next to nothing is not to be missed: one that prints a word has ended
// after 50 ms. A look is some 20 system calls; afterwards there is time.
#define LOOK_FIRST_MS 5
#define LOOK_EVERY_MS 250

// Of those that a service manager or a terminal sends to every process of the agent.
static const int SIGNALS[] = {SIGHUP, SIGINT, SIGTERM, SIGUSR2};

// --- looking
// --------------------------------------------------------------------------------------------

// "" for what cannot be read: the process is gone.
static void read_text(int proc, const char *process, const char *name, char out[TEXT_MAX]) {
    char path[NAME_MAX + 32];
    (void)snprintf(path, sizeof(path), "%s/%s", process, name);
    int fd = openat(proc, path, O_RDONLY | O_CLOEXEC);
    ssize_t len = fd < 0 ? 0 : read(fd, out, TEXT_MAX - 1);
    out[len > 0 ? len : 0] = '\0';
    if (fd >= 0) {
        close(fd);
    }
}

static bool is_dead(int proc, const char *process) {
    char text[TEXT_MAX];
    read_text(proc, process, "stat", text);
    const char *end = strrchr(text, ')'); // the name before it may hold anything
    return end == NULL || end[1] == '\0' || strchr("ZXx", end[2]) != NULL;
}

// Of one look.
struct look {
    const struct app_watch *watch;
    int proc;
    char own_group[TEXT_MAX]; // "": control groups do not tell containers apart
};

static bool is_application(const struct look *look, const char *process) {
    char group[TEXT_MAX];
    struct stat st;
    if (!isdigit((unsigned char)process[0]) || strcmp(process, "1") == 0 ||
        fstatat(look->proc, process, &st, 0) != 0 || st.st_uid == look->watch->own_uid ||
        is_dead(look->proc, process)) {
        return false;
    }
    read_text(look->proc, process, "cgroup", group);
    return look->own_group[0] == '\0' || strcmp(group, look->own_group) != 0;
}

static bool runs(const struct app_watch *watch) {
    DIR *proc = opendir(watch->proc);
    if (proc == NULL) {
        return watch->was_seen; // nothing is known, so nothing has changed
    }
    struct look look = {.watch = watch, .proc = dirfd(proc)};
    char first[TEXT_MAX];
    read_text(look.proc, "1", "cgroup", first);
    read_text(look.proc, "self", "cgroup", look.own_group);
    if (strcmp(first, look.own_group) == 0) {
        look.own_group[0] = '\0';
    }
    bool found = false;
    const struct dirent *entry;
    for (unsigned i = 0; !found && i < PROCESSES_MAX && (entry = readdir(proc)) != NULL; i++) {
        found = is_application(&look, entry->d_name);
    }
    closedir(proc);
    return found;
}

enum app_watch_state app_watch_look(struct app_watch *watch) {
    bool found = runs(watch);
    watch->hits = found ? watch->hits + 1 : 0;
    watch->was_seen = watch->was_seen || watch->hits >= APP_WATCH_HITS;
    watch->misses = found ? 0 : watch->misses + 1;
    if (!watch->was_seen) {
        return APP_WATCH_NOT_YET;
    }
    return watch->misses >= APP_WATCH_MISSES ? APP_WATCH_ENDED : APP_WATCH_RUNS;
}

// --- the process
// ----------------------------------------------------------------------------------------

static _Noreturn void serve(struct app_watch watch) {
    struct pollfd agent = {.fd = OUR_FD};
    enum app_watch_state state = APP_WATCH_NOT_YET;
    while (state != APP_WATCH_ENDED) {
        int num = poll(&agent, 1, watch.was_seen ? LOOK_EVERY_MS : LOOK_FIRST_MS);
        if (num > 0 || (num < 0 && errno != EINTR)) {
            _exit(0); // the agent has hung up
        }
        state = app_watch_look(&watch);
    }
    (void)send(OUR_FD, "e", 1, MSG_NOSIGNAL);
    _exit(0);
}

// Nothing that the agent holds may stay open here, least of all its listeners.
static _Noreturn void become_watcher(int fd, const struct app_watch *watch) {
    if (dup2(fd, OUR_FD) != OUR_FD) {
        _exit(1);
    }
    (void)close_range(OUR_FD + 1, ~0U, 0);
    (void)prctl(PR_SET_NAME, "pavise-watcher");
    for (size_t i = 0; i < sizeof(SIGNALS) / sizeof(SIGNALS[0]); i++) {
        signal(SIGNALS[i], SIG_IGN);
    }
    serve(*watch);
}

int app_watch_start(const struct app_watch *watch) {
    int pair[2];
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) != 0) {
        return -1;
    }
    pid_t pid = fork();
    if (pid == 0) {
        become_watcher(pair[1], watch);
    }
    int errnum = errno;
    close(pair[1]);
    if (pid < 0) {
        close(pair[0]);
        errno = errnum;
        return -1;
    }
    return pair[0];
}
