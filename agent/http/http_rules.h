// The rules of one `http` port: which host, path and method reach the application, and with which
// path. Immutable after construction; shared by workers through whoever owns it.
#ifndef AGENT_HTTP_HTTP_RULES_H
#define AGENT_HTTP_HTTP_RULES_H

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"
#include "base/own.h"
#include "base/span.h"

struct http_path_rule {
    const char *path; // what follows the rule's prefix; begins with '/'
    bool exact;       // else the path itself and everything below it
};

// What a rule is made from; borrowed during http_rules_new only. An empty list means any.
struct http_rule {
    const char *const *hosts; // "*.x" is one label, "*" any
    size_t num_hosts;
    const char *path_prefix; // "" or "/v1": whole segments
    bool strip_prefix;       // the application sees the path without it
    const char *const *methods;
    size_t num_methods;
    const struct http_path_rule *paths;
    size_t num_paths;
};

struct http_rules;

// Without rules everything matches. The sentence of an error names the rule by its index.
struct http_rules *http_rules_new(const struct http_rule *rules, size_t num,
                                  struct err *err) MUST_USE;
void http_rules_free(struct http_rules *rules);
OWN_DEFINE(struct http_rules, http_rules_free)

bool http_rules_is_empty(const struct http_rules *rules);

struct http_match {
    int rule;         // its index; -1: no rule matched, which is 404
    struct span path; // a part of the path asked for; "/" where nothing is left
};

// `host` is lower case without port and trailing dot, `path` normalised. The first rule that
// matches decides.
struct http_match http_rules_match(const struct http_rules *rules, struct span host,
                                   struct span method, struct span path);

// Whether a name's pattern covers `host`: equal, "*.x" with one label, or "*".
bool http_rules_host_matches(const char *pattern, struct span host);

#endif
