#include "agent/http/http_rules.h"

#include <stdlib.h>
#include <string.h>

#include "agent/http/http_chars.h"

#define RULES_MAX 1024
#define LIST_MAX 256

struct rule {
    char **hosts;
    size_t num_hosts;
    char **methods;
    size_t num_methods;
    char **paths;
    bool *exact;
    size_t num_paths;
    char *prefix; // without a final '/'; "" for none
    bool strip_prefix;
};

struct http_rules {
    struct rule *rules;
    size_t num;
};

static void free_texts(char **texts, size_t num) {
    for (size_t i = 0; texts != NULL && i < num; i++) {
        free(texts[i]);
    }
    free(texts);
}

void http_rules_free(struct http_rules *rules) {
    if (rules == NULL) {
        return;
    }
    for (size_t i = 0; i < rules->num; i++) {
        struct rule *rule = &rules->rules[i];
        free_texts(rule->hosts, rule->num_hosts);
        free_texts(rule->methods, rule->num_methods);
        free_texts(rule->paths, rule->num_paths);
        free(rule->exact);
        free(rule->prefix);
    }
    free(rules->rules);
    free(rules);
}

static char **copy_texts(const char *const *texts, size_t num) {
    char **copy = calloc(num + 1, sizeof(*copy));
    for (size_t i = 0; copy != NULL && i < num; i++) {
        copy[i] = strdup(texts[i]);
        if (copy[i] == NULL) {
            free_texts(copy, i);
            return NULL;
        }
    }
    return copy;
}

static bool is_host_pattern(const char *text) {
    struct span host = span_of_text(text);
    if (span_equal_text(host, "*")) {
        return true;
    }
    if (host.len > 2 && text[0] == '*' && text[1] == '.') {
        host = span_after(host, 2);
    }
    return http_chars_is_host(host) && text[strlen(text) - 1] != '.';
}

static bool copy_hosts(struct rule *out, const struct http_rule *rule, size_t index,
                       struct err *err) {
    for (size_t i = 0; i < rule->num_hosts; i++) {
        if (!is_host_pattern(rule->hosts[i])) {
            return ERR_SET(err, ERR_INPUT,
                           "httpRules[%zu]: the host \"%s\" is neither a name nor \"*.\" and a "
                           "name",
                           index, rule->hosts[i]);
        }
    }
    out->hosts = copy_texts(rule->hosts, rule->num_hosts);
    if (out->hosts == NULL) {
        return ERR_NO_MEMORY(err, "reading HTTP rules");
    }
    out->num_hosts = rule->num_hosts;
    for (size_t i = 0; i < out->num_hosts; i++) {
        for (char *c = out->hosts[i]; *c != '\0'; c++) {
            *c = (char)http_chars_lower((uint8_t)*c);
        }
    }
    return true;
}

static bool copy_methods(struct rule *out, const struct http_rule *rule, size_t index,
                         struct err *err) {
    for (size_t i = 0; i < rule->num_methods; i++) {
        if (!http_chars_is_token(span_of_text(rule->methods[i]))) {
            return ERR_SET(err, ERR_INPUT, "httpRules[%zu]: \"%s\" is not a method", index,
                           rule->methods[i]);
        }
    }
    out->methods = copy_texts(rule->methods, rule->num_methods);
    if (out->methods == NULL) {
        return ERR_NO_MEMORY(err, "reading HTTP rules");
    }
    out->num_methods = rule->num_methods;
    return true;
}

// A path that no normalised path can equal would be a rule that never matches, in silence.
static bool is_normal(const char *path) {
    const char *last = strrchr(path, '/');
    bool ends_in_dots = last != NULL && (strcmp(last, "/.") == 0 || strcmp(last, "/..") == 0);
    return !ends_in_dots && path[0] == '/' && strpbrk(path, "?#%\\") == NULL &&
           strstr(path, "//") == NULL && strstr(path, "/./") == NULL &&
           strstr(path, "/../") == NULL;
}

static bool copy_paths(struct rule *out, const struct http_rule *rule, size_t index,
                       struct err *err) {
    out->paths = calloc(rule->num_paths + 1, sizeof(*out->paths));
    out->exact = calloc(rule->num_paths + 1, sizeof(*out->exact));
    if (out->paths == NULL || out->exact == NULL) {
        return ERR_NO_MEMORY(err, "reading HTTP rules");
    }
    for (; out->num_paths < rule->num_paths; out->num_paths++) {
        const struct http_path_rule *path = &rule->paths[out->num_paths];
        if (!is_normal(path->path)) {
            return ERR_SET(err, ERR_INPUT,
                           "httpRules[%zu]: the path \"%s\" must begin with '/', decoded, without "
                           "dots, \"//\" and query",
                           index, path->path);
        }
        out->exact[out->num_paths] = path->exact;
        out->paths[out->num_paths] = strdup(path->path);
        if (out->paths[out->num_paths] == NULL) {
            return ERR_NO_MEMORY(err, "reading HTTP rules");
        }
    }
    return true;
}

static bool copy_rule(struct rule *out, const struct http_rule *rule, size_t index,
                      struct err *err) {
    const char *prefix = rule->path_prefix == NULL ? "" : rule->path_prefix;
    if (rule->num_hosts > LIST_MAX || rule->num_methods > LIST_MAX || rule->num_paths > LIST_MAX) {
        return ERR_SET(err, ERR_INPUT, "httpRules[%zu]: a list has more than %d entries", index,
                       LIST_MAX);
    }
    if (prefix[0] != '\0' && !is_normal(prefix)) {
        return ERR_SET(err, ERR_INPUT,
                       "httpRules[%zu]: pathPrefix \"%s\" must begin with '/', decoded, without "
                       "dots, \"//\" and query",
                       index, prefix);
    }
    size_t len = strlen(prefix);
    while (len > 0 && prefix[len - 1] == '/') {
        len--;
    }
    out->prefix = strndup(prefix, len);
    out->strip_prefix = rule->strip_prefix;
    if (out->prefix == NULL) {
        return ERR_NO_MEMORY(err, "reading HTTP rules");
    }
    return copy_hosts(out, rule, index, err) && copy_methods(out, rule, index, err) &&
           copy_paths(out, rule, index, err);
}

struct http_rules *http_rules_new(const struct http_rule *rules, size_t num, struct err *err) {
    if (num > RULES_MAX) {
        (void)ERR_SET(err, ERR_INPUT, "httpRules: there are more than %d rules", RULES_MAX);
        return NULL;
    }
    OWNED(http_rules_free) struct http_rules *made = calloc(1, sizeof(*made));
    if (made == NULL || (made->rules = calloc(num + 1, sizeof(*made->rules))) == NULL) {
        (void)ERR_NO_MEMORY(err, "reading HTTP rules");
        return NULL;
    }
    for (size_t i = 0; i < num; i++) {
        made->num = i + 1;
        if (!copy_rule(&made->rules[i], &rules[i], i, err)) {
            return NULL;
        }
    }
    return take(&made);
}

bool http_rules_is_empty(const struct http_rules *rules) {
    return rules->num == 0;
}

bool http_rules_host_matches(const char *pattern, struct span host) {
    if (strcmp(pattern, "*") == 0) {
        return true;
    }
    if (pattern[0] != '*') {
        return http_chars_equal_nocase(host, pattern);
    }
    const uint8_t *dot = host.len == 0 ? NULL : memchr(host.ptr, '.', host.len);
    if (dot == NULL || dot == host.ptr) {
        return false;
    }
    return http_chars_equal_nocase(span_after(host, (size_t)(dot - host.ptr)), pattern + 1);
}

static bool has_host(const struct rule *rule, struct span host) {
    for (size_t i = 0; i < rule->num_hosts; i++) {
        if (http_rules_host_matches(rule->hosts[i], host)) {
            return true;
        }
    }
    return rule->num_hosts == 0;
}

// Methods are case-sensitive (RFC 9110 section 9.1).
static bool has_method(const struct rule *rule, struct span method) {
    for (size_t i = 0; i < rule->num_methods; i++) {
        if (span_equal_text(method, rule->methods[i])) {
            return true;
        }
    }
    return rule->num_methods == 0;
}

// Whether `path` is `prefix` or below it: "/v1" has "/v1/x" and not "/v10".
static bool is_below(struct span path, const char *prefix) {
    size_t len = strlen(prefix);
    if (path.len < len || memcmp(path.ptr, prefix, len) != 0) {
        return false;
    }
    return path.len == len || len == 0 || prefix[len - 1] == '/' || path.ptr[len] == '/';
}

static bool has_path(const struct rule *rule, struct span rest) {
    for (size_t i = 0; i < rule->num_paths; i++) {
        if (rule->exact[i] ? span_equal_text(rest, rule->paths[i])
                           : is_below(rest, rule->paths[i])) {
            return true;
        }
    }
    return rule->num_paths == 0;
}

static bool rule_matches(const struct rule *rule, struct span method, struct span path,
                         struct span *forwarded) {
    if (!has_method(rule, method) || !is_below(path, rule->prefix)) {
        return false;
    }
    struct span rest = span_after(path, strlen(rule->prefix));
    rest = rest.len == 0 ? span_of_text("/") : rest;
    *forwarded = rule->strip_prefix ? rest : path;
    return has_path(rule, rest);
}

struct http_match http_rules_match(const struct http_rules *rules, struct span host,
                                   struct span method, struct span path) {
    struct http_match match = {.rule = rules->num == 0 ? 0 : -1, .path = path};
    for (size_t i = 0; i < rules->num; i++) {
        const struct rule *rule = &rules->rules[i];
        struct span forwarded;
        if (has_host(rule, host) && rule_matches(rule, method, path, &forwarded)) {
            return (struct http_match){.rule = (int)i, .path = forwarded};
        }
    }
    return match;
}
