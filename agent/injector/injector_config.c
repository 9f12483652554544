#include "agent/injector/injector_config.h"

#include <string.h>

#define DEFAULT_LISTEN "0.0.0.0:8443"

static bool read_setting(struct injector_config *out, const struct manifest_node *value,
                         struct err *err) {
    if (value->kind != MANIFEST_SCALAR) {
        return ERR_SET(err, ERR_INPUT, "settings: %s must be text", value->key->text);
    }
    return settings_put(&out->settings, value->key->text, value->text, err) ||
           err_wrap(err, "settings");
}

static bool read_settings(struct injector_config *out, const struct manifest_node *map,
                          struct err *err) {
    if (map->kind != MANIFEST_MAP) {
        return manifest_is_null(map) ||
               ERR_SET(err, ERR_INPUT, "settings is a mapping of the keys of annotations");
    }
    for (const struct manifest_node *at = map->first; at != NULL; at = at->next) {
        if (!read_setting(out, at, err)) {
            return false;
        }
    }
    return true;
}

static bool read_path(const struct manifest_node *value, const char **out, struct err *err) {
    if (value->kind != MANIFEST_SCALAR || value->text[0] != '/') {
        return ERR_SET(err, ERR_INPUT, "%s is an absolute path", value->key->text);
    }
    *out = value->text;
    return true;
}

static bool read_listen(const struct manifest_node *value, struct netaddr *out, struct err *err) {
    return netaddr_parse(out, span_of(value->text, value->len), err) || err_wrap(err, "listen");
}

static bool read_key(struct injector_config *out, const struct manifest_node *value,
                     struct err *err) {
    const char *key = value->key->text;
    if (strcmp(key, "listen") == 0) {
        return read_listen(value, &out->listen, err);
    }
    if (strcmp(key, "certificate") == 0) {
        return read_path(value, &out->certificate, err);
    }
    if (strcmp(key, "key") == 0) {
        return read_path(value, &out->key, err);
    }
    if (strcmp(key, "settings") == 0) {
        return read_settings(out, value, err);
    }
    return ERR_SET(err, ERR_INPUT,
                   "there is no key \"%.64s\"; there are listen, certificate, key "
                   "and settings",
                   key);
}

static bool read_all(struct injector_config *out, struct err *err) {
    const struct manifest_node *root = out->text.first;
    if (root == NULL || root->kind != MANIFEST_MAP) {
        return ERR_SET(err, ERR_INPUT, "it is not a mapping");
    }
    for (const struct manifest_node *at = root->first; at != NULL; at = at->next) {
        if (!read_key(out, at, err)) {
            return false;
        }
    }
    if (out->certificate == NULL || out->key == NULL) {
        return ERR_SET(err, ERR_INPUT,
                       "certificate and key are needed: the API server calls by "
                       "HTTPS");
    }
    return true;
}

bool injector_config_parse(struct injector_config *out, struct span text, struct err *err) {
    *out = (struct injector_config){0};
    settings_init(&out->settings);
    bool ok = netaddr_parse(&out->listen, span_of_text(DEFAULT_LISTEN), err) &&
              manifest_parse(&out->text, text, err) && read_all(out, err);
    if (!ok) {
        injector_config_fini(out);
    }
    return ok;
}

void injector_config_fini(struct injector_config *config) {
    manifest_fini(&config->text);
}
