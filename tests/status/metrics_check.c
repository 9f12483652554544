#include "tests/status/metrics_check.h"

#include <regex.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define NAME "[a-zA-Z_:][a-zA-Z0-9_:]*"
#define LABEL "[a-zA-Z_][a-zA-Z0-9_]*=\"([^\"\\]|\\\\[\\n\"])*\""
#define LINE_MAX_LEN 4096

struct checker {
    regex_t help, type, sample;
    char name[256]; // whose samples are being read
    char metric_type[32];
    enum { AFTER_SAMPLE, AFTER_HELP, AFTER_TYPE } at;
    char seen[256][256]; // names that had their HELP
    size_t num_seen;
    char *series[4096];
    size_t num_series;
    const char *problem;
};

static bool wrong(struct checker *c, const char *problem) {
    c->problem = problem;
    return false;
}

static void group(const char *line, const regmatch_t *m, char out[256]) {
    (void)snprintf(out, 256, "%.*s", (int)(m->rm_eo - m->rm_so), line + m->rm_so);
}

static bool check_help(struct checker *c, const char *line, const regmatch_t *m) {
    char name[256];
    group(line, &m[1], name);
    if (c->at != AFTER_SAMPLE) {
        return wrong(c, "a HELP where a sample must be");
    }
    for (size_t i = 0; i < c->num_seen; i++) {
        if (strcmp(c->seen[i], name) == 0) {
            return wrong(c, "a second HELP for one name");
        }
    }
    memcpy(c->seen[c->num_seen++], name, sizeof(name));
    memcpy(c->name, name, sizeof(name));
    c->at = AFTER_HELP;
    return true;
}

static bool check_type(struct checker *c, const char *line, const regmatch_t *m) {
    char name[256];
    char type[256];
    group(line, &m[1], name);
    group(line, &m[2], type);
    if (c->at != AFTER_HELP || strcmp(name, c->name) != 0) {
        return wrong(c, "a TYPE that is not after its HELP");
    }
    size_t len = strlen(name);
    bool is_total = len > 6 && strcmp(name + len - 6, "_total") == 0;
    if (is_total != (strcmp(type, "counter") == 0)) {
        return wrong(c, "_total is for counters, and every counter ends in it");
    }
    c->at = AFTER_TYPE;
    return true;
}

static bool check_sample(struct checker *c, const char *line, const regmatch_t *m) {
    char name[256];
    group(line, &m[1], name);
    if (c->at == AFTER_HELP || strcmp(name, c->name) != 0) {
        return wrong(c, "a sample away from its HELP and TYPE");
    }
    char *series = strndup(line, (size_t)(strrchr(line, ' ') - line));
    for (size_t i = 0; i < c->num_series; i++) {
        if (strcmp(c->series[i], series) == 0) {
            free(series);
            return wrong(c, "a series that is there twice");
        }
    }
    c->series[c->num_series++] = series;
    c->at = AFTER_SAMPLE;
    return true;
}

static bool check_line(struct checker *c, const char *line) {
    regmatch_t m[8];
    if (regexec(&c->help, line, 8, m, 0) == 0) {
        return check_help(c, line, m);
    }
    if (regexec(&c->type, line, 8, m, 0) == 0) {
        return check_type(c, line, m);
    }
    if (regexec(&c->sample, line, 8, m, 0) == 0) {
        return check_sample(c, line, m);
    }
    return wrong(c, "a line that is neither HELP, TYPE nor sample");
}

static bool check_lines(struct checker *c, const char *text, char *why, size_t why_len) {
    while (*text != '\0') {
        char line[LINE_MAX_LEN];
        size_t len = strcspn(text, "\n");
        if (text[len] != '\n' || len >= sizeof(line)) {
            (void)snprintf(why, why_len, "the last line has no newline, or a line is too long");
            return false;
        }
        memcpy(line, text, len);
        line[len] = '\0';
        if (!check_line(c, line)) {
            (void)snprintf(why, why_len, "%s: %s", c->problem, line);
            return false;
        }
        text += len + 1;
    }
    return c->at == AFTER_SAMPLE;
}

bool metrics_check(const char *text, char *why, size_t why_len) {
    struct checker *c = calloc(1, sizeof(*c));
    assert_non_null(c);
    (void)snprintf(why, why_len, "a name without a sample at the end");
    assert_int_equal(regcomp(&c->help, "^# HELP (" NAME ") [^\n]+$", REG_EXTENDED), 0);
    assert_int_equal(
        regcomp(&c->type, "^# TYPE (" NAME ") (counter|gauge|histogram)$", REG_EXTENDED), 0);
    assert_int_equal(regcomp(&c->sample,
                             "^(" NAME ")(\\{" LABEL "(," LABEL ")*\\})? -?[0-9]+(\\.[0-9]+)?$",
                             REG_EXTENDED),
                     0);
    bool fine = check_lines(c, text, why, why_len);
    regfree(&c->help);
    regfree(&c->type);
    regfree(&c->sample);
    for (size_t i = 0; i < c->num_series; i++) {
        free(c->series[i]);
    }
    free(c);
    return fine;
}

const char *metrics_find(const char *text, const char *series, char *out, size_t out_len) {
    size_t len = strlen(series);
    while (text != NULL && *text != '\0') {
        if (strncmp(text, series, len) == 0 && text[len] == ' ') {
            (void)snprintf(out, out_len, "%.*s", (int)strcspn(text + len + 1, "\n"),
                           text + len + 1);
            return out;
        }
        text = strchr(text, '\n');
        text = text == NULL ? NULL : text + 1;
    }
    return NULL;
}
