#include "tests/edge/edge_world.h"

#include <dirent.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/file.h"
#include "certmgr/pem.h"

void edge_world_init(struct edge_world *world) {
    *world = (struct edge_world){.directory = "/tmp/pavise-edge-XXXXXX"};
    assert_non_null(mkdtemp(world->directory));
}

void edge_world_fini(struct edge_world *world) {
    DIR *directory = opendir(world->directory);
    assert_non_null(directory);
    for (struct dirent *file = readdir(directory); file != NULL; file = readdir(directory)) {
        (void)unlinkat(dirfd(directory), file->d_name, 0); // not "." and ".."
    }
    closedir(directory);
    assert_int_equal(rmdir(world->directory), 0);
    buf_fini(&world->errors);
    buf_fini(&world->warnings);
}

void edge_world_path(const struct edge_world *world, const char *name,
                     char out[EDGE_WORLD_PATH_MAX]) {
    snprintf(out, EDGE_WORLD_PATH_MAX, "%s/%s", world->directory, name);
}

void edge_world_write(const struct edge_world *world, const char *name, const char *label,
                      struct span der) {
    char path[EDGE_WORLD_PATH_MAX];
    struct buf pem = {0};
    edge_world_path(world, name, path);
    assert_true(pem_render(label, der, &pem));
    assert_true(file_write_atomic(path, buf_span(&pem), 0600, NULL));
    buf_fini(&pem);
}

static void put_directory(const struct edge_world *world, const char *text, struct buf *out) {
    for (const char *at = text; *at != '\0';) {
        bool dir = strncmp(at, "DIR", 3) == 0;
        assert_true(dir ? buf_append_text(out, world->directory) : buf_append(out, at, 1));
        at += dir ? 3 : 1;
    }
}

struct edge_set *edge_world_load(struct edge_world *world, const char *text,
                                 const struct edge_set *before, enum edge_expiry expiry) {
    struct buf all = {0};
    put_directory(world, text, &all);
    buf_clear(&world->errors);
    buf_clear(&world->warnings);
    struct config *config = config_parse("f", buf_span(&all), &world->errors, NULL);
    buf_fini(&all);
    if (config == NULL) {
        struct span said = buf_span(&world->errors);
        fail_msg("%.*s", (int)said.len, (const char *)said.ptr);
    }
    struct edge_load how = {.name = "f",
                            .before = before,
                            .expiry = expiry,
                            .errors = &world->errors,
                            .warnings = &world->warnings};
    struct edge_set *set = edge_set_load(config, &how);
    config_unref(config);
    assert_true((set == NULL) == (world->errors.len > 0));
    return set;
}
