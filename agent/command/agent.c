#include "agent/command/agent.h"

#include <getopt.h>
#include <malloc.h>
#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/resource.h>

#include "agent/control/control.h"
#include "agent/control/launcher.h"

static const char USAGE[] = "usage: pavise agent --config FILE [--take-over]\n";

// Keys live in memory only: no core file, no debugger of the same user.
static void harden(void) {
    struct rlimit none = {0};
    (void)setrlimit(RLIMIT_CORE, &none);
    (void)prctl(PR_SET_DUMPABLE, 0);
    signal(SIGPIPE, SIG_IGN);
    // One arena per worker would keep what a burst has freed.
    mallopt(M_ARENA_MAX, 2);
}

int agent_run(int argc, char **argv) {
    static const struct option OPTIONS[] = {
        {"config", required_argument, NULL, 'c'},
        {"take-over", no_argument, NULL, 't'},
        {"help", no_argument, NULL, 'h'},
        {0},
    };
    struct control_start how = {0};
    int option;
    while ((option = getopt_long(argc, argv, "", OPTIONS, NULL)) != -1) {
        switch (option) {
        case 'h':
            fputs(USAGE, stdout);
            return 0;
        case 'c':
            how.config_path = optarg;
            break;
        case 't':
            how.take_over = true;
            break;
        default:
            fputs(USAGE, stderr);
            return 2;
        }
    }
    if (how.config_path == NULL || optind != argc) {
        fputs(USAGE, stderr);
        return 2;
    }
    how.launcher = launcher_start(argc, argv);
    harden();
    struct err err = {0};
    struct control *control = control_new(&how, &err);
    if (control == NULL) {
        fprintf(stderr, "pavise agent: %s\n", err.msg);
        return err_exit_code(&err);
    }
    int code = control_run(control);
    control_free(control);
    return code;
}
