#include "tests/sandbox/child.h"

#include <stdlib.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <unistd.h>

int child_run(int (*body)(void *arg), void *arg) {
    pid_t pid = fork();
    if (pid < 0) {
        abort();
    }
    if (pid == 0) {
        _exit(body(arg));
    }
    int status;
    if (waitpid(pid, &status, 0) != pid) {
        abort();
    }
    return WIFSIGNALED(status) ? 200 + WTERMSIG(status) : WEXITSTATUS(status);
}
