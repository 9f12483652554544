#include "agent/command/hold.h"

#include <errno.h>
#include <signal.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#include "agent/sandbox/capabilities.h"

bool hold_until_told(struct err *err) {
    sigset_t signals;
    sigemptyset(&signals);
    sigaddset(&signals, SIGTERM);
    sigaddset(&signals, SIGINT);
    sigaddset(&signals, SIGCHLD);
    if (sigprocmask(SIG_BLOCK, &signals, NULL) != 0) {
        return ERR_SET_ERRNO(err, ERR_ENVIRONMENT, errno, "cannot wait for signals");
    }
    if (!capabilities_drop_all() || prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) {
        return ERR_SET_ERRNO(err, ERR_ENVIRONMENT, errno, "cannot give up its privileges");
    }
    for (;;) {
        int number = sigwaitinfo(&signals, NULL);
        if (number == SIGTERM || number == SIGINT) {
            return true;
        }
        if (number < 0 && errno != EINTR) {
            return ERR_SET_ERRNO(err, ERR_ENVIRONMENT, errno, "cannot wait for signals");
        }
        while (waitpid(-1, NULL, WNOHANG) > 0) {
        }
    }
}
