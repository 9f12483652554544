// The configuration of `pavise injector`: where it listens, its certificate, and the settings for
// pods that do not say otherwise.
#ifndef AGENT_INJECTOR_INJECTOR_CONFIG_H
#define AGENT_INJECTOR_INJECTOR_CONFIG_H

#include <stdbool.h>

#include "agent/inject/manifest.h"
#include "agent/inject/settings.h"
#include "base/err.h"
#include "base/netaddr.h"
#include "base/own.h"
#include "base/span.h"

struct injector_config {
    struct netaddr listen;
    const char *certificate; // the chain, PEM
    const char *key;         // PEM
    struct settings settings;
    struct manifest text; // what the texts above are in
};

// Parses YAML: listen, certificate, key, settings. The sentence names what is wrong.
bool injector_config_parse(struct injector_config *out, struct span text, struct err *err) MUST_USE;
void injector_config_fini(struct injector_config *config);

#endif
