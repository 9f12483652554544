#include "certmgr/sds_state.h"

#include <stdlib.h>

#include "certmgr/sds_material.h"

#define NUM_SLOTS 2 // the certificate, then the bundle

// One of the two secrets.
struct slot {
    const char *name;
    enum sds_secret_kind kind;
    struct sds_secret *secret; // the last one that was not refused
    struct update *material;   // what was last good
    struct sds_mark mark;      // of its files when they were last read
    bool has_problem;          // they could not be used then
    struct err problem;
};

struct sds_state {
    struct slot slots[NUM_SLOTS];
    struct update_bytes version;
};

// What a response changes in a slot, until it is clear that the whole response is good.
struct change {
    struct sds_secret *secret; // borrowed from the response; NULL: nothing
    struct update *material;   // NULL: what was last good stays
    struct sds_mark mark;
    struct err problem;
};

struct sds_state *sds_state_new(const char *certificate, const char *bundle) {
    struct sds_state *state = calloc(1, sizeof *state);
    if (state != NULL) {
        state->slots[0] = (struct slot){.name = certificate, .kind = SDS_SECRET_CERTIFICATE};
        state->slots[1] = (struct slot){.name = bundle, .kind = SDS_SECRET_BUNDLE};
    }
    return state;
}

void sds_state_forget(struct sds_state *state) {
    for (size_t i = 0; i < NUM_SLOTS; i++) {
        struct slot *slot = &state->slots[i];
        sds_secret_free(take(&slot->secret));
        update_free(take(&slot->material));
        slot->has_problem = false;
    }
    free(take(&state->version.ptr));
    state->version.len = 0;
}

void sds_state_free(struct sds_state *state) {
    if (state != NULL) {
        sds_state_forget(state);
        free(state);
    }
}

static struct sds_secret *find(const struct sds_response *response, const char *name) {
    for (size_t i = 0; i < response->num_secrets; i++) {
        if (span_equal_text(update_bytes_span(&response->secrets[i]->name), name)) {
            return response->secrets[i];
        }
    }
    return NULL;
}

static bool change_prepare(struct change *change, const struct slot *slot,
                           const struct sds_response *response, struct err *err) {
    struct sds_secret *secret = find(response, slot->name);
    if (secret == NULL) {
        return true;
    }
    if (secret->kind != slot->kind) {
        return ERR_SET(err, ERR_INPUT, "the secret \"%s\" is not a %s", slot->name,
                       slot->kind == SDS_SECRET_CERTIFICATE ? "TLS certificate"
                                                            : "validation context");
    }
    change->secret = secret;
    change->mark = sds_material_mark(secret); // before reading: what changes meanwhile is seen
    change->material = sds_material_load(secret, &change->problem);
    if (change->material == NULL) {
        err_wrap(&change->problem, "the secret \"%s\"", slot->name);
    }
    if (change->material == NULL && !sds_material_has_files(secret)) {
        *err = change->problem;
        return false;
    }
    return true;
}

// The secret itself is moved out of the response by release().
static void change_commit(struct change *change, struct slot *slot) {
    if (change->secret == NULL) {
        return;
    }
    sds_secret_free(slot->secret);
    slot->secret = change->secret;
    slot->mark = change->mark;
    slot->problem = change->problem;
    slot->has_problem = change->material == NULL;
    if (change->material != NULL) {
        update_free(slot->material);
        slot->material = take(&change->material);
    }
}

// What the slots have taken is no longer the response's.
static void release(struct sds_response *response, const struct sds_secret *secret) {
    for (size_t i = 0; secret != NULL && i < response->num_secrets; i++) {
        if (response->secrets[i] == secret) {
            response->secrets[i] = NULL;
        }
    }
}

bool sds_state_apply(struct sds_state *state, struct sds_response *response, struct err *err) {
    if (!response->is_good) {
        *err = response->refusal;
        return false;
    }
    struct change changes[NUM_SLOTS] = {0};
    struct update_bytes version = {0};
    bool ok = update_bytes_set(&version, update_bytes_span(&response->version)) ||
              ERR_NO_MEMORY(err, "taking an SDS response");
    for (size_t i = 0; ok && i < NUM_SLOTS; i++) {
        ok = change_prepare(&changes[i], &state->slots[i], response, err);
    }
    for (size_t i = 0; ok && i < NUM_SLOTS; i++) {
        change_commit(&changes[i], &state->slots[i]);
        release(response, changes[i].secret);
    }
    if (ok) {
        free(state->version.ptr);
        state->version = version;
        version.ptr = NULL;
    }
    free(version.ptr);
    for (size_t i = 0; i < NUM_SLOTS; i++) {
        update_free(changes[i].material);
    }
    return ok;
}

static bool slot_reload(struct slot *slot) {
    if (slot->secret == NULL || !sds_material_has_files(slot->secret)) {
        return false;
    }
    struct sds_mark mark = sds_material_mark(slot->secret);
    if (mark.hash == slot->mark.hash && !slot->mark.is_fresh) {
        return false;
    }
    slot->mark = mark;
    struct update *material = sds_material_load(slot->secret, &slot->problem);
    slot->has_problem = material == NULL;
    if (material == NULL) {
        err_wrap(&slot->problem, "the secret \"%s\"", slot->name);
        return true;
    }
    update_free(slot->material);
    slot->material = material;
    return true;
}

bool sds_state_reload(struct sds_state *state) {
    bool changed = false;
    for (size_t i = 0; i < NUM_SLOTS; i++) {
        changed |= slot_reload(&state->slots[i]);
    }
    return changed;
}

bool sds_state_has_files(const struct sds_state *state) {
    bool has = false;
    for (size_t i = 0; i < NUM_SLOTS; i++) {
        const struct sds_secret *secret = state->slots[i].secret;
        has |= secret != NULL && sds_material_has_files(secret);
    }
    return has;
}

struct span sds_state_version(const struct sds_state *state) {
    return update_bytes_span(&state->version);
}

bool sds_state_is_complete(const struct sds_state *state) {
    return state->slots[0].secret != NULL && state->slots[1].secret != NULL;
}

bool sds_state_has_problem(const struct sds_state *state, struct err *problem) {
    const struct slot *certificate = &state->slots[0];
    const struct slot *bundle = &state->slots[1];
    if (certificate->secret == NULL && bundle->secret == NULL) {
        ERR_SET(problem, ERR_INPUT, "it has sent neither the secret \"%s\" nor \"%s\"",
                certificate->name, bundle->name);
        return true;
    }
    for (size_t i = 0; i < NUM_SLOTS; i++) {
        if (state->slots[i].secret == NULL) {
            ERR_SET(problem, ERR_INPUT, "it has not sent the secret \"%s\"", state->slots[i].name);
            return true;
        }
    }
    for (size_t i = 0; i < NUM_SLOTS; i++) {
        if (state->slots[i].has_problem) {
            *problem = state->slots[i].problem;
            return true;
        }
    }
    return false;
}

struct update *sds_state_update(const struct sds_state *state, struct err *err) {
    const struct slot *bundle = &state->slots[1];
    if (state->slots[0].material == NULL || bundle->material == NULL) {
        if (!sds_state_has_problem(state, err)) {
            ERR_SET(err, ERR_INPUT, "the secrets cannot be used");
        }
        return NULL;
    }
    struct update *update = sds_material_join(state->slots[0].material, bundle->material, err);
    if (update == NULL) {
        err_wrap(err, "the secret \"%s\"", bundle->name);
    }
    return update;
}
