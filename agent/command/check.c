#include "agent/command/check.h"

#include <errno.h>
#include <getopt.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "agent/config/config.h"
#include "agent/edge/edge_set.h"
#include "base/buf.h"

enum { EXIT_GOOD = 0, EXIT_INPUT = 1, EXIT_USAGE = 2, EXIT_ENVIRONMENT = 3 };

static const char usage[] = "usage: pavise check --config FILE";

// The file named on the command line; NULL on a usage error, with `*help` when help was asked for.
static const char *parse_arguments(int argc, char **argv, bool *help) {
    static const struct option options[] = {{"config", required_argument, NULL, 'c'},
                                            {"help", no_argument, NULL, 'h'},
                                            {NULL, 0, NULL, 0}};
    const char *path = NULL;
    optind = 0; // start anew, whoever used getopt before
    opterr = 0;
    for (;;) {
        int option = getopt_long(argc, argv, "", options, NULL);
        if (option == -1) {
            return optind == argc ? path : NULL;
        }
        *help |= option == 'h';
        if (option != 'c') {
            return NULL;
        }
        path = optarg;
    }
}

static void print(FILE *out, const struct buf *text) {
    struct span bytes = buf_span(text);
    if (bytes.len > 0) {
        fwrite(bytes.ptr, 1, bytes.len, out);
    }
}

int check_run(int argc, char **argv) {
    bool help = false;
    const char *path = parse_arguments(argc, argv, &help);
    if (path == NULL) {
        fprintf(help ? stdout : stderr, "%s\n", usage);
        return help ? EXIT_GOOD : EXIT_USAGE;
    }
    struct buf errors = {0};
    struct buf warnings = {0};
    OWNED(config_unref) struct config *config = config_load(path, &errors, &warnings);
    struct edge_load how = {
        .name = path, .expiry = EDGE_EXPIRY_REFUSES, .errors = &errors, .warnings = &warnings};
    OWNED(edge_set_unref)
    struct edge_set *edges = config == NULL ? NULL : edge_set_load(config, &how);
    print(stderr, &errors);
    print(stderr, &warnings);
    buf_fini(&errors);
    buf_fini(&warnings);
    if (edges == NULL) {
        return EXIT_INPUT;
    }
    printf("%s: ok\n", path);
    if (fflush(stdout) != 0) { // no mistake of the file's
        fprintf(stderr, "pavise check: cannot write the result: %s\n", strerror(errno));
        return EXIT_ENVIRONMENT;
    }
    return EXIT_GOOD;
}
