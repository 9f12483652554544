// What a trust store is made of and where it goes: the configuration's trustStore section in this
// folder's words. Plain values; everything is borrowed.
#ifndef CERTMGR_TRUST_TRUST_OPTIONS_H
#define CERTMGR_TRUST_TRUST_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>

#include "base/span.h"

// One of trustStore.certificates.
struct trust_named {
    const char *name;
    const char *file;    // a path to read now, or NULL
    struct span content; // PEM or DER, where there is no path
    const char *missing; // why there is no content, or an older one, as a sentence; or NULL
    const char *from;    // for people: the URL or path of the content; NULL: the configuration
    bool is_loaded;      // loadTrustStore
};

// Further roots: a trust domain and one of its certificates.
struct trust_domain_root {
    const char *trust_domain;
    struct span der;
};

struct trust_options {
    const char *output; // the directory
    const char *const *sources;
    size_t num_sources;
    const struct trust_named *named;
    size_t num_named;
    const struct trust_domain_root *domain_roots;
    size_t num_domain_roots;
    const char *public_roots; // a file; NULL: the system's bundle; "": none
    unsigned refuse;          // bits of enum trust_finding
    bool java_uses_jks;       // else PKCS#12
    const char *jks_password;
};

#endif
