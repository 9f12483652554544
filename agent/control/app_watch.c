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

#include "base/span.h"

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

static bool is_dead(const char *stat) {
    const char *end = strrchr(stat, ')'); // the name before it may hold anything
    return end == NULL || end[1] == '\0' || strchr("ZXx", end[2]) != NULL;
}

// A container runtime's process that becomes a container's first one, or is executed in one, and
// bears the runtime's name until then.
static bool is_of_runtime(const char *stat) {
    static const char *const NAMES[] = {"(runc", "(crun", "(youki", "(exe)"};
    const char *name = strchr(stat, '(');
    for (size_t i = 0; name != NULL && i < sizeof(NAMES) / sizeof(NAMES[0]); i++) {
        if (strncmp(name, NAMES[i], strlen(NAMES[i])) == 0) {
            return true;
        }
    }
    return false;
}

// Whether the last part of a line's path may be a container's: not a service (the runtime's own, in
// the same directory by systemd's naming), not its monitor.
static bool is_container(struct span line) {
    size_t at = line.len;
    while (at > 0 && line.ptr[at - 1] != '/') {
        at--;
    }
    struct span last = span_after(line, at);
    return memmem(last.ptr, last.len, ".service", strlen(".service")) == NULL &&
           memmem(last.ptr, last.len, "conmon", strlen("conmon")) == NULL;
}

// How long a line is without the last part of its path.
static size_t directory_len(struct span line) {
    const uint8_t *slash = memrchr(line.ptr, '/', line.len);
    return slash == NULL ? line.len : (size_t)(slash - line.ptr);
}

static struct span next_line(struct span *rest) {
    const uint8_t *end = memchr(rest->ptr, '\n', rest->len);
    size_t len = end == NULL ? rest->len : (size_t)(end - rest->ptr);
    struct span line = {rest->ptr, len};
    *rest = span_after(*rest, end == NULL ? len : len + 1);
    return line;
}

// Whether each control group of `group` lies beside that of `other`: containers of one pod or of
// one engine do, and a runtime's process does not before it is moved to its container.
static bool is_beside(const char *group, const char *other) {
    struct span left = span_of_text(group);
    struct span right = span_of_text(other);
    while (left.len > 0 && right.len > 0) {
        struct span a = next_line(&left);
        struct span b = next_line(&right);
        size_t len = directory_len(a);
        if (len != directory_len(b) || memcmp(a.ptr, b.ptr, len) != 0 || !is_container(a)) {
            return false;
        }
    }
    return left.len == right.len;
}

// Of one look.
struct look {
    const struct app_watch *watch;
    int proc;
    char own_group[TEXT_MAX];   // "": control groups do not tell containers apart
    char first_group[TEXT_MAX]; // of process 1
    bool first_is_ours;         // `pavise intercept up --hold`
};

static bool is_anothers(const struct look *look, const char *group, bool is_of_runtime) {
    if (look->own_group[0] == '\0') {
        return !is_of_runtime;
    }
    bool is_first = strcmp(group, look->first_group) == 0;
    return strcmp(group, look->own_group) != 0 && !(is_first && look->first_is_ours) &&
           (!is_of_runtime || is_beside(group, look->first_group));
}

static bool is_application(const struct look *look, const char *process) {
    char group[TEXT_MAX];
    char stat[TEXT_MAX];
    struct stat st;
    if (!isdigit((unsigned char)process[0]) || strcmp(process, "1") == 0 ||
        fstatat(look->proc, process, &st, 0) != 0 || st.st_uid == look->watch->own_uid) {
        return false;
    }
    // In this order: the dead are in no group of theirs any more.
    read_text(look->proc, process, "cgroup", group);
    read_text(look->proc, process, "stat", stat);
    return !is_dead(stat) && is_anothers(look, group, is_of_runtime(stat));
}

static bool runs(const struct app_watch *watch) {
    DIR *proc = opendir(watch->proc);
    if (proc == NULL) {
        return watch->was_seen; // nothing is known, so nothing has changed
    }
    struct look look = {.watch = watch, .proc = dirfd(proc)};
    read_text(look.proc, "1", "cgroup", look.first_group);
    read_text(look.proc, "self", "cgroup", look.own_group);
    char first[TEXT_MAX];
    read_text(look.proc, "1", "stat", first);
    look.first_is_ours = strstr(first, "(pavise)") != NULL;
    if (strcmp(look.first_group, look.own_group) == 0) {
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

// What a predecessor's watcher has seen. False: the agent has hung up.
static bool is_told(struct app_watch *watch) {
    char word = '\0';
    ssize_t len = recv(OUR_FD, &word, 1, MSG_DONTWAIT);
    watch->was_seen = watch->was_seen || (len == 1 && word == APP_WATCH_SAYS_SEEN);
    return len > 0 || (len < 0 && errno == EAGAIN);
}

static void say(char word) {
    (void)send(OUR_FD, &word, 1, MSG_NOSIGNAL);
}

static _Noreturn void serve(struct app_watch watch) {
    struct pollfd agent = {.fd = OUR_FD, .events = POLLIN};
    enum app_watch_state state = APP_WATCH_NOT_YET;
    bool has_said = false;
    while (state != APP_WATCH_ENDED) {
        int num = poll(&agent, 1, watch.was_seen ? LOOK_EVERY_MS : LOOK_FIRST_MS);
        if ((num < 0 && errno != EINTR) || (num > 0 && !is_told(&watch))) {
            _exit(0);
        }
        state = app_watch_look(&watch);
        if (watch.was_seen && !has_said) {
            has_said = true;
            say(APP_WATCH_SAYS_SEEN);
        }
    }
    say(APP_WATCH_SAYS_ENDED);
    _exit(0);
}

void app_watch_tell_seen(int fd) {
    const char word = APP_WATCH_SAYS_SEEN;
    (void)send(fd, &word, 1, MSG_NOSIGNAL | MSG_DONTWAIT);
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
