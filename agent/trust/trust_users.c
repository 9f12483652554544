#include "agent/trust/trust_users.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/text.h"

#define ENVIRONMENT_MAX ((size_t)256 * 1024) // bytes of one environment that are looked at
#define STAT_MAX 1024
#define START_TIME_FIELD 22 // proc(5), counted from 1
#define START_TIME_AFTER_NAME (START_TIME_FIELD - 2)

// One look at everybody.
struct search {
    int proc;
    struct trust_view *view;
    size_t cap;
    char *environment; // of ENVIRONMENT_MAX + 1
    int64_t boot_ms;   // wall clock
    int64_t tick_ms;
};

// Reads at most `max` bytes; -1 with errno on error.
static ssize_t read_some(int proc, const char *path, char *out, size_t max) {
    int fd = openat(proc, path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        return -1;
    }
    size_t len = 0;
    while (len < max) {
        ssize_t got = read(fd, out + len, max - len);
        if (got < 0 && errno == EINTR) {
            continue;
        }
        if (got <= 0) {
            break;
        }
        len += (size_t)got;
    }
    close(fd);
    return (ssize_t)len;
}

static bool names_store(const char *environment, size_t len, const char *output) {
    size_t output_len = strlen(output);
    const char *at = environment;
    const char *end = environment + len;
    while ((at = memmem(at, (size_t)(end - at), output, output_len)) != NULL) {
        at += output_len;
        if (at < end && *at == '/') {
            return true;
        }
    }
    return false;
}

// The text between the outermost parentheses, and the start time behind them.
static bool parse_stat(const struct search *search, char *text, struct trust_process_view *out) {
    char *name = strchr(text, '(');
    char *rest = strrchr(text, ')');
    if (name == NULL || rest == NULL || rest < name) {
        return false;
    }
    *rest++ = '\0';
    text_copy(out->command, sizeof(out->command), name + 1);
    for (int i = 0; i < START_TIME_AFTER_NAME; i++) {
        rest = strchr(rest, ' ');
        if (rest == NULL) {
            return false;
        }
        rest++;
    }
    int64_t ticks = strtoll(rest, NULL, 10);
    out->started_ms = search->boot_ms + ticks * search->tick_ms;
    // A start is known to the tick only.
    out->needs_restart = out->started_ms + search->tick_ms < search->view->written_ms;
    return true;
}

static bool add(struct search *search, const struct trust_process_view *found) {
    struct trust_view *view = search->view;
    if (view->num_processes == search->cap) {
        size_t cap = search->cap == 0 ? 16 : 2 * search->cap;
        struct trust_process_view *grown = reallocarray(view->processes, cap, sizeof(*grown));
        if (grown == NULL) {
            return false;
        }
        view->processes = grown;
        search->cap = cap;
    }
    view->processes[view->num_processes++] = *found;
    return true;
}

static bool look_at(struct search *search, const char *pid) {
    char path[64], text[STAT_MAX + 1];
    struct trust_process_view found = {.pid = atoi(pid)};
    (void)snprintf(path, sizeof(path), "%.20s/environ", pid);
    ssize_t len = read_some(search->proc, path, search->environment, ENVIRONMENT_MAX);
    if (len < 0) {
        search->view->num_unreadable += errno == EACCES || errno == EPERM;
        return true;
    }
    if (!names_store(search->environment, (size_t)len, search->view->output)) {
        return true;
    }
    (void)snprintf(path, sizeof(path), "%.20s/stat", pid);
    len = read_some(search->proc, path, text, STAT_MAX);
    if (len <= 0) {
        return true; // it has ended
    }
    text[len] = '\0';
    return !parse_stat(search, text, &found) || add(search, &found);
}

static bool look_at_all(struct search *search, DIR *stream) {
    bool ok = true;
    const struct dirent *entry;
    while (ok && search->view->num_processes < TRUST_USERS_MAX &&
           (entry = readdir(stream)) != NULL) {
        bool is_process = isdigit((unsigned char)entry->d_name[0]) != 0;
        ok = !is_process || atoi(entry->d_name) == getpid() || look_at(search, entry->d_name);
    }
    return ok;
}

static int64_t booted_ms(void) {
    struct timespec since;
    clock_gettime(CLOCK_BOOTTIME, &since);
    return clock_wall_ms() - (since.tv_sec * INT64_C(1000) + since.tv_nsec / 1000000);
}

bool trust_users_find(const char *proc, struct trust_view *view) {
    struct search search = {.view = view, .boot_ms = booted_ms()};
    long hz = sysconf(_SC_CLK_TCK);
    search.tick_ms = hz > 0 ? 1000 / hz : 10;
    if (view->output[0] == '\0') {
        return true;
    }
    DIR *stream = opendir(proc);
    if (stream == NULL) {
        return true; // nobody to be seen
    }
    search.proc = dirfd(stream);
    search.environment = malloc(ENVIRONMENT_MAX + 1);
    bool ok = search.environment != NULL && look_at_all(&search, stream);
    free(search.environment);
    (void)closedir(stream);
    return ok;
}
