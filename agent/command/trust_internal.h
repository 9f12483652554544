// What the files of `pavise trust` share; nobody else includes it.
#ifndef AGENT_COMMAND_TRUST_INTERNAL_H
#define AGENT_COMMAND_TRUST_INTERNAL_H

#include <stdbool.h>

#include "agent/config/config.h"
#include "agent/observe/trust_view.h"
#include "agent/trust/trust_plan.h"
#include "base/buf.h"
#include "base/err.h"

struct trust_arguments {
    const char *verb;
    const char *config_path;
    const char *name; // --name
    bool json, all, is_long, help;
    char **operands;
    int num_operands;
};

// A verb's scene: the configuration, and what it comes to.
struct trust_scene {
    const struct trust_arguments *arguments;
    struct config *config;
    struct trust_plan *plan;
    struct buf *out; // for standard output
    int *exit_code;  // 0: as the error says
};

// Reads everything, asks no server, writes nothing; fills `view` (trust_view_fini).
bool trust_look(const struct trust_scene *scene, struct trust_view *view, struct err *err) MUST_USE;

// Each verb: false with the sentence when it failed.
bool trust_add(const struct trust_scene *scene, struct err *err) MUST_USE;
bool trust_remove(const struct trust_scene *scene, struct err *err) MUST_USE;
bool trust_refs(const struct trust_scene *scene, struct err *err) MUST_USE;
bool trust_exec(const struct trust_scene *scene, struct err *err) MUST_USE;  // does not return true
bool trust_write(const struct trust_scene *scene, struct err *err) MUST_USE; // sync

// One line on standard error, made harmless for a terminal.
void trust_warn(const char *format, ...) PRINTF_LIKE(1, 2);

#endif
