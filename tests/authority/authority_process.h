// The authority as a program, started and stopped by a test in a directory of its own.
#ifndef TESTS_AUTHORITY_AUTHORITY_PROCESS_H
#define TESTS_AUTHORITY_AUTHORITY_PROCESS_H

#include <sys/types.h>

#include "tests/authority/temp_dir.h"

#define AUTHORITY_ARGS_MAX 16
#define AUTHORITY_WAIT_MS 20000 // how long a test waits for what must come: only a hang reaches it

struct authority_process {
    struct temp_dir dir;
    char socket_path[TEMP_PATH_MAX];
    char target[TEMP_PATH_MAX + 8]; // "unix://..."
    char log_path[TEMP_PATH_MAX];   // its standard error
    pid_t pid;                      // 0: not running
};

// Makes the directory only.
void authority_process_init(struct authority_process *process);
// Starts `authority --socket S --trust-domain example.org ARGS...` (NULL-terminated) and waits
// until it listens. Fails the test when it ends instead.
void authority_process_start(struct authority_process *process, const char *const *args);
// The same without waiting, as another user when `uid` is not 0.
void authority_process_spawn(struct authority_process *process, const char *const *args, uid_t uid);
void authority_process_wait_ready(struct authority_process *process);
// Sends `signum` (0: none) and waits for the end: the exit code, or 1000 + the signal it died of.
int authority_process_end(struct authority_process *process, int signum);
// Kills it if it runs, shows its log and removes the directory.
void authority_process_fini(struct authority_process *process);

// Waits until its log has `text` at least `times` times.
void authority_process_wait_log(const struct authority_process *process, const char *text,
                                size_t times);

// A plain connection to the socket.
int authority_process_connect(const struct authority_process *process);
// Open descriptors; -1 when the system does not let us look.
int authority_process_num_fds(const struct authority_process *process);

#endif
