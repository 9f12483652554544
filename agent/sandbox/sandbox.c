#include "agent/sandbox/sandbox.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/seccomp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "agent/sandbox/capabilities.h"
#include "agent/sandbox/landlock.h"
#include "agent/sandbox/syscall_filter.h"

// What a refused system call comes to. A build in which nothing is forgiven finds out what the list
// lacks.
#ifdef SANDBOX_KILLS
#define OTHERWISE SECCOMP_RET_KILL_PROCESS
#else
#define OTHERWISE (SECCOMP_RET_ERRNO | EPERM)
#endif

const char *sandbox_layer_name(enum sandbox_layer layer) {
    static const char *const NAMES[] = {
        [SANDBOX_NO_NEW_PRIVS] = "noNewPrivs",
        [SANDBOX_LANDLOCK] = "landlock",
        [SANDBOX_CAPABILITIES] = "capabilities",
        [SANDBOX_SECCOMP] = "seccomp",
    };
    return NAMES[layer];
}

// --- the layers; false with errno ---

static bool forbid_new_privileges(struct sandbox *sandbox UNUSED) {
    return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0;
}

static bool allow_places(const struct sandbox *sandbox, int set) {
    for (size_t i = 0; i < sandbox->places.num; i++) {
        const struct sandbox_place *place = &sandbox->places.items[i];
        if (!place->is_missing && !landlock_allow(set, place->path, place->access)) {
            return false;
        }
    }
    return true;
}

static bool restrict_files(struct sandbox *sandbox) {
    int set = landlock_new();
    if (set < 0) {
        return false;
    }
    sandbox->own_proc = open("/proc/self", O_PATH | O_DIRECTORY | O_CLOEXEC);
    bool ok = allow_places(sandbox, set) && landlock_enforce(set);
    int errnum = errno;
    close(set);
    errno = errnum;
    return ok;
}

static bool drop_capabilities(struct sandbox *sandbox UNUSED) {
    return capabilities_drop_all();
}

static bool restrict_system_calls(struct sandbox *sandbox UNUSED) {
    struct syscall_filter filter;
    if (!syscall_filter_build((uint32_t)getpid(), OTHERWISE, &filter)) {
        errno = EOPNOTSUPP;
        return false;
    }
    return syscall_filter_install(&filter);
}

// Each needs what the later ones forbid.
static bool (*const ENTER[SANDBOX_LAYERS])(struct sandbox *sandbox) = {
    [SANDBOX_NO_NEW_PRIVS] = forbid_new_privileges,
    [SANDBOX_LANDLOCK] = restrict_files,
    [SANDBOX_CAPABILITIES] = drop_capabilities,
    [SANDBOX_SECCOMP] = restrict_system_calls,
};

static bool enter_layers(struct sandbox *sandbox, struct err *err) {
    for (int i = 0; i < SANDBOX_LAYERS; i++) {
        sandbox->layers[i].is_on = ENTER[i](sandbox);
        sandbox->layers[i].errnum = sandbox->layers[i].is_on ? 0 : errno;
        if (!sandbox->layers[i].is_on && sandbox->mode == SANDBOX_REQUIRED) {
            int errnum = sandbox->layers[i].errnum;
            return ERR_SET_ERRNO(err, ERR_ENVIRONMENT, errnum,
                                 "sandbox: required, but the layer %s cannot be had here (%s)",
                                 sandbox_layer_name(i), strerrorname_np(errnum));
        }
    }
    return true;
}

struct sandbox *sandbox_enter(const struct config *config, const char *config_path,
                              struct err *err) {
    OWNED(sandbox_free) struct sandbox *sandbox = calloc(1, sizeof(*sandbox));
    if (sandbox == NULL) {
        ERR_NO_MEMORY(err, "entering the sandbox");
        return NULL;
    }
    sandbox->own_proc = -1;
    sandbox->mode = config->sandbox;
    if (sandbox->mode == SANDBOX_OFF) {
        return take(&sandbox);
    }
    if (!sandbox_places_collect(config, config_path, &sandbox->places) ||
        !sandbox_places_collect_own(&sandbox->places)) {
        ERR_NO_MEMORY(err, "entering the sandbox");
        return NULL;
    }
    return enter_layers(sandbox, err) ? take(&sandbox) : NULL;
}

void sandbox_free(struct sandbox *sandbox) {
    if (sandbox == NULL) {
        return;
    }
    if (sandbox->own_proc >= 0) {
        close(sandbox->own_proc);
    }
    sandbox_places_fini(&sandbox->places);
    free(sandbox);
}

bool sandbox_admits(const struct sandbox *sandbox, const struct config *config,
                    const char *config_path, struct err *err) {
    struct sandbox_places wanted = {0};
    if (!sandbox->layers[SANDBOX_LANDLOCK].is_on) {
        return true;
    }
    bool ok = sandbox_places_collect(config, config_path, &wanted) ||
              ERR_NO_MEMORY(err, "looking at the sandbox");
    const struct sandbox_place *outside =
        ok ? sandbox_places_outside(&sandbox->places, &wanted) : NULL;
    if (outside != NULL) {
        ok = ERR_SET(err, ERR_ENVIRONMENT,
                     "%s: %s is not among the directories that the sandbox left open%s at the "
                     "start; restart the sidecar to use it",
                     outside->key, outside->path,
                     (outside->access & LANDLOCK_WRITE) != 0 ? " for writing" : "");
    }
    sandbox_places_fini(&wanted);
    return ok;
}

const struct sandbox_place *sandbox_missing_place(const struct sandbox *sandbox) {
    for (size_t i = 0; i < sandbox->places.num; i++) {
        if (sandbox->places.items[i].is_missing) {
            return &sandbox->places.items[i];
        }
    }
    return NULL;
}
