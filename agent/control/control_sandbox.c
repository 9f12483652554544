// Entering the sandbox at the start, and what a reload may not ask for afterwards.
#include <stdio.h>
#include <string.h>

#include "agent/control/control_parts_internal.h"
#include "base/log.h"
#include "certmgr/trust/trust_dir.h"

// What could not be had, in one line.
static void say_missing_layers(const struct sandbox *sandbox) {
    char text[256] = "";
    size_t len = 0;
    for (int i = 0; i < SANDBOX_LAYERS; i++) {
        if (!sandbox->layers[i].is_on && len < sizeof(text)) {
            len +=
                (size_t)snprintf(text + len, sizeof(text) - len, "%s%s (%s)", len == 0 ? "" : ", ",
                                 sandbox_layer_name(i), strerrorname_np(sandbox->layers[i].errnum));
        }
    }
    if (len > 0) {
        log_msg(LOG_WARN, "sandbox",
                "the agent runs without these layers, which cannot be had here: %s", text);
    }
}

static void say_missing_place(const struct sandbox *sandbox) {
    const struct sandbox_place *place = sandbox_missing_place(sandbox);
    if (place != NULL) {
        log_msg(LOG_WARN, "sandbox",
                "%s: %s was not there when the sandbox was entered; once it is there, restart the "
                "sidecar",
                place->key, place->path);
    }
}

bool control_sandbox_start(struct control *control, struct err *err) {
    const struct config *config = control->config;
    if (config->trust_store.is_set) { // afterwards its parent would have to be left open
        (void)!trust_dir_make_all(config->trust_store.output);
    }
    control->sandbox = sandbox_enter(config, control->config_path, err);
    if (control->sandbox == NULL) {
        return false;
    }
    if (config->sandbox != SANDBOX_OFF) {
        say_missing_layers(control->sandbox);
        say_missing_place(control->sandbox);
    }
    return true;
}

bool control_sandbox_admits(const struct control *control, const struct config *config,
                            struct err *err) {
    if (config != NULL && config->sandbox != control->sandbox->mode) {
        return ERR_SET(err, ERR_INPUT,
                       "sandbox: it cannot change while the sidecar runs; restart "
                       "it");
    }
    return sandbox_admits(control->sandbox, config, control->config_path, err);
}
