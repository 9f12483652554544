// `pavise trust run -- COMMAND`: the store is brought up to date and the command takes this
// process's place, with the environment that the store's `env.sh` would give it.
#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "agent/command/trust_internal.h"
#include "agent/trust/trust_sync.h"
#include "base/clock.h"
#include "certmgr/trust/trust_env.h"
#include "certmgr/trust/trust_store.h"

enum { EXIT_CANNOT_RUN = 126, EXIT_NOT_FOUND = 127 }; // as shells and env(1) have it

// Without the right to write, a store that an agent keeps is good enough.
static bool have_store(const struct trust_scene *scene, struct err *err) {
    const struct trust_plan_listener nobody = {0};
    const struct trust_options *options = trust_plan_options(scene->plan);
    struct trust_sync_result result = {0};
    struct trust_store_state state;
    trust_plan_refresh(scene->plan, clock_mono_ms(), -1, &nobody);
    if (trust_sync(options, NULL, clock_wall_s(), &result, err)) {
        trust_set_unref(result.set);
        return true;
    }
    trust_store_read(options->output, &state);
    if (state.generation == 0) {
        return false;
    }
    trust_warn("warning: %s; the store that is there is used as it is", err->msg);
    *err = (struct err){0};
    return true;
}

static bool set_variable(const struct trust_env *env, size_t index, struct err *err) {
    const char *name = trust_env_name(index);
    const char *before = getenv(name);
    char value[TRUST_ENV_VALUE_MAX];
    char *merged = NULL;
    bool ok = true;
    if (before == NULL) {
        trust_env_value(env, index, value);
        ok = setenv(name, value, 1) == 0;
    } else {
        ok = trust_env_merge(env, index, before, &merged) &&
             (merged == NULL || setenv(name, merged, 1) == 0);
        if (ok && merged == NULL && strstr(before, env->output) == NULL) {
            trust_warn("warning: %s is set already and stays: who goes by it does not use the "
                       "store; unset it first",
                       name);
        }
        free(merged);
    }
    return ok || ERR_NO_MEMORY(err, "setting the environment");
}

bool trust_exec(const struct trust_scene *scene, struct err *err) {
    const struct trust_options *options = trust_plan_options(scene->plan);
    const struct trust_env env = {.output = options->output,
                                  .java_uses_jks = options->java_uses_jks};
    char **command = scene->arguments->operands;
    bool ok = have_store(scene, err);
    for (size_t i = 0; ok && i < trust_env_num(); i++) {
        ok = set_variable(&env, i, err);
    }
    if (!ok) {
        return false;
    }
    execvp(command[0], command);
    *scene->exit_code = errno == ENOENT ? EXIT_NOT_FOUND : EXIT_CANNOT_RUN;
    return ERR_SET_ERRNO(err, ERR_INPUT, errno, "cannot start %s", command[0]);
}
