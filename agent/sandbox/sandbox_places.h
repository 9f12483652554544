// The places in the file system that an agent with this configuration needs: the directories of
// the files that the configuration names (files are replaced by renames, so the file alone would
// be lost at the next one), and of what links lead to; directories that it names, and what the
// program itself reads. A directory to write in stands for itself alone: where it is missing
// nothing is opened in its place. Looks at the file system, changes nothing.
#ifndef AGENT_SANDBOX_SANDBOX_PLACES_H
#define AGENT_SANDBOX_SANDBOX_PLACES_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "agent/config/config.h"
#include "base/own.h"

// A file stands for itself where its directory is one of the root directory's own (/etc, /tmp):
// those hold too much that is none of the agent's business.
struct sandbox_place {
    char *path;      // canonical; as it was named where it is missing
    char *key;       // of the configuration that names it; "": nothing there does
    unsigned access; // bits of enum landlock_access
    bool is_missing; // there is nothing of that name
    dev_t device;    // what it is, else
    ino_t inode;
};

struct sandbox_places {
    struct sandbox_place *items;
    size_t num, cap;
};

// Appends. `config` may be NULL: the file `config_path` alone. False when memory is short.
bool sandbox_places_collect(const struct config *config, const char *config_path,
                            struct sandbox_places *out) MUST_USE;
// What the program itself reads, whatever the configuration.
bool sandbox_places_collect_own(struct sandbox_places *out) MUST_USE;
void sandbox_places_fini(struct sandbox_places *places);

// The first of `wanted` with a key that lies in none of `granted`, or in one that is another
// directory by now; NULL: there is none.
const struct sandbox_place *sandbox_places_outside(const struct sandbox_places *granted,
                                                   const struct sandbox_places *wanted);

#endif
