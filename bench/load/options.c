#include "bench/load/options.h"

#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/span.h"
#include "bench/load/loop.h"

#define MAX_STREAMS 100000
#define MAX_SIZE (64 * 1024)
#define MAX_SECONDS 3600

static struct netaddr address(const char *text) {
    struct err err = {0};
    struct netaddr addr;
    if (!netaddr_parse(&addr, span_of_text(text), &err)) {
        loop_die("%s", err.msg);
    }
    return addr;
}

static double number(const char *name, const char *text, double max) {
    char *end;
    double value = strtod(text, &end);
    if (*end != '\0' || !(value > 0 && value <= max)) {
        loop_die("%s is not a number above 0 and up to %g: %s", name, max, text);
    }
    return value;
}

static void set(struct options *out, const char *name, const char *value) {
    if (strcmp(name, "--app") == 0) {
        out->app = address(value);
    } else if (strcmp(name, "--to") == 0) {
        out->to = address(value);
    } else if (strcmp(name, "--streams") == 0) {
        out->streams = (unsigned)number(name, value, MAX_STREAMS);
    } else if (strcmp(name, "--direction") == 0) {
        out->down = strcmp(value, "down") == 0;
    } else if (strcmp(name, "--size") == 0) {
        out->size = (size_t)number(name, value, MAX_SIZE);
    } else if (strcmp(name, "--rate") == 0) {
        out->rate = number(name, value, 1e6);
    } else if (strcmp(name, "--seconds") == 0) {
        out->duration_ns = (int64_t)(number(name, value, MAX_SECONDS) * 1e9);
    } else {
        loop_die("no option %s", name);
    }
}

void options_parse(struct options *out, int argc, char **argv) {
    *out = (struct options){.streams = 1, .size = 1024, .rate = 1000, .duration_ns = 1000000000};
    for (int i = 0; i < argc; i += 2) {
        if (i + 1 == argc) {
            loop_die("%s wants a value", argv[i]);
        }
        set(out, argv[i], argv[i + 1]);
    }
}
