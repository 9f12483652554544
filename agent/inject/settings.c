#include "agent/inject/settings.h"

#include <ctype.h>
#include <string.h>

#include "agent/inject/mark.h"

enum { VALUE_MAX = 512, CONFIG_MAX = 128 << 10, PORT_MAX = 65535 };

enum form {
    FORM_IMAGE,
    FORM_MODE,
    FORM_SIDECAR,
    FORM_INTERCEPTION,
    FORM_INTERCEPT_AS,
    FORM_PORTS,
    FORM_IDENTITY,
    FORM_NAME,
    FORM_NAMES,
    FORM_ADDRESS,
    FORM_SIGNER,
    FORM_SWITCH,
    FORM_FAMILY,
    FORM_CONFIG,
    FORM_QUANTITY,
};

struct row {
    const char *key;
    const char *fallback;
    enum form form;
};

static const struct row ROWS[] = {
#define SETTING(name, key, fallback, form) {key, fallback, form},
#include "agent/inject/setting.def"
#undef SETTING
};

// --- forms ---------------------------------------------------------------------------------------

typedef bool form_fn(const char *text);

static bool is_made_of(const char *text, const char *others) {
    for (; *text != '\0'; text++) {
        if (!isalnum((unsigned char)*text) && strchr(others, *text) == NULL) {
            return false;
        }
    }
    return true;
}

static bool is_image(const char *text) {
    return isalnum((unsigned char)*text) && is_made_of(text, "._:/@-");
}

static bool is_name(const char *text) {
    return isalnum((unsigned char)*text) && is_made_of(text, ".-");
}

static bool is_names(const char *text) {
    return is_made_of(text, ".-,") && strstr(text, ",,") == NULL && *text != ',' &&
           (*text == '\0' || text[strlen(text) - 1] != ',');
}

static bool is_address(const char *text) {
    return isalnum((unsigned char)*text) && is_made_of(text, ".-:") && strchr(text, ':') != NULL;
}

static bool is_signer(const char *text) {
    return is_made_of(text, "./-");
}

static bool is_quantity(const char *text) {
    return isdigit((unsigned char)*text) && is_made_of(text, ".");
}

static bool take_port(const char **text, unsigned *port) {
    *port = 0;
    while (isdigit((unsigned char)**text) && *port <= PORT_MAX) {
        *port = *port * 10 + (unsigned)(**text - '0');
        ++*text;
    }
    return *port > 0 && *port <= PORT_MAX;
}

// "8080,9000-9010", or nothing.
static bool is_ports(const char *text) {
    while (*text != '\0') {
        unsigned first = 0;
        unsigned last = 0;
        if (!take_port(&text, &first)) {
            return false;
        }
        if (*text == '-') {
            text++;
            if (!take_port(&text, &last) || last < first) {
                return false;
            }
        }
        if (*text == ',' && text[1] != '\0') {
            text++;
        } else if (*text != '\0') {
            return false;
        }
    }
    return true;
}

static bool is_config(const char *text) {
    for (; *text != '\0'; text++) {
        if ((unsigned char)*text < ' ' && *text != '\n') {
            return false;
        }
    }
    return true;
}

// A form is a list of words, or a check.
static const struct {
    const char *words; // separated by a blank
    form_fn *check;
    const char *says;
} FORMS[] = {
    [FORM_IMAGE] = {NULL, is_image, "an image reference"},
    [FORM_MODE] = {"strict permissive", NULL, "strict or permissive"},
    [FORM_SIDECAR] = {"native container", NULL, "native or container"},
    [FORM_INTERCEPTION] = {"redirect explicit", NULL, "redirect or explicit"},
    [FORM_INTERCEPT_AS] = {"nonroot root", NULL, "nonroot or root"},
    [FORM_PORTS] = {NULL, is_ports, "ports and ranges like \"8080,9000-9010\""},
    [FORM_IDENTITY] = {"spiffeCsi istioCa certManager podCertificate", NULL,
                       "spiffeCsi, istioCa, certManager or podCertificate"},
    [FORM_NAME] = {NULL, is_name, "a name"},
    [FORM_NAMES] = {NULL, is_names, "names separated by commas"},
    [FORM_ADDRESS] = {NULL, is_address, "HOST:PORT"},
    [FORM_SIGNER] = {NULL, is_signer, "a signer's name like \"example.org/workloads\""},
    [FORM_SWITCH] = {"enabled disabled", NULL, "enabled or disabled"},
    [FORM_FAMILY] = {"ipv4 ipv6", NULL, "ipv4 or ipv6"},
    [FORM_CONFIG] = {NULL, is_config, "lines of configuration"},
    [FORM_QUANTITY] = {NULL, is_quantity, "a quantity like 10m or 16Mi"},
};

static bool is_word_of(const char *words, const char *text) {
    size_t len = strlen(text);
    while (*words != '\0') {
        size_t word_len = strcspn(words, " ");
        if (word_len == len && memcmp(words, text, len) == 0) {
            return true;
        }
        words += word_len + (words[word_len] == ' ' ? 1 : 0);
    }
    return false;
}

static bool is_of_form(enum form form, const char *text) {
    if (strlen(text) > (form == FORM_CONFIG ? CONFIG_MAX : VALUE_MAX)) {
        return false;
    }
    return FORMS[form].words != NULL ? is_word_of(FORMS[form].words, text)
                                     : FORMS[form].check(text);
}

// --- setting -------------------------------------------------------------------------------------

void settings_init(struct settings *settings) {
    for (size_t i = 0; i < SETTING_COUNT; i++) {
        settings->value[i] = ROWS[i].fallback;
    }
}

static bool set(struct settings *settings, const char *key, size_t key_len, const char *value,
                struct err *err) {
    for (size_t i = 0; i < SETTING_COUNT; i++) {
        if (strlen(ROWS[i].key) != key_len || memcmp(ROWS[i].key, key, key_len) != 0) {
            continue;
        }
        if (!is_of_form(ROWS[i].form, value)) {
            return ERR_SET(err, ERR_INPUT, SETTINGS_PREFIX "%s wants %s", ROWS[i].key,
                           FORMS[ROWS[i].form].says);
        }
        settings->value[i] = value;
        return true;
    }
    return ERR_SET(err, ERR_INPUT, "there is no setting " SETTINGS_PREFIX "%.*s",
                   (int)(key_len > 64 ? 64 : key_len), key);
}

bool settings_put(struct settings *settings, const char *key, const char *value, struct err *err) {
    return set(settings, key, strlen(key), value, err);
}

bool settings_set(struct settings *settings, const char *assignment, struct err *err) {
    const char *equals = strchr(assignment, '=');
    if (equals == NULL) {
        return ERR_SET(err, ERR_USAGE, "a setting is KEY=VALUE, not \"%.64s\"", assignment);
    }
    return set(settings, assignment, (size_t)(equals - assignment), equals + 1, err);
}

bool settings_read(struct settings *settings, const struct manifest_node *annotations,
                   struct err *err) {
    const size_t prefix_len = strlen(SETTINGS_PREFIX);
    if (annotations == NULL || annotations->kind != MANIFEST_MAP) {
        return true;
    }
    for (const struct manifest_node *at = annotations->first; at != NULL; at = at->next) {
        const char *key = at->key->text;
        if (strncmp(key, SETTINGS_PREFIX, prefix_len) != 0 || strcmp(key, SETTINGS_LABEL) == 0 ||
            mark_is_annotation(key)) {
            continue;
        }
        if (at->kind != MANIFEST_SCALAR) {
            return ERR_SET(err, ERR_INPUT, "%s must be text", key);
        }
        if (!set(settings, key + prefix_len, strlen(key + prefix_len), at->text, err)) {
            return false;
        }
    }
    return true;
}

bool settings_is(const struct settings *settings, enum setting setting, const char *value) {
    return strcmp(settings->value[setting], value) == 0;
}

bool settings_has(const struct settings *settings, enum setting setting) {
    return *settings->value[setting] != '\0';
}
