#include "tests/sandbox/place.h"

#include <stdio.h>

static struct scratch_dir dir;

const struct scratch_dir *place(void) {
    return &dir;
}

struct scratch_path place_path(const char *name) {
    return scratch_dir_path(&dir, name);
}

int place_set_up(void **state) {
    (void)state;
    scratch_dir_init(&dir);
    scratch_dir_make(&dir, "etc");
    scratch_dir_rewrite(&dir, "etc/agent.yaml", span_of_text("{}"));
    const char *const places[] = {"read", "written", "outside"};
    for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
        char name[64];
        scratch_dir_make(&dir, places[i]);
        (void)snprintf(name, sizeof(name), "%s/file", places[i]);
        scratch_dir_rewrite(&dir, name, span_of_text("x"));
    }
    scratch_dir_rewrite(&dir, "single", span_of_text("x"));
    return 0;
}

int place_tear_down(void **state) {
    (void)state;
    scratch_dir_fini(&dir);
    return 0;
}
