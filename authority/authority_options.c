#include "authority/authority_options.h"

#include <getopt.h>
#include <stddef.h>

#include "base/clock.h"
#include "base/span.h"
#include "certmgr/spiffe_id.h"

#define TTL_DEFAULT_MS ((int64_t)3600 * 1000)
#define TTL_MIN_MS 2000
#define TTL_MAX_MS ((int64_t)30 * 24 * 3600 * 1000) // well inside a root's last sixth
#define ROTATE_MIN_MS 500

enum option_id {
    OPTION_SOCKET = 1,
    OPTION_TRUST_DOMAIN,
    OPTION_TTL,
    OPTION_ROTATE_EVERY,
    OPTION_ENTRIES,
    OPTION_STATE,
    OPTION_LISTEN,
    OPTION_TOKENS,
    OPTION_HELP,
};

const char *authority_options_help(void) {
    return "usage: pavise authority --socket PATH --trust-domain TD [--ttl 1h] [--rotate-every D]\n"
           "                        [--entries FILE] [--state DIR] [--listen IP:PORT --tokens "
           "FILE]\n"
           "Serves the SPIFFE Workload API on a Unix socket; a caller's uid decides its identity.\n"
           "With --listen it also signs certificate requests over TLS, as an Istio CA does; a\n"
           "caller's token decides its identity.\n"
           "  --socket PATH        where to listen (absolute)\n"
           "  --trust-domain TD    for example example.org\n"
           "  --ttl D              life of a certificate, 2s to 30d (1h)\n"
           "  --rotate-every D     how often certificates are renewed, from 500ms (half the ttl)\n"
           "  --entries FILE       YAML list of {uid: N, spiffeId: ID}; first match wins, no "
           "match\n"
           "                       is refused; re-read on SIGHUP (without it: spiffe://TD/uid/N)\n"
           "  --state DIR          keeps the CA here, mode 0700 (without it: in memory)\n"
           "  --listen IP:PORT     signs requests here; needs --tokens, and --state, whose ca.crt "
           "is\n"
           "                       what callers verify this server by\n"
           "  --tokens FILE        YAML list of {token: T, spiffeId: ID}, 16 characters or more;\n"
           "                       re-read on SIGHUP\n";
}

static bool parse_duration(const char *name, const char *text, int64_t *out, struct err *err) {
    if (!clock_duration_parse(span_of_text(text), out)) {
        return ERR_SET(err, ERR_USAGE, "%s must be a duration like 500ms, 30s or 1h, not \"%s\"",
                       name, text);
    }
    return true;
}

static bool parse_listen(const char *text, struct authority_options *out, struct err *err) {
    out->listens = true;
    return netaddr_parse(&out->listen, span_of_text(text), NULL) ||
           ERR_SET(err, ERR_USAGE, "--listen must be an address like 127.0.0.1:15012, not \"%s\"",
                   text);
}

static bool apply(int option, const char *value, struct authority_options *out, struct err *err) {
    switch (option) {
    case OPTION_SOCKET:
        out->socket_path = value;
        return true;
    case OPTION_TRUST_DOMAIN:
        out->trust_domain = value;
        return true;
    case OPTION_TTL:
        return parse_duration("--ttl", value, &out->ttl_ms, err);
    case OPTION_ROTATE_EVERY:
        return parse_duration("--rotate-every", value, &out->rotate_ms, err);
    case OPTION_ENTRIES:
        out->entries_path = value;
        return true;
    case OPTION_STATE:
        out->state_dir = value;
        return true;
    case OPTION_LISTEN:
        return parse_listen(value, out, err);
    case OPTION_TOKENS:
        out->tokens_path = value;
        return true;
    case OPTION_HELP:
        out->help = true;
        return true;
    default:
        return ERR_SET(err, ERR_USAGE, "unknown option, or one without its value");
    }
}

static bool check_times(struct authority_options *out, struct err *err) {
    if (out->ttl_ms < TTL_MIN_MS || out->ttl_ms > TTL_MAX_MS) {
        return ERR_SET(err, ERR_USAGE, "--ttl must be 2s to 30d");
    }
    if (out->rotate_ms == 0) {
        out->rotate_ms = out->ttl_ms / 2;
    }
    if (out->rotate_ms < ROTATE_MIN_MS) {
        return ERR_SET(err, ERR_USAGE, "--rotate-every must be at least 500ms");
    }
    if (out->rotate_ms >= out->ttl_ms) {
        return ERR_SET(err, ERR_USAGE, "--rotate-every must be shorter than --ttl");
    }
    return true;
}

static bool check_listen(const struct authority_options *out, struct err *err) {
    if (out->listens != (out->tokens_path != NULL)) {
        return ERR_SET(err, ERR_USAGE, "--listen and --tokens are given together or not at all");
    }
    if (out->listens && out->state_dir == NULL) {
        return ERR_SET(err, ERR_USAGE,
                       "--listen needs --state DIR: callers verify this server by DIR/ca.crt");
    }
    return true;
}

static bool check(struct authority_options *out, struct err *err) {
    if (out->socket_path == NULL) {
        return ERR_SET(err, ERR_USAGE, "--socket PATH is missing");
    }
    if (out->trust_domain == NULL) {
        return ERR_SET(err, ERR_USAGE, "--trust-domain TD is missing");
    }
    if (!spiffe_trust_domain_is_valid(span_of_text(out->trust_domain))) {
        return ERR_SET(err, ERR_USAGE,
                       "--trust-domain must be 1 to 255 of a-z, 0-9, \".\", \"-\" and \"_\", "
                       "not \"%s\"",
                       out->trust_domain);
    }
    return check_times(out, err) && check_listen(out, err);
}

bool authority_options_parse(int argc, char **argv, struct authority_options *out,
                             struct err *err) {
    static const struct option known[] = {
        {"socket", required_argument, NULL, OPTION_SOCKET},
        {"trust-domain", required_argument, NULL, OPTION_TRUST_DOMAIN},
        {"ttl", required_argument, NULL, OPTION_TTL},
        {"rotate-every", required_argument, NULL, OPTION_ROTATE_EVERY},
        {"entries", required_argument, NULL, OPTION_ENTRIES},
        {"state", required_argument, NULL, OPTION_STATE},
        {"listen", required_argument, NULL, OPTION_LISTEN},
        {"tokens", required_argument, NULL, OPTION_TOKENS},
        {"help", no_argument, NULL, OPTION_HELP},
        {NULL, 0, NULL, 0},
    };
    struct authority_options options = {.ttl_ms = TTL_DEFAULT_MS};
    optind = 0; // glibc: start afresh
    opterr = 0;
    for (;;) {
        int option = getopt_long(argc, argv, "", known, NULL);
        if (option == -1) {
            break;
        }
        if (!apply(option, optarg, &options, err)) {
            return option == '?' && optind > 0 && optind <= argc
                       ? err_wrap(err, "%s", argv[optind - 1])
                       : false;
        }
    }
    if (optind < argc) {
        return ERR_SET(err, ERR_USAGE, "unexpected argument \"%s\"", argv[optind]);
    }
    if (!options.help && !check(&options, err)) {
        return false;
    }
    *out = options;
    return true;
}
