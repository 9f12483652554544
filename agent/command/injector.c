#include "agent/command/injector.h"

#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "agent/injector/injector_config.h"
#include "agent/injector/injector_server.h"
#include "agent/injector/injector_tls.h"
#include "base/buf.h"
#include "base/err.h"
#include "base/file.h"
#include "base/log.h"

enum { EXIT_DONE = 0, EXIT_USAGE = 2, CONFIG_MAX = 1 << 20 };

static const char USAGE[] =
    "usage: pavise injector --config FILE\n"
    "Serves the mutating admission webhook: POST /mutate over HTTPS (docs/kubernetes.md).\n";

static int fail(const struct err *err) {
    fprintf(stderr, "pavise injector: %s\n", err->msg);
    return err_exit_code(err);
}

static void told(const struct review_report *report) {
    static const char *const RESULTS[] = {[REVIEW_PATCHED] = "patched",
                                          [REVIEW_LEFT_ALONE] = "left_alone",
                                          [REVIEW_DENIED] = "denied",
                                          [REVIEW_BAD] = "bad"};
    struct log_line line;
    bool is_fine = report->result == REVIEW_PATCHED || report->result == REVIEW_LEFT_ALONE;
    log_begin(&line, is_fine ? LOG_INFO : LOG_WARN, "pod_reviewed");
    log_text(&line, "result", RESULTS[report->result]);
    log_text(&line, "namespace", report->namespace);
    log_text(&line, "pod", report->name);
    log_text(&line, "msg", report->sentence[0] == '\0' ? NULL : report->sentence);
    log_end(&line);
}

// A descriptor that becomes readable at SIGTERM or SIGINT.
static int open_stop(struct err *err) {
    sigset_t signals;
    sigemptyset(&signals);
    sigaddset(&signals, SIGTERM);
    sigaddset(&signals, SIGINT);
    signal(SIGPIPE, SIG_IGN);
    int fd = sigprocmask(SIG_BLOCK, &signals, NULL) == 0 ? signalfd(-1, &signals, SFD_CLOEXEC) : -1;
    if (fd < 0) {
        (void)ERR_SET_ERRNO(err, ERR_ENVIRONMENT, errno, "cannot wait for signals");
    }
    return fd;
}

static int serve(const struct injector_config *config) {
    struct err err = {0};
    char address[NETADDR_TEXT_MAX];
    if (!injector_tls_check(config->certificate, config->key, &err)) {
        return fail(&err);
    }
    int stop = open_stop(&err);
    if (stop < 0) {
        return fail(&err);
    }
    log_msg(LOG_INFO, "injector_started", "POST /mutate at %s",
            netaddr_format(&config->listen, address));
    bool ok = injector_server_run(config, stop, told, &err);
    close(stop);
    return ok ? EXIT_DONE : fail(&err);
}

static int run(const char *path) {
    struct err err = {0};
    struct buf text = {0};
    struct injector_config config = {0};
    bool ok = file_read(path, CONFIG_MAX, &text, &err) &&
              (injector_config_parse(&config, buf_span(&text), &err) || err_wrap(&err, "%s", path));
    buf_fini(&text);
    int code = ok ? serve(&config) : fail(&err);
    injector_config_fini(&config);
    return code;
}

int injector_run(int argc, char **argv) {
    static const struct option OPTIONS[] = {{"config", required_argument, NULL, 'c'},
                                            {"help", no_argument, NULL, 'h'},
                                            {NULL, 0, NULL, 0}};
    const char *path = NULL;
    int option = 0;
    optind = 0; // start anew, whoever used getopt before
    while ((option = getopt_long(argc, argv, "", OPTIONS, NULL)) != -1) {
        if (option != 'c') {
            fputs(USAGE, option == 'h' ? stdout : stderr);
            return option == 'h' ? EXIT_DONE : EXIT_USAGE;
        }
        path = optarg;
    }
    if (path == NULL || optind != argc) {
        fputs(USAGE, stderr);
        return EXIT_USAGE;
    }
    return run(path);
}
