#include <string.h>

#include "bench/load/loads.h"
#include "bench/load/loop.h"

static const struct {
    const char *name;
    int (*run)(const struct options *options);
} KINDS[] = {
    {"bulk", bulk_run},   {"ping", ping_run}, {"rate", rate_run},
    {"churn", churn_run}, {"idle", idle_run}, {"echo", echo_run},
};

int main(int argc, char **argv) {
    for (size_t i = 0; argc > 1 && i < sizeof(KINDS) / sizeof(KINDS[0]); i++) {
        if (strcmp(argv[1], KINDS[i].name) == 0) {
            struct options options;
            options_parse(&options, argc - 2, argv + 2);
            return KINDS[i].run(&options);
        }
    }
    loop_die("usage: load bulk|ping|rate|churn|idle|echo --app ADDRESS --to ADDRESS ...");
}
