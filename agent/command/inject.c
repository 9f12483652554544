#include "agent/command/inject.h"

#include <errno.h>
#include <getopt.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "agent/inject/inject.h"
#include "agent/inject/manifest.h"
#include "agent/inject/settings.h"
#include "base/buf.h"
#include "base/err.h"
#include "base/file.h"

enum { EXIT_DONE = 0, EXIT_USAGE = 2, CHUNK = 64 << 10 };

static const char USAGE[] =
    "usage: pavise inject [--set KEY=VALUE]... FILE|-\n"
    "       pavise uninject FILE|-\n"
    "Puts the sidecar into the workloads of a Kubernetes manifest (YAML or JSON), or takes it out\n"
    "again. The new manifest goes to standard output, a line for each workload to standard error.\n"
    "  --set KEY=VALUE  what the annotation pavise/KEY says, for workloads that do not have it:\n"
    "                   image, mode, interception, identity and the others of docs/kubernetes.md\n";

// The command line.
struct order {
    const char *path; // "-": standard input
    struct settings settings;
    bool help;
};

static int fail(const char *name, const char *path, const struct err *err) {
    fprintf(stderr, "pavise %s: %s%s%s\n", name, path == NULL ? "" : path, path == NULL ? "" : ":",
            err->msg);
    return err_exit_code(err);
}

static bool read_input(struct buf *out, struct err *err) {
    for (;;) {
        uint8_t *room = buf_reserve(out, CHUNK);
        if (room == NULL) {
            return ERR_NO_MEMORY(err, "reading standard input");
        }
        size_t num = fread(room, 1, CHUNK, stdin);
        buf_commit(out, num);
        if (buf_span(out).len > MANIFEST_BYTES_MAX) {
            return ERR_SET(err, ERR_INPUT, "standard input is longer than %zu MiB",
                           MANIFEST_BYTES_MAX >> 20);
        }
        if (num == 0) {
            return ferror(stdin) == 0 ||
                   ERR_SET_ERRNO(err, ERR_ENVIRONMENT, errno, "cannot read standard input");
        }
    }
}

static bool read_text(const char *path, struct buf *out, struct err *err) {
    return strcmp(path, "-") == 0 ? read_input(out, err)
                                  : file_read(path, MANIFEST_BYTES_MAX, out, err);
}

// Each line of `report`, marked.
static void print_report(const char *name, const struct buf *report) {
    struct span rest = buf_span(report);
    while (rest.len > 0) {
        const uint8_t *end = memchr(rest.ptr, '\n', rest.len);
        size_t len = end == NULL ? rest.len : (size_t)(end - rest.ptr);
        fprintf(stderr, "pavise %s: %.*s\n", name, (int)len, (const char *)rest.ptr);
        rest = span_after(rest, end == NULL ? len : len + 1);
    }
}

static int print_result(const char *name, const struct buf *result) {
    struct span bytes = buf_span(result);
    if ((bytes.len > 0 && fwrite(bytes.ptr, 1, bytes.len, stdout) != bytes.len) ||
        fflush(stdout) != 0) {
        struct err err = {0};
        (void)ERR_SET_ERRNO(&err, ERR_ENVIRONMENT, errno, "cannot write the result");
        return fail(name, NULL, &err);
    }
    return EXIT_DONE;
}

static int rewrite(const char *name, const struct order *order, bool puts_in) {
    struct err err = {0};
    struct buf text = {0};
    if (!read_text(order->path, &text, &err)) {
        buf_fini(&text);
        return fail(name, NULL, &err);
    }
    struct buf result = {0};
    struct buf report = {0};
    bool ok = puts_in ? inject_text(buf_span(&text), &order->settings, &result, &report, &err)
                      : inject_remove(buf_span(&text), &result, &report, &err);
    print_report(name, &report);
    int code = ok ? print_result(name, &result) : fail(name, order->path, &err);
    buf_fini(&text);
    buf_fini(&result);
    buf_fini(&report);
    return code;
}

// False: usage, or a setting that is wrong, which `err` then says.
static bool parse_arguments(int argc, char **argv, const struct option *options, struct order *out,
                            struct err *err) {
    int option = 0;
    optind = 0; // start anew, whoever used getopt before
    settings_init(&out->settings);
    while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
        out->help |= option == 'h';
        if (option == 's' && !settings_set(&out->settings, optarg, err)) {
            return false;
        }
        if (option == '?' || out->help) {
            return false;
        }
    }
    out->path = optind + 1 == argc ? argv[optind] : NULL;
    return out->path != NULL;
}

static int run(int argc, char **argv, const struct option *options, bool puts_in) {
    struct order order = {0};
    struct err err = {0};
    if (parse_arguments(argc, argv, options, &order, &err)) {
        return rewrite(argv[0], &order, puts_in);
    }
    if (err.class != ERR_NONE) {
        return fail(argv[0], NULL, &err);
    }
    fputs(USAGE, order.help ? stdout : stderr);
    return order.help ? EXIT_DONE : EXIT_USAGE;
}

int inject_run(int argc, char **argv) {
    static const struct option OPTIONS[] = {{"set", required_argument, NULL, 's'},
                                            {"help", no_argument, NULL, 'h'},
                                            {NULL, 0, NULL, 0}};
    return run(argc, argv, OPTIONS, true);
}

int inject_undo_run(int argc, char **argv) {
    static const struct option OPTIONS[] = {{"help", no_argument, NULL, 'h'}, {NULL, 0, NULL, 0}};
    return run(argc, argv, OPTIONS, false);
}
