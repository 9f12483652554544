// A directory of certificates and keys, and configurations that name them: "DIR" in a text is the
// directory. What loading said is kept.
#ifndef TESTS_EDGE_EDGE_WORLD_H
#define TESTS_EDGE_EDGE_WORLD_H

#include "agent/edge/edge_set.h"
#include "base/buf.h"
#include "base/span.h"

#define EDGE_WORLD_PATH_MAX 128

struct edge_world {
    char directory[64];
    struct buf errors, warnings; // of the last load
};

void edge_world_init(struct edge_world *world);
void edge_world_fini(struct edge_world *world); // removes the files, too
void edge_world_path(const struct edge_world *world, const char *name,
                     char out[EDGE_WORLD_PATH_MAX]);
// Writes a PEM file of one block.
void edge_world_write(const struct edge_world *world, const char *name, const char *label,
                      struct span der);
// The set of a whole configuration; NULL: it was refused. Fails the test when the configuration
// itself has a mistake.
struct edge_set *edge_world_load(struct edge_world *world, const char *text,
                                 const struct edge_set *before, enum edge_expiry expiry);

#endif
