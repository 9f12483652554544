#include "agent/command/intercept.h"

#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "agent/command/hold.h"
#include "agent/config/config.h"
#include "agent/intercept/nft.h"
#include "agent/intercept/redirect.h"
#include "agent/intercept/rules.h"
#include "base/buf.h"
#include "base/err.h"

enum { EXIT_DONE = 0, EXIT_INPUT = 1, EXIT_USAGE = 2 };

static const char USAGE[] =
    "usage: pavise intercept up|down|show --config FILE [--hold | --dry-run]\n"
    "Redirects this network namespace's TCP connections to the agent, by nft rules.\n"
    "  up           puts the rules in, or replaces them in one step (needs NET_ADMIN)\n"
    "  down         removes them; connections that are redirected break (needs NET_ADMIN)\n"
    "  show         prints the rules in force with their counters (needs NET_ADMIN)\n"
    "  --config F   the agent's configuration; down and show do not read it\n"
    "  --hold       with up: stays until SIGTERM without any privilege, for a container that\n"
    "               holds this network while its application and its agent come and go\n"
    "  --dry-run    with up or down: prints what nft would be given, and changes nothing\n";

struct order;
typedef int action_fn(const struct order *order);

// The command line.
struct order {
    action_fn *action;
    const char *config; // NULL when not given
    bool dry_run;
    bool hold;
    bool help;
};

static int fail(const struct err *err) {
    fprintf(stderr, "pavise intercept: %s\n", err->msg);
    return err_exit_code(err);
}

// Whether what was printed has been written.
static int finish(void) {
    struct err err = {0};
    if (fflush(stdout) != 0) {
        (void)ERR_SET_ERRNO(&err, ERR_ENVIRONMENT, errno, "cannot write the result");
        return fail(&err);
    }
    return EXIT_DONE;
}

static void print(FILE *out, const struct buf *text) {
    struct span bytes = buf_span(text);
    if (bytes.len > 0) {
        fwrite(bytes.ptr, 1, bytes.len, out);
    }
}

// Each line of `warnings`, marked.
static void print_warnings(const struct buf *warnings) {
    struct span rest = buf_span(warnings);
    while (rest.len > 0) {
        const uint8_t *end = memchr(rest.ptr, '\n', rest.len);
        size_t len = end == NULL ? rest.len : (size_t)(end - rest.ptr);
        fprintf(stderr, "pavise intercept: warning: %.*s\n", (int)len, (const char *)rest.ptr);
        rest = span_after(rest, end == NULL ? len : len + 1);
    }
}

// --- what each word does -------------------------------------------------------------------------

// Gives `rules` to nft, or prints them. The exit code; `done` is said when it worked.
static int apply(const struct order *order, const struct buf *rules, const char *done) {
    struct err err = {0};
    if (order->dry_run) {
        print(stdout, rules);
    } else if (!nft_load(buf_span(rules), &err)) {
        return fail(&err);
    } else {
        printf("%s\n", done);
    }
    return finish();
}

static int hold(void) {
    struct err err = {0};
    return hold_until_told(&err) ? EXIT_DONE : fail(&err);
}

static void describe_direction(const struct redirect *redirect, char *out, size_t cap) {
    if (!redirect->is_on) {
        snprintf(out, cap, "not redirected");
    } else if (redirect->port_v4 == redirect->port_v6) {
        snprintf(out, cap, "to port %u", redirect->port_v4);
    } else {
        snprintf(out, cap, "to port %u (IPv4) and %u (IPv6)", redirect->port_v4, redirect->port_v6);
    }
}

static void describe(const struct config *config, char *out, size_t cap) {
    struct redirect outbound = redirect_outbound(&config->outbound);
    struct redirect inbound = redirect_inbound(&config->inbound);
    char out_text[64];
    char in_text[64];
    describe_direction(&outbound, out_text, sizeof out_text);
    describe_direction(&inbound, in_text, sizeof in_text);
    snprintf(out, cap, "interception is up: outbound %s, inbound %s, uid %u not captured", out_text,
             in_text, config->intercept.uid);
}

static int up_with(const struct order *order, const struct config *config) {
    struct err err = {0};
    struct buf rules = {0};
    struct buf warnings = {0};
    char done[256];
    describe(config, done, sizeof done);
    bool ok = rules_render(config, &rules, &err) && (redirect_render_warnings(config, &warnings) ||
                                                     ERR_NO_MEMORY(&err, "writing warnings"));
    print_warnings(&warnings);
    int code = ok ? apply(order, &rules, done) : fail(&err);
    buf_fini(&rules);
    buf_fini(&warnings);
    return code == EXIT_DONE && order->hold ? hold() : code;
}

static int up(const struct order *order) {
    struct buf errors = {0};
    struct buf warnings = {0};
    OWNED(config_unref) struct config *config = config_load(order->config, &errors, &warnings);
    print(stderr, &errors);
    print(stderr, &warnings);
    buf_fini(&errors);
    buf_fini(&warnings);
    return config == NULL ? EXIT_INPUT : up_with(order, config);
}

static int down(const struct order *order) {
    struct err err = {0};
    struct buf rules = {0};
    int code = rules_render_removal(&rules, &err) ? apply(order, &rules, "interception is down")
                                                  : fail(&err);
    buf_fini(&rules);
    return code;
}

static int show(const struct order *order UNUSED) {
    struct err err = {0};
    struct buf rules = {0};
    enum nft_listing listing = nft_list(RULES_TABLE, &rules, &err);
    print(stdout, &rules);
    buf_fini(&rules);
    switch (listing) {
    case NFT_LISTED:
        return finish();
    case NFT_NO_TABLE:
        fputs("pavise intercept: no rules are in force in this network namespace; "
              "pavise intercept up puts them in\n",
              stderr);
        return EXIT_INPUT;
    case NFT_FAILED:
        break;
    }
    return fail(&err);
}

// --- the command line ----------------------------------------------------------------------------

static const struct {
    const char *name;
    action_fn *action;
} ACTIONS[] = {{"up", up}, {"down", down}, {"show", show}};

static action_fn *find_action(const char *name) {
    for (size_t i = 0; i < sizeof ACTIONS / sizeof ACTIONS[0]; i++) {
        if (strcmp(ACTIONS[i].name, name) == 0) {
            return ACTIONS[i].action;
        }
    }
    return NULL;
}

// False: usage.
static bool parse_arguments(int argc, char **argv, struct order *out) {
    static const struct option OPTIONS[] = {{"config", required_argument, NULL, 'c'},
                                            {"dry-run", no_argument, NULL, 'd'},
                                            {"hold", no_argument, NULL, 'o'},
                                            {"help", no_argument, NULL, 'h'},
                                            {NULL, 0, NULL, 0}};
    int option = 0;
    while ((option = getopt_long(argc, argv, "", OPTIONS, NULL)) != -1) {
        out->help |= option == 'h';
        out->dry_run |= option == 'd';
        out->hold |= option == 'o';
        out->config = option == 'c' ? optarg : out->config;
        if (option == '?' || out->help) {
            return false;
        }
    }
    out->action = optind + 1 == argc ? find_action(argv[optind]) : NULL;
    if (out->action == NULL || (out->action == show && out->dry_run) ||
        (out->hold && (out->action != up || out->dry_run))) {
        return false;
    }
    // A broken configuration must not keep the rules from being removed.
    return out->config != NULL || out->action != up;
}

int intercept_run(int argc, char **argv) {
    struct order order = {0};
    if (!parse_arguments(argc, argv, &order)) {
        fputs(USAGE, order.help ? stdout : stderr);
        return order.help ? EXIT_DONE : EXIT_USAGE;
    }
    signal(SIGCHLD, SIG_DFL); // ignored in some parents, and then nobody could wait for nft
    return order.action(&order);
}
