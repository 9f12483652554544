#include "agent/command/status.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "agent/command/http_client.h"
#include "agent/command/status_table.h"
#include "agent/command/status_trust.h"
#include "agent/config/config.h"
#include "agent/status/escape.h"
#include "base/clock.h"

enum { EXIT_GOOD = 0, EXIT_INPUT = 1, EXIT_USAGE = 2 };

#define DEFAULT_ADDRESS "127.0.0.1:15020"

static const char usage[] =
    "usage: pavise status [WHAT] [--ready [--wait DURATION]] [--address HOST:PORT | --config "
    "FILE]\n"
    "                     [-o json]\n"
    "WHAT: identity, connections, tunnels, destinations, listeners, refusals, certs, ports, "
    "trust,\n"
    "      config, metrics; without it an overview\n";

struct arguments {
    const char *what; // NULL: the overview
    const char *address;
    const char *config;
    int64_t wait_ms;
    bool ready, json, help;
};

// What can be asked for, and whether a table is made of it.
static const struct {
    const char *what;
    bool is_table;
} subjects[] = {
    {"identity", true},  {"connections", true}, {"tunnels", true},  {"destinations", true},
    {"listeners", true}, {"refusals", true},    {"certs", true},    {"trust", true},
    {"ports", true},     {"config", false},     {"metrics", false},
};

static bool is_subject(const char *what, bool *is_table) {
    for (size_t i = 0; i < sizeof(subjects) / sizeof(subjects[0]); i++) {
        if (strcmp(subjects[i].what, what) == 0) {
            *is_table = subjects[i].is_table;
            return true;
        }
    }
    return false;
}

static bool take_option(struct arguments *out, int option) {
    switch (option) {
    case 'r':
        out->ready = true;
        return true;
    case 'w':
        return clock_duration_parse(span_of_text(optarg), &out->wait_ms);
    case 'a':
        out->address = optarg;
        return true;
    case 'c':
        out->config = optarg;
        return true;
    case 'h':
        out->help = true;
        return true;
    case 'o':
        out->json = true;
        return strcmp(optarg, "json") == 0;
    default:
        return false;
    }
}

static bool parse_arguments(int argc, char **argv, struct arguments *out) {
    static const struct option options[] = {
        {"ready", no_argument, NULL, 'r'},
        {"address", required_argument, NULL, 'a'},
        {"config", required_argument, NULL, 'c'},
        {"output", required_argument, NULL, 'o'},
        {"help", no_argument, NULL, 'h'},
        {"wait", required_argument, NULL, 'w'},
        {NULL, 0, NULL, 0},
    };
    bool is_table;
    int option;
    optind = 0; // start anew, whoever used getopt before
    opterr = 0;
    while ((option = getopt_long(argc, argv, "o:", options, NULL)) != -1) {
        if (!take_option(out, option)) {
            return false;
        }
    }
    if (optind < argc) {
        out->what = argv[optind++];
    }
    bool is_contradiction = (out->address != NULL && out->config != NULL) ||
                            (out->wait_ms > 0 && !out->ready) ||
                            (out->ready && (out->what != NULL || out->json)) ||
                            (out->json && out->what != NULL && strcmp(out->what, "metrics") == 0);
    return optind == argc && !is_contradiction &&
           (out->what == NULL || is_subject(out->what, &is_table));
}

static bool address_from_text(const char *text, struct netaddr *out, struct err *err) {
    char copy[NETADDR_TEXT_MAX];
    const char *port = strchr(text, ':');
    if (port != NULL && port - text == 9 && strncmp(text, "localhost", 9) == 0) {
        (void)snprintf(copy, sizeof(copy), "127.0.0.1%s", port);
        text = copy;
    }
    return netaddr_parse(out, span_of_text(text), err) || err_wrap(err, "--address");
}

static bool address_from_config(const char *path, struct netaddr *out, struct err *err) {
    struct buf errors = {0}, warnings = {0};
    OWNED(config_unref) struct config *config = config_load(path, &errors, &warnings);
    bool fine = config != NULL && config->status.has_listen;
    if (fine) {
        *out = config->status.listen;
    } else if (config != NULL) {
        (void)ERR_SET(err, ERR_INPUT, "%s turns the status port off (status.listen)", path);
    } else {
        (void)ERR_SET(err, ERR_INPUT, "the configuration has mistakes:\n%.*s", (int)errors.len,
                      errors.len == 0 ? "" : (const char *)buf_span(&errors).ptr);
    }
    buf_fini(&errors);
    buf_fini(&warnings);
    return fine;
}

static bool find_address(const struct arguments *arguments, struct netaddr *out, struct err *err) {
    if (arguments->config != NULL) {
        return address_from_config(arguments->config, out, err);
    }
    const char *text = arguments->address == NULL ? DEFAULT_ADDRESS : arguments->address;
    return address_from_text(text, out, err);
}

static bool ask(const struct netaddr *to, const char *what, struct http_client_reply *out,
                struct err *err) {
    char target[64], address[NETADDR_TEXT_MAX];
    (void)snprintf(target, sizeof(target), "/%s", what);
    if (http_client_get(to, target, out, err)) {
        return true;
    }
    (void)netaddr_format(to, address);
    if (err->class != ERR_ENVIRONMENT) {
        return err_wrap(err, "%s", address);
    }
    struct err cause = *err;
    return ERR_SET(err, ERR_ENVIRONMENT,
                   "no agent answers on %s (%s); is it running, and is this its status.listen? "
                   "Name another with --address or --config",
                   address, cause.msg);
}

// The agent's own sentence, made harmless.
static bool refuse(unsigned status, const char *what, struct buf *body, struct err *err) {
    struct buf clean = {0};
    char *sentence = buf_take_text(body);
    bool fine = sentence != NULL && escape_plain(&clean, sentence);
    (void)ERR_SET(err, ERR_INPUT, "the agent answers %u to /%s: %.*s", status, what,
                  clean.len > 300 ? 300 : (int)clean.len,
                  fine && clean.len > 0 ? (const char *)buf_span(&clean).ptr : "");
    free(sentence);
    buf_fini(&clean);
    return false;
}

// The body of a 200.
static bool ask_for_content(const struct netaddr *to, const char *what, struct buf *out,
                            struct err *err) {
    struct http_client_reply reply = {0};
    if (!ask(to, what, &reply, err)) {
        return false;
    }
    if (reply.status != 200) {
        return refuse(reply.status, what, &reply.body, err);
    }
    *out = reply.body;
    return true;
}

static bool print_subject(const struct netaddr *to, const struct arguments *arguments,
                          struct buf *out, struct err *err) {
    struct buf body = {0};
    bool is_table = false;
    (void)is_subject(arguments->what, &is_table);
    bool fine = ask_for_content(to, arguments->what, &body, err);
    struct span content = buf_span(&body);
    if (fine && is_table && !arguments->json) {
        fine = strcmp(arguments->what, "trust") == 0
                   ? status_trust_render(content, clock_wall_ms(), out, err)
                   : status_table_render(arguments->what, content, clock_wall_ms(), out, err);
    } else if (fine && !buf_append(out, content.ptr, content.len)) {
        fine = ERR_NO_MEMORY(err, "printing");
    }
    buf_fini(&body);
    return fine;
}

// The readiness as a line or more; `*ready` says which.
static bool print_ready(const struct netaddr *to, bool *ready, struct buf *out, struct err *err) {
    struct http_client_reply reply = {0};
    if (!ask(to, "readyz", &reply, err)) {
        return false;
    }
    *ready = reply.status == 200;
    char *pending = *ready ? NULL : buf_take_text(&reply.body);
    bool fine = buf_append_text(out, *ready ? "ready\n" : "not ready\n");
    char *rest = pending;
    for (char *line = strsep(&rest, "\n"); fine && line != NULL; line = strsep(&rest, "\n")) {
        fine = line[0] == '\0' || (buf_append_text(out, "  ") && escape_plain(out, line) &&
                                   buf_append_text(out, "\n"));
    }
    free(pending);
    buf_fini(&reply.body);
    return fine || ERR_NO_MEMORY(err, "printing");
}

// The same, again and again until it is ready or the time is over; the last answer counts.
static bool wait_ready(const struct netaddr *to, int64_t wait_ms, bool *ready, struct buf *out,
                       struct err *err) {
    const struct timespec pause = {.tv_nsec = 100 * 1000 * 1000};
    int64_t until = clock_mono_ms() + wait_ms;
    bool fine = print_ready(to, ready, out, err);
    while (!(fine && *ready) && clock_mono_ms() < until) {
        (void)nanosleep(&pause, NULL);
        *err = (struct err){0};
        buf_clear(out);
        fine = print_ready(to, ready, out, err);
    }
    return fine;
}

// {"identity": ..., "listeners": ...}: the documents as they came.
static bool join_parts(const struct span parts[STATUS_TABLE_NUM_PARTS], struct buf *out) {
    bool fine = buf_append_text(out, "{");
    for (size_t i = 0; i < STATUS_TABLE_NUM_PARTS; i++) {
        fine = fine && buf_printf(out, "%s\"%s\": ", i == 0 ? "" : ",\n", status_table_parts[i]) &&
               buf_append(out, parts[i].ptr, parts[i].len);
    }
    return fine && buf_append_text(out, "}\n");
}

static bool print_overview(const struct netaddr *to, const struct arguments *arguments,
                           struct buf *out, struct err *err) {
    struct buf bodies[STATUS_TABLE_NUM_PARTS] = {{0}};
    struct span parts[STATUS_TABLE_NUM_PARTS];
    bool ready, fine = true;
    for (size_t i = 0; fine && i < STATUS_TABLE_NUM_PARTS; i++) {
        fine = ask_for_content(to, status_table_parts[i], &bodies[i], err);
        parts[i] = buf_span(&bodies[i]);
    }
    if (fine && arguments->json) {
        fine = join_parts(parts, out) || ERR_NO_MEMORY(err, "printing");
    } else if (fine) {
        fine = print_ready(to, &ready, out, err) &&
               status_table_overview(parts, clock_wall_ms(), out, err);
    }
    for (size_t i = 0; i < STATUS_TABLE_NUM_PARTS; i++) {
        buf_fini(&bodies[i]);
    }
    return fine;
}

static bool print(const struct arguments *arguments, struct buf *out, bool *ready,
                  struct err *err) {
    struct netaddr to;
    *ready = true;
    if (!find_address(arguments, &to, err)) {
        return false;
    }
    if (arguments->ready) {
        return wait_ready(&to, arguments->wait_ms, ready, out, err);
    }
    return arguments->what == NULL ? print_overview(&to, arguments, out, err)
                                   : print_subject(&to, arguments, out, err);
}

int status_run(int argc, char **argv) {
    struct arguments arguments = {0};
    struct err err = {0};
    struct buf out = {0};
    bool ready;
    bool fine = parse_arguments(argc, argv, &arguments);
    if (!fine || arguments.help) {
        fputs(usage, arguments.help ? stdout : stderr);
        return arguments.help ? EXIT_GOOD : EXIT_USAGE;
    }
    fine = print(&arguments, &out, &ready, &err);
    if (!fine) {
        fprintf(stderr, "pavise status: %s\n", err.msg);
    } else if (out.len > 0) {
        fine = fwrite(buf_span(&out).ptr, 1, out.len, stdout) == out.len && fflush(stdout) == 0;
    }
    buf_fini(&out);
    if (err.class != ERR_NONE) {
        return err_exit_code(&err);
    }
    return fine && ready ? EXIT_GOOD : EXIT_INPUT;
}
