#include "agent/http/uri_patterns.h"

#include <stdlib.h>
#include <string.h>

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

// Steps of the matcher for one search, and its memory: patterns are the configuration's, but paths
// are the client's, and "(a+)+$" would cost seconds.
#define MATCH_STEPS_MAX 20000
#define MATCH_HEAP_KIB_MAX 256

struct uri_patterns {
    pcre2_match_context *limits;
    size_t num;
    pcre2_code *code[URI_PATTERNS_MAX];
};

void uri_patterns_free(struct uri_patterns *patterns) {
    if (patterns == NULL) {
        return;
    }
    for (size_t i = 0; i < patterns->num; i++) {
        pcre2_code_free(patterns->code[i]);
    }
    pcre2_match_context_free(patterns->limits);
    free(patterns);
}

static pcre2_code *compile(const char *pattern, struct err *err) {
    size_t len = strlen(pattern);
    if (len == 0 || len > URI_PATTERN_LEN_MAX) {
        (void)ERR_SET(err, ERR_INPUT, "skipMtlsUriRegex: a pattern has 1 to %d characters",
                      URI_PATTERN_LEN_MAX);
        return NULL;
    }
    int code = 0;
    PCRE2_SIZE at = 0;
    pcre2_code *compiled = pcre2_compile(
        (PCRE2_SPTR)pattern, len, PCRE2_NEVER_BACKSLASH_C | PCRE2_DOLLAR_ENDONLY, &code, &at, NULL);
    if (compiled == NULL) {
        PCRE2_UCHAR why[128] = "";
        (void)pcre2_get_error_message(code, why, sizeof(why));
        (void)ERR_SET(err, ERR_INPUT, "skipMtlsUriRegex: \"%s\", character %zu: %s", pattern,
                      (size_t)at + 1, (const char *)why);
    }
    return compiled;
}

struct uri_patterns *uri_patterns_new(const char *const *patterns, size_t num, struct err *err) {
    if (num > URI_PATTERNS_MAX) {
        (void)ERR_SET(err, ERR_INPUT, "skipMtlsUriRegex: there are more than %d patterns",
                      URI_PATTERNS_MAX);
        return NULL;
    }
    OWNED(uri_patterns_free) struct uri_patterns *made = calloc(1, sizeof(*made));
    if (made == NULL || (made->limits = pcre2_match_context_create(NULL)) == NULL) {
        (void)ERR_NO_MEMORY(err, "compiling skipMtlsUriRegex");
        return NULL;
    }
    pcre2_set_match_limit(made->limits, MATCH_STEPS_MAX);
    pcre2_set_heap_limit(made->limits, MATCH_HEAP_KIB_MAX);
    for (; made->num < num; made->num++) {
        made->code[made->num] = compile(patterns[made->num], err);
        if (made->code[made->num] == NULL) {
            return NULL;
        }
    }
    return take(&made);
}

bool uri_patterns_is_empty(const struct uri_patterns *patterns) {
    return patterns->num == 0;
}

static bool found(const struct uri_patterns *patterns, const pcre2_code *code, struct span path) {
    pcre2_match_data *match = pcre2_match_data_create(1, NULL);
    if (match == NULL) {
        return false;
    }
    int result = pcre2_match(code, path.ptr, path.len, 0, 0, match, patterns->limits);
    pcre2_match_data_free(match);
    return result >= 0;
}

bool uri_patterns_match(const struct uri_patterns *patterns, struct span path) {
    for (size_t i = 0; i < patterns->num; i++) {
        if (found(patterns, patterns->code[i], path)) {
            return true;
        }
    }
    return false;
}
