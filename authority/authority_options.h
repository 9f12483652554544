// The command line of `pavise authority`: text in, a value out.
#ifndef AUTHORITY_AUTHORITY_OPTIONS_H
#define AUTHORITY_AUTHORITY_OPTIONS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/netaddr.h"

struct authority_options { // the strings are those of argv
    bool help;
    const char *socket_path;
    const char *trust_domain;
    const char *entries_path; // NULL: identities by uid
    const char *state_dir;    // NULL: the CA lives in memory
    int64_t ttl_ms;
    int64_t rotate_ms; // less than ttl_ms
    bool listens;      // the two below are set, and so is state_dir
    struct netaddr listen;
    const char *tokens_path;
};

// argv[0] is the sub-command's name. Errors are of class ERR_USAGE.
bool authority_options_parse(int argc, char **argv, struct authority_options *out,
                             struct err *err) MUST_USE;
const char *authority_options_help(void);

#endif
