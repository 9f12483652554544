#include "agent/control/identity_source.h"

#include <stdlib.h>
#include <string.h>

#include "certmgr/source_files.h"
#include "certmgr/source_istio_ca.h"
#include "certmgr/source_sds.h"
#include "certmgr/source_workload.h"

#define LIFETIME_DEFAULT_MS (INT64_C(24) * 3600 * 1000)

static const char *endpoint_of(const struct config_identity *identity) {
    const char *endpoint =
        identity->endpoint != NULL ? identity->endpoint : getenv("SPIFFE_ENDPOINT_SOCKET");
    return endpoint == NULL ? "" : endpoint;
}

static bool check_endpoint(const struct config_identity *identity, struct err *err) {
    return endpoint_of(identity)[0] != '\0' ||
           ERR_SET(err, ERR_INPUT,
                   "no identity source: set identity.endpoint or $SPIFFE_ENDPOINT_SOCKET, for "
                   "example unix:///run/pavise/authority.sock");
}

static struct source *start_workload(const struct config_identity *identity,
                                     struct source_sink *sink, struct err *err) {
    return check_endpoint(identity, err) ? source_workload_new(endpoint_of(identity), sink, err)
                                         : NULL;
}

static struct source *start_sds(const struct config_identity *identity, struct source_sink *sink,
                                struct err *err) {
    const struct source_sds_options options = {
        .endpoint = endpoint_of(identity),
        .certificate = identity->sds.certificate,
        .bundle = identity->sds.bundle,
    };
    return check_endpoint(identity, err) ? source_sds_new(&options, sink, err) : NULL;
}

static struct renewal_window window_of(const struct config_identity *identity) {
    return (struct renewal_window){
        .at_permille = identity->has_rotate_at ? identity->rotate_at_permille : RENEWAL_AT_PERMILLE,
        .jitter_permille = identity->has_rotate_jitter ? identity->rotate_jitter_permille
                                                       : RENEWAL_JITTER_PERMILLE,
    };
}

static bool has_same_window(const struct config_identity *a, const struct config_identity *b) {
    struct renewal_window one = window_of(a);
    struct renewal_window other = window_of(b);
    return one.at_permille == other.at_permille && one.jitter_permille == other.jitter_permille;
}

static struct source *start_istio_ca(const struct config_identity *identity,
                                     struct source_sink *sink, struct err *err) {
    const struct source_istio_ca_options options = {
        .address = identity->istio_ca.address,
        .roots_file = identity->istio_ca.roots_file,
        .token_file = identity->istio_ca.token_file,
        .server_name = identity->istio_ca.server_name,
        .cluster_id = identity->istio_ca.cluster_id,
        .spiffe_id = identity->spiffe_id,
        .lifetime_ms = identity->has_lifetime ? identity->lifetime_ms : LIFETIME_DEFAULT_MS,
        .renewal = window_of(identity),
    };
    return source_istio_ca_new(&options, sink, err);
}

static struct source *start_files(const struct config_identity *identity, struct source_sink *sink,
                                  struct err *err) {
    const struct source_files_options options = {
        .certificate = identity->files.certificate,
        .key = identity->files.key,
        .bundle = identity->files.bundle,
    };
    return source_files_new(&options, sink, err);
}

struct source *identity_source_start(const struct config_identity *identity,
                                     struct source_sink *sink, struct err *err) {
    static struct source *(*const starters[])(const struct config_identity *identity,
                                              struct source_sink *sink, struct err *err) = {
        [IDENTITY_WORKLOAD_API] = start_workload,
        [IDENTITY_SDS] = start_sds,
        [IDENTITY_ISTIO_CA] = start_istio_ca,
        [IDENTITY_FILES] = start_files,
    };
    return starters[identity->source](identity, sink, err);
}

static bool same(const char *a, const char *b) {
    return a == NULL || b == NULL ? a == b : strcmp(a, b) == 0;
}

bool identity_source_is_same(const struct config_identity *a, const struct config_identity *b) {
    return a->source == b->source && same(a->endpoint, b->endpoint) && same(a->hint, b->hint) &&
           same(a->spiffe_id, b->spiffe_id) && a->has_lifetime == b->has_lifetime &&
           a->lifetime_ms == b->lifetime_ms && has_same_window(a, b) &&
           same(a->sds.certificate, b->sds.certificate) && same(a->sds.bundle, b->sds.bundle) &&
           same(a->istio_ca.address, b->istio_ca.address) &&
           same(a->istio_ca.roots_file, b->istio_ca.roots_file) &&
           same(a->istio_ca.token_file, b->istio_ca.token_file) &&
           same(a->istio_ca.server_name, b->istio_ca.server_name) &&
           same(a->istio_ca.cluster_id, b->istio_ca.cluster_id) &&
           same(a->files.certificate, b->files.certificate) && same(a->files.key, b->files.key) &&
           same(a->files.bundle, b->files.bundle);
}

const char *identity_source_place(const struct config_identity *identity) {
    switch (identity->source) {
    case IDENTITY_WORKLOAD_API:
    case IDENTITY_SDS:
        return endpoint_of(identity);
    case IDENTITY_ISTIO_CA:
        return identity->istio_ca.address;
    case IDENTITY_FILES:
        return identity->files.certificate;
    }
    return "";
}
