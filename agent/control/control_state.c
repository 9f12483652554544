// What outlives a restart (identity.stateDirectory; docs/decisions/0006): trust bundles and pinned
// destinations, never a key. A file that cannot be read or written is said once and changes
// nothing else.
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/control/control_parts_internal.h"
#include "agent/mesh/pins.h"
#include "base/buf.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"

#define PINS_EVERY_MS 5000               // at most, after changes
#define PINS_RENEWED_MS (10 * 60 * 1000) // for pins that were only renewed
#define BUNDLES_EVERY_MS (60 * 60 * 1000)
#define PRIVATE_MODE 0600

// Whoever can write there can add roots, so nobody else may.
bool control_state_check(const struct config *config, struct err *err) {
    const char *path = config->identity.state_directory;
    struct stat st;
    if (path == NULL) {
        return true;
    }
    if (mkdir(path, 0700) != 0 && errno != EEXIST) {
        return ERR_SET_ERRNO(err, ERR_ENVIRONMENT, errno, "identity.stateDirectory: cannot make %s",
                             path);
    }
    if (stat(path, &st) != 0 || !S_ISDIR(st.st_mode)) {
        return ERR_SET(err, ERR_ENVIRONMENT, "identity.stateDirectory: %s is not a directory",
                       path);
    }
    if ((st.st_uid != 0 && st.st_uid != geteuid()) || (st.st_mode & (S_IWGRP | S_IWOTH)) != 0) {
        return ERR_SET(err, ERR_ENVIRONMENT,
                       "identity.stateDirectory: %s can be written by others; it has to belong to "
                       "this process's user (or root) with mode 0755 or less",
                       path);
    }
    return access(path, W_OK | X_OK) == 0 ||
           ERR_SET_ERRNO(err, ERR_ENVIRONMENT, errno, "identity.stateDirectory: cannot write to %s",
                         path);
}

static bool path_of(const struct control *control, const char *name, char out[CONTROL_PATH_MAX]) {
    int len = snprintf(out, CONTROL_PATH_MAX, "%s/%s", control->kept.directory, name);
    return len > 0 && len < CONTROL_PATH_MAX;
}

// Said once for each row of the same failure.
static void say(struct control *control, const char *path, const struct err *err) {
    if (!control->kept.said_failure) {
        log_msg(LOG_WARN, "state", "%s: %s; after a restart it will not be known", path, err->msg);
    }
    control->kept.said_failure = true;
}

static void save(struct control *control, const char *name, struct buf *text, bool is_whole) {
    char path[CONTROL_PATH_MAX];
    struct err err = {0};
    if (control->kept.is_theirs) {
        buf_fini(text);
        return;
    }
    if (!is_whole) {
        ERR_NO_MEMORY(&err, "saving it");
        say(control, name, &err);
    } else if (path_of(control, name, path)) {
        if (file_write_atomic(path, buf_span(text), PRIVATE_MODE, &err)) {
            control->kept.said_failure = false;
        } else {
            say(control, path, &err);
        }
    }
    buf_fini(text);
}

static void save_pins(struct control *control) {
    struct buf text = {0};
    control->kept.pins_saved_ms = clock_mono_ms();
    control->kept.pin_changes = destinations_pin_changes(control->shared.destinations);
    bool is_whole = pins_render(control->shared.destinations, clock_wall_ms(), &text);
    save(control, "pins", &text, is_whole);
}

static void save_bundles(struct control *control) {
    struct buf text = {0};
    control->kept.bundles_saved_ms = clock_mono_ms();
    bool is_whole = kept_bundles_render(control->kept.bundles, &text);
    save(control, "bundles", &text, is_whole);
}

// --- the start ---

// False when there is no such file, or it cannot be read; only the second is said.
static bool read_file(struct control *control, const char *path, size_t max, struct buf *out) {
    struct err err = {0};
    if (file_read(path, max, out, &err)) {
        return true;
    }
    if (err.errnum != ENOENT) {
        say(control, path, &err);
    }
    return false;
}

static void load_bundles(struct control *control) {
    char path[CONTROL_PATH_MAX];
    struct buf text = {0};
    struct err err = {0};
    if (path_of(control, "bundles", path) &&
        read_file(control, path, KEPT_BUNDLES_TEXT_MAX, &text) &&
        !kept_bundles_parse(control->kept.bundles, buf_span(&text), clock_wall_s(), &err)) {
        say(control, path, &err);
    }
    buf_fini(&text);
}

static void load_pins(struct control *control) {
    char path[CONTROL_PATH_MAX];
    struct buf text = {0};
    struct err err = {0};
    if (path_of(control, "pins", path) && read_file(control, path, PINS_TEXT_MAX, &text) &&
        !pins_parse(control->shared.destinations, buf_span(&text), clock_wall_ms(),
                    control->config->outbound.mesh_pin_for_ms, &err)) {
        say(control, path, &err);
    }
    control->kept.pin_changes = destinations_pin_changes(control->shared.destinations);
    buf_fini(&text);
}

bool control_state_start(struct control *control, struct err *err) {
    const char *directory = control->config->identity.state_directory;
    control->kept.bundles = kept_bundles_new();
    if (control->kept.bundles == NULL) {
        return ERR_NO_MEMORY(err, "starting");
    }
    if (directory == NULL) {
        return true;
    }
    if (!control_state_check(control->config, err)) {
        return false;
    }
    control->kept.directory = strdup(directory);
    if (control->kept.directory == NULL) {
        return ERR_NO_MEMORY(err, "starting");
    }
    load_bundles(control);
    load_pins(control);
    return true;
}

void control_state_reload(struct control *control) {
    const char *directory = control->config->identity.state_directory;
    free(control->kept.directory);
    control->kept.directory = directory == NULL ? NULL : strdup(directory);
    if (control->kept.directory != NULL) {
        save_bundles(control);
        save_pins(control);
    }
}

// --- meanwhile ---

void control_state_fill(struct control *control, struct update *update) {
    struct err err = {0};
    if (!kept_bundles_fill(control->kept.bundles, update, clock_wall_s(), &err)) {
        say(control, "bundles", &err); // the store judges what there is
    }
}

void control_state_record(struct control *control, const struct update *update) {
    struct err err = {0};
    if (!kept_bundles_record(control->kept.bundles, update, clock_wall_s(), &err)) {
        say(control, "bundles", &err);
    }
    if (control->kept.directory != NULL) {
        save_bundles(control);
    }
}

static void tick_bundles(struct control *control, int64_t now_ms) {
    int64_t until = kept_bundles_filled_until(control->kept.bundles);
    if (until != 0 && clock_wall_s() >= until && control->intake != NULL) {
        source_refresh(control->intake->source); // delivered anew, it is filled without them
    }
    if (control->kept.directory != NULL && control->report.state == SOURCE_CONNECTED &&
        now_ms - control->kept.bundles_saved_ms >= BUNDLES_EVERY_MS) {
        kept_bundles_confirm(control->kept.bundles, clock_wall_s());
        save_bundles(control);
    }
}

void control_state_tick(struct control *control) {
    int64_t now_ms = clock_mono_ms();
    tick_bundles(control, now_ms);
    if (control->kept.directory == NULL) {
        return;
    }
    int64_t passed_ms = now_ms - control->kept.pins_saved_ms;
    bool changed =
        destinations_pin_changes(control->shared.destinations) != control->kept.pin_changes;
    if (passed_ms >= PINS_RENEWED_MS || (changed && passed_ms >= PINS_EVERY_MS)) {
        save_pins(control);
    }
}

void control_state_stop(struct control *control) {
    if (control->kept.directory != NULL) {
        save_pins(control);
    }
    kept_bundles_free(control->kept.bundles);
    free(control->kept.directory);
}
