// What the user says about injection: the rows of setting.def, from the command line and from the
// annotations of a pod. Every value is checked before anything is built from it: it ends up in
// container arguments, in configuration and in rules.
#ifndef AGENT_INJECT_SETTINGS_H
#define AGENT_INJECT_SETTINGS_H

#include <stdbool.h>
#include <stddef.h>

#include "agent/inject/manifest.h"
#include "base/err.h"
#include "base/own.h"

#define SETTINGS_PREFIX "pavise/"
#define SETTINGS_LABEL "pavise/inject" // enabled or disabled

enum setting {
#define SETTING(name, key, fallback, form) SETTING_##name,
#include "agent/inject/setting.def"
#undef SETTING
    SETTING_COUNT
};

// Texts are borrowed: from the table, the command line, or the tree.
struct settings {
    const char *value[SETTING_COUNT];
};

void settings_init(struct settings *settings);
// Takes one value; `key` without the prefix.
bool settings_put(struct settings *settings, const char *key, const char *value,
                  struct err *err) MUST_USE;
// Takes "key=value".
bool settings_set(struct settings *settings, const char *assignment, struct err *err) MUST_USE;
// Takes the annotations (NULL: none) of a pod. Unknown keys of ours are mistakes.
bool settings_read(struct settings *settings, const struct manifest_node *annotations,
                   struct err *err) MUST_USE;

bool settings_is(const struct settings *settings, enum setting setting, const char *value);
bool settings_has(const struct settings *settings, enum setting setting);

#endif
