#include "tests/authority/authority_process.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/check.h"
#include "base/clock.h"

#define LOG_MAX 65536

static void sleep_ms(long ms) {
    struct timespec pause = {.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000};
    (void)nanosleep(&pause, NULL);
}

void authority_process_init(struct authority_process *process) {
    temp_dir_init(&process->dir);
    temp_dir_path(&process->dir, "s", process->socket_path);
    temp_dir_path(&process->dir, "log", process->log_path);
    (void)snprintf(process->target, sizeof(process->target), "unix://%s", process->socket_path);
    process->pid = 0;
}

static void become(uid_t uid) {
    CHECK(setgid(uid) == 0 && setuid(uid) == 0);
    // As this user LeakSanitizer cannot look into a process that is not dumpable.
    CHECK(setenv("ASAN_OPTIONS", "detect_leaks=0", 1) == 0);
}

void authority_process_spawn(struct authority_process *process, const char *const *args,
                             uid_t uid) {
    const char *program = getenv("AUTHORITY_PROGRAM"); // relative to the test's directory
    const char *argv[AUTHORITY_ARGS_MAX + 6] = {"authority", "--socket", process->socket_path,
                                                "--trust-domain", "example.org"};
    size_t num = 5;
    CHECK(program != NULL && process->pid == 0);
    for (; args != NULL && *args != NULL; args++) {
        CHECK(num < AUTHORITY_ARGS_MAX + 5);
        argv[num++] = *args;
    }
    process->pid = fork();
    CHECK(process->pid >= 0);
    if (process->pid == 0) {
        int log = open(process->log_path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
        CHECK(log >= 0 && dup2(log, STDERR_FILENO) == STDERR_FILENO);
        // Opened as root: the build's folders may be closed to the other user.
        int file = open(program, O_PATH | O_CLOEXEC);
        CHECK(file >= 0);
        if (uid != 0) {
            become(uid);
        }
        (void)fexecve(file, (char *const *)(void *)argv, environ);
        _exit(127);
    }
}

static int try_connect(const struct authority_process *process) {
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    memcpy(address.sun_path, process->socket_path, strlen(process->socket_path) + 1);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    CHECK(fd >= 0);
    if (connect(fd, (const struct sockaddr *)&address, sizeof(address)) != 0) {
        (void)close(fd);
        return -1;
    }
    return fd;
}

void authority_process_wait_ready(struct authority_process *process) {
    int64_t until = clock_mono_ms() + AUTHORITY_WAIT_MS;
    int fd = -1;
    while ((fd = try_connect(process)) < 0) {
        CHECK(clock_mono_ms() < until);
        CHECK(waitpid(process->pid, NULL, WNOHANG) == 0);
        sleep_ms(5);
    }
    (void)close(fd);
}

void authority_process_start(struct authority_process *process, const char *const *args) {
    authority_process_spawn(process, args, 0);
    authority_process_wait_ready(process);
}

int authority_process_end(struct authority_process *process, int signum) {
    int status = 0;
    CHECK(process->pid > 0);
    if (signum != 0) {
        CHECK(kill(process->pid, signum) == 0);
    }
    while (waitpid(process->pid, &status, 0) < 0) {
        CHECK(errno == EINTR);
    }
    process->pid = 0;
    return WIFEXITED(status) ? WEXITSTATUS(status) : 1000 + WTERMSIG(status);
}

static size_t read_log(const struct authority_process *process, char *out, size_t max) {
    size_t len = 0;
    FILE *log = fopen(process->log_path, "r");
    if (log != NULL) {
        len = fread(out, 1, max - 1, log);
        (void)fclose(log);
    }
    out[len] = '\0';
    return len;
}

void authority_process_wait_log(const struct authority_process *process, const char *text,
                                size_t times) {
    int64_t until = clock_mono_ms() + AUTHORITY_WAIT_MS;
    for (;;) {
        char log[LOG_MAX];
        size_t seen = 0;
        (void)read_log(process, log, sizeof(log));
        for (const char *at = log; (at = strstr(at, text)) != NULL; at++) {
            seen++;
        }
        if (seen >= times) {
            return;
        }
        if (clock_mono_ms() >= until) {
            (void)fprintf(stderr, "no \"%s\" in the log:\n%s", text, log);
        }
        CHECK(clock_mono_ms() < until);
        sleep_ms(5);
    }
}

void authority_process_fini(struct authority_process *process) {
    if (process->pid > 0) {
        (void)authority_process_end(process, SIGKILL);
    }
    char log[LOG_MAX];
    (void)read_log(process, log, sizeof(log));
    (void)fprintf(stderr, "%s", log);
    temp_dir_fini(&process->dir);
}

int authority_process_connect(const struct authority_process *process) {
    int fd = try_connect(process);
    CHECK(fd >= 0);
    return fd;
}

int authority_process_num_fds(const struct authority_process *process) {
    char path[64];
    int num = 0;
    (void)snprintf(path, sizeof(path), "/proc/%d/fd", (int)process->pid);
    DIR *dir = opendir(path);
    if (dir == NULL) {
        return -1;
    }
    while (readdir(dir) != NULL) {
        num++;
    }
    (void)closedir(dir);
    return num - 2;
}
