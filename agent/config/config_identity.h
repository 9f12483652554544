// The section `identity`: which source the certificates come from, and what each kind needs.
#ifndef AGENT_CONFIG_CONFIG_IDENTITY_H
#define AGENT_CONFIG_CONFIG_IDENTITY_H

#include <stdbool.h>
#include <stdint.h>

enum identity_source { IDENTITY_WORKLOAD_API, IDENTITY_SDS, IDENTITY_ISTIO_CA, IDENTITY_FILES };

struct identity_sds { // names of the secrets; never NULL
    bool is_set;
    char *certificate;
    char *bundle;
};

struct identity_istio_ca { // of source: istioCa, where only server_name may be NULL
    bool is_set;
    char *address; // HOST:PORT
    char *roots_file;
    char *token_file;
    char *server_name; // NULL: the host of `address`
    char *cluster_id;
};

struct identity_files { // of source: files, where only the bundle may be NULL
    bool is_set;
    char *certificate;
    char *key;
    char *bundle; // NULL: the kept one; there is a state directory then
};

struct config_identity {
    enum identity_source source;
    char *endpoint; // unix:///path or tcp://IP:port; NULL: $SPIFFE_ENDPOINT_SOCKET
    char *hint;     // NULL when not set
    char *spiffe_id;
    bool close_at_expiry;
    char *state_directory; // NULL: nothing is kept across a restart
    bool has_lifetime;
    int64_t lifetime_ms; // to ask for, where the source signs requests
    // When to ask for the next one, there: thousandths of what the CA gave. Not set: as renewal.h.
    bool has_rotate_at, has_rotate_jitter;
    uint32_t rotate_at_permille, rotate_jitter_permille;
    struct identity_sds sds;
    struct identity_istio_ca istio_ca;
    struct identity_files files;
};

#endif
