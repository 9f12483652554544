// The command line: one table of sub-commands.
#include <stdio.h>
#include <string.h>

#include "agent/command/agent.h"
#include "agent/command/check.h"
#include "agent/command/inject.h"
#include "agent/command/injector.h"
#include "agent/command/intercept.h"
#include "agent/command/status.h"
#include "agent/command/trust.h"
#include "authority/authority.h"

struct command {
    const char *name;
    int (*run)(int argc, char **argv); // argv[0] is the name; the result is the exit code
    const char *what;
};

static const struct command COMMANDS[] = {
    {"agent", agent_run, "run the sidecar"},
    {"authority", authority_run, "run the embedded identity server"},
    {"check", check_run, "validate a configuration"},
    {"inject", inject_run, "put the sidecar into Kubernetes manifests"},
    {"injector", injector_run, "serve the Kubernetes webhook that does so"},
    {"uninject", inject_undo_run, "take the sidecar out again"},
    {"intercept", intercept_run, "put in, remove or print the redirect rules"},
    {"status", status_run, "ask a running sidecar"},
    {"trust", trust_run, "write, show and change the trust store"},
};
#define NUM_COMMANDS (sizeof(COMMANDS) / sizeof(COMMANDS[0]))

static void print_usage(FILE *out) {
    fputs("usage: pavise COMMAND [OPTIONS]\n\n", out);
    for (size_t i = 0; i < NUM_COMMANDS; i++) {
        fprintf(out, "  %-10s %s\n", COMMANDS[i].name, COMMANDS[i].what);
    }
    fputs("\npavise COMMAND --help says more.\n", out);
}

int main(int argc, char **argv) {
    if (argc < 2) {
        print_usage(stderr);
        return 2;
    }
    if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "help") == 0) {
        print_usage(stdout);
        return 0;
    }
    for (size_t i = 0; i < NUM_COMMANDS; i++) {
        if (strcmp(argv[1], COMMANDS[i].name) == 0) {
            return COMMANDS[i].run(argc - 1, argv + 1);
        }
    }
    fprintf(stderr, "pavise: unknown command \"%s\"; pavise --help lists them\n", argv[1]);
    return 2;
}
