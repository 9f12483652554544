// The section `trustStore`: the user's public certificates and where they go.
#ifndef AGENT_CONFIG_CONFIG_TRUST_H
#define AGENT_CONFIG_CONFIG_TRUST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "agent/config/config_lists.h"

enum java_format { JAVA_PKCS12, JAVA_JKS };

// What happens to a certificate that is not quite right.
struct trust_policy { // true: it is left out; false: a warning
    bool refuse_expired, refuse_not_yet_valid, refuse_not_ca, refuse_weak;
};

// One of trustStore.certificates. Exactly one of file, pem and url is there.
struct trust_certificate {
    char *name;
    char *file;
    char *pem;
    char *url;
    bool load_trust_store; // false: only a file of its own
    bool auto_sync;        // false: read once
    bool has_sync_interval;
    int64_t sync_interval_ms;
    unsigned line;
};

struct config_trust_store {
    bool is_set;
    struct string_list sources;
    char *output;       // never NULL
    char *public_roots; // "system", "none" or a path; never NULL
    bool spiffe_bundles;
    struct trust_policy policy;
    enum java_format java_format;
    char *java_password; // no secret: it only seals a file of public certificates; never NULL
    struct trust_certificate *certificates;
    size_t num_certificates;
};

#endif
