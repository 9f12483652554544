// Unpack, check, copy, as in workload_codec.c: protobuf-c works inside a budget and its memory is
// wiped. A secret is a message inside an Any, and the SPIFFE validator another one inside that.
#include "certmgr/sds_codec.h"

#include <stdlib.h>
#include <string.h>

#include "certmgr/proto_budget.h"
#include "proto/sds.pb-c.h"

#define TYPE_PREFIX "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3."
#define SECRET_TYPE TYPE_PREFIX "Secret"
#define SPIFFE_VALIDATOR_TYPE TYPE_PREFIX "SPIFFECertValidatorConfig"
#define CODE_INVALID_ARGUMENT 3

// SPIRE gives SPIFFE bundles only to a user agent of version 1.18 (Envoy's) or newer.
#define USER_AGENT "pavise"
#define USER_AGENT_MAJOR 1
#define USER_AGENT_MINOR 18

// --- requests ---

static ProtobufCBinaryData data_of(struct span bytes) {
    return (ProtobufCBinaryData){.data = (uint8_t *)(uintptr_t)bytes.ptr, .len = bytes.len};
}

static ProtobufCBinaryData data_of_text(const char *text) {
    return data_of(span_of_text(text));
}

bool sds_encode_request(const struct sds_request *request, struct buf *out, struct err *err) {
    Sds__SemanticVersion version = SDS__SEMANTIC_VERSION__INIT;
    version.major_number = USER_AGENT_MAJOR;
    version.minor_number = USER_AGENT_MINOR;
    Sds__BuildVersion build = SDS__BUILD_VERSION__INIT;
    build.version = &version;
    Sds__Node node = SDS__NODE__INIT;
    node.id = data_of_text(request->node_id);
    node.user_agent_name = data_of_text(USER_AGENT);
    node.user_agent_build_version = &build;
    Sds__Status status = SDS__STATUS__INIT;
    status.code = CODE_INVALID_ARGUMENT;
    status.message = data_of_text(request->refusal);
    ProtobufCBinaryData names[2] = {data_of_text(request->names[0]),
                                    data_of_text(request->names[1])};
    Sds__DiscoveryRequest message = SDS__DISCOVERY_REQUEST__INIT;
    message.version_info = data_of(request->version);
    message.node = request->node_id == NULL ? NULL : &node;
    message.n_resource_names = 2;
    message.resource_names = names;
    message.type_url = data_of_text(SECRET_TYPE);
    message.response_nonce = data_of(request->nonce);
    message.error_detail = request->refusal == NULL ? NULL : &status;
    size_t len = sds__discovery_request__get_packed_size(&message);
    uint8_t *to = buf_reserve(out, len);
    if (to == NULL) {
        return ERR_NO_MEMORY(err, "encoding an SDS request");
    }
    buf_commit(out, sds__discovery_request__pack(&message, to));
    return true;
}

// --- what a decoded value owns ---

static void bytes_fini(struct update_bytes *bytes) {
    if (bytes->ptr != NULL) {
        explicit_bzero(bytes->ptr, bytes->len);
        free(bytes->ptr);
    }
}

void sds_secret_free(struct sds_secret *secret) {
    if (secret == NULL) {
        return;
    }
    bytes_fini(&secret->name);
    bytes_fini(&secret->chain.value);
    bytes_fini(&secret->key.value);
    bytes_fini(&secret->trusted_ca.value);
    bytes_fini(&secret->crl.value);
    for (size_t i = 0; i < secret->num_domains; i++) {
        bytes_fini(&secret->domains[i].name);
        bytes_fini(&secret->domains[i].bundle.value);
    }
    free(secret->domains);
    free(secret);
}

void sds_response_free(struct sds_response *response) {
    if (response == NULL) {
        return;
    }
    for (size_t i = 0; i < response->num_secrets; i++) {
        sds_secret_free(response->secrets[i]);
    }
    bytes_fini(&response->version);
    bytes_fini(&response->nonce);
    free(response);
}

// --- responses ---

static struct span span_of_data(const ProtobufCBinaryData *data) {
    return span_of(data->data, data->len);
}

static bool bytes_copy(struct update_bytes *out, const ProtobufCBinaryData *in, struct err *err) {
    return update_bytes_set(out, span_of_data(in)) || ERR_NO_MEMORY(err, "copying an SDS response");
}

// A path or the name of a variable: kept with the NUL behind it.
static bool path_copy(struct update_bytes *out, const ProtobufCBinaryData *in, const char *what,
                      struct err *err) {
    if (in->len > SDS_PATH_MAX || memchr(in->data, '\0', in->len) != NULL) {
        return ERR_SET(err, ERR_INPUT, "the name of the file or variable in %s is not usable",
                       what);
    }
    struct update_bytes copy = {.ptr = calloc(1, in->len + 1), .len = in->len + 1};
    if (copy.ptr == NULL) {
        return ERR_NO_MEMORY(err, "copying an SDS response");
    }
    memcpy(copy.ptr, in->data, in->len);
    *out = copy;
    return true;
}

static bool data_copy(struct sds_data *out, const Sds__DataSource *in, const char *what,
                      struct err *err) {
    if (in == NULL) {
        return true;
    }
    const struct {
        const ProtobufCBinaryData *data;
        enum sds_data_kind kind;
    } forms[] = {{&in->filename, SDS_DATA_FILE},
                 {&in->inline_bytes, SDS_DATA_INLINE},
                 {&in->inline_string, SDS_DATA_INLINE},
                 {&in->environment_variable, SDS_DATA_ENVIRONMENT}};
    const ProtobufCBinaryData *chosen = NULL;
    for (size_t i = 0; i < sizeof forms / sizeof *forms; i++) {
        if (forms[i].data->len > 0 && chosen != NULL) {
            return ERR_SET(err, ERR_INPUT, "%s has two forms at once", what);
        }
        if (forms[i].data->len > 0) {
            chosen = forms[i].data;
            out->kind = forms[i].kind;
        }
    }
    if (chosen == NULL) {
        return ERR_SET(err, ERR_INPUT, "%s is empty", what);
    }
    return out->kind == SDS_DATA_INLINE ? bytes_copy(&out->value, chosen, err)
                                        : path_copy(&out->value, chosen, what, err);
}

static bool certificate_copy(struct sds_secret *out, const Sds__TlsCertificate *in,
                             struct err *err) {
    out->kind = SDS_SECRET_CERTIFICATE;
    if (!data_copy(&out->chain, in->certificate_chain, "certificate_chain", err) ||
        !data_copy(&out->key, in->private_key, "private_key", err)) {
        return false;
    }
    if (out->chain.kind == SDS_DATA_NONE || out->key.kind == SDS_DATA_NONE) {
        return ERR_SET(err, ERR_INPUT, "it has no %s",
                       out->chain.kind == SDS_DATA_NONE ? "certificate_chain" : "private_key");
    }
    return true;
}

static bool domain_copy(struct sds_secret *out, const Sds__TrustDomain *in, struct err *err) {
    struct sds_domain *to = &out->domains[out->num_domains++];
    if (!bytes_copy(&to->name, &in->name, err) ||
        !data_copy(&to->bundle, in->trust_bundle, "trust_bundle", err)) {
        return false;
    }
    if (to->bundle.kind == SDS_DATA_NONE) {
        return ERR_SET(err, ERR_INPUT, "a trust domain of its SPIFFE validator has no bundle");
    }
    for (size_t i = 0; i + 1 < out->num_domains; i++) {
        if (span_equal(update_bytes_span(&out->domains[i].name), update_bytes_span(&to->name))) {
            return ERR_SET(err, ERR_INPUT, "its SPIFFE validator names a trust domain twice");
        }
    }
    return true;
}

static bool domains_copy(struct sds_secret *out, const Sds__SPIFFECertValidatorConfig *in,
                         struct err *err) {
    if (in->n_trust_domains == 0 || in->n_trust_domains > SDS_DOMAINS_MAX) {
        return ERR_SET(err, ERR_INPUT,
                       "its SPIFFE validator has %zu trust_domains; 1 to %d are taken",
                       in->n_trust_domains, SDS_DOMAINS_MAX);
    }
    out->domains = calloc(in->n_trust_domains, sizeof *out->domains);
    if (out->domains == NULL) {
        return ERR_NO_MEMORY(err, "copying an SDS response");
    }
    for (size_t i = 0; i < in->n_trust_domains; i++) {
        if (!domain_copy(out, in->trust_domains[i], err)) {
            return false;
        }
    }
    return true;
}

static bool validator_copy(struct sds_secret *out, const Sds__TypedExtensionConfig *in,
                           ProtobufCAllocator *allocator, struct err *err) {
    const Sds__Any *config = in->typed_config;
    if (config == NULL ||
        !span_equal_text(span_of_data(&config->type_url), SPIFFE_VALIDATOR_TYPE)) {
        return ERR_SET(err, ERR_INPUT, "its custom validator is not the SPIFFE one");
    }
    Sds__SPIFFECertValidatorConfig *validator =
        sds__spiffecert_validator_config__unpack(allocator, config->value.len, config->value.data);
    if (validator == NULL) {
        return ERR_SET(err, ERR_INPUT,
                       "its SPIFFE validator is not valid, or needs too much memory");
    }
    bool ok = domains_copy(out, validator, err);
    sds__spiffecert_validator_config__free_unpacked(validator, allocator);
    return ok;
}

// What limits the peers further than trust does is policy; to obey it in part would let in more
// than the server meant.
static bool limits_check(const Sds__CertificateValidationContext *in, struct err *err) {
    const char *limit = in->n_verify_certificate_hash > 0   ? "verify_certificate_hash"
                        : in->n_verify_certificate_spki > 0 ? "verify_certificate_spki"
                        : in->require_signed_certificate_timestamp.len > 0
                            ? "require_signed_certificate_timestamp"
                        : in->n_match_subject_alt_names > 0       ? "match_subject_alt_names"
                        : in->n_match_typed_subject_alt_names > 0 ? "match_typed_subject_alt_names"
                        : in->max_verify_depth.len > 0            ? "max_verify_depth"
                                                                  : NULL;
    return limit == NULL ||
           ERR_SET(err, ERR_INPUT, "it limits the peers by %s; that belongs into the configuration",
                   limit);
}

static bool bundle_copy(struct sds_secret *out, const Sds__CertificateValidationContext *in,
                        ProtobufCAllocator *allocator, struct err *err) {
    out->kind = SDS_SECRET_BUNDLE;
    if (!limits_check(in, err) || !data_copy(&out->crl, in->crl, "crl", err)) {
        return false;
    }
    if (in->custom_validator_config != NULL) {
        return validator_copy(out, in->custom_validator_config, allocator, err);
    }
    if (in->trusted_ca == NULL) {
        return ERR_SET(err, ERR_INPUT, "it has neither trusted_ca nor a SPIFFE validator");
    }
    return data_copy(&out->trusted_ca, in->trusted_ca, "trusted_ca", err);
}

static bool secret_copy(struct sds_secret *out, const Sds__Secret *in,
                        ProtobufCAllocator *allocator, struct err *err) {
    if (!bytes_copy(&out->name, &in->name, err)) {
        return false;
    }
    if (in->tls_certificate != NULL && in->validation_context != NULL) {
        return ERR_SET(err, ERR_INPUT, "it is a certificate and a validation context at once");
    }
    return (in->tls_certificate == NULL || certificate_copy(out, in->tls_certificate, err)) &&
           (in->validation_context == NULL ||
            bundle_copy(out, in->validation_context, allocator, err));
}

static struct sds_secret *secret_decode(const Sds__Any *in, ProtobufCAllocator *allocator,
                                        struct err *err) {
    if (!span_equal_text(span_of_data(&in->type_url), SECRET_TYPE)) {
        (void)ERR_SET(err, ERR_INPUT, "it is not a Secret");
        return NULL;
    }
    struct sds_secret *out OWNED(sds_secret_free) = calloc(1, sizeof *out);
    if (out == NULL) {
        (void)ERR_NO_MEMORY(err, "copying an SDS response");
        return NULL;
    }
    Sds__Secret *secret = sds__secret__unpack(allocator, in->value.len, in->value.data);
    if (secret == NULL) {
        (void)ERR_SET(err, ERR_INPUT, "it is not a valid Secret, or needs too much memory");
        return NULL;
    }
    bool ok = secret_copy(out, secret, allocator, err);
    sds__secret__free_unpacked(secret, allocator);
    return ok ? take(&out) : NULL;
}

static bool has_name(const struct sds_response *response, struct span name) {
    for (size_t i = 0; i < response->num_secrets; i++) {
        if (span_equal(update_bytes_span(&response->secrets[i]->name), name)) {
            return true;
        }
    }
    return false;
}

static bool secrets_copy(struct sds_response *out, const Sds__DiscoveryResponse *in,
                         ProtobufCAllocator *allocator, struct err *err) {
    if (!span_equal_text(span_of_data(&in->type_url), SECRET_TYPE)) {
        return ERR_SET(err, ERR_INPUT, "the response is not about secrets");
    }
    if (in->n_resources > SDS_SECRETS_MAX) {
        return ERR_SET(err, ERR_INPUT, "the response has %zu secrets; at most %d are taken",
                       in->n_resources, SDS_SECRETS_MAX);
    }
    for (size_t i = 0; i < in->n_resources; i++) {
        struct sds_secret *secret OWNED(sds_secret_free) =
            secret_decode(in->resources[i], allocator, err);
        if (secret == NULL) {
            return err_wrap(err, "secret %zu of the response", i + 1);
        }
        if (has_name(out, update_bytes_span(&secret->name))) {
            return ERR_SET(err, ERR_INPUT, "the response has a secret twice (the %zuth)", i + 1);
        }
        out->secrets[out->num_secrets++] = take(&secret);
    }
    return true;
}

struct sds_response *sds_decode_response(struct span message, struct err *err) {
    if (message.len > SDS_MESSAGE_MAX) {
        ERR_SET(err, ERR_INPUT, "the SDS response has %zu bytes, more than %d", message.len,
                SDS_MESSAGE_MAX);
        return NULL;
    }
    struct sds_response *out OWNED(sds_response_free) = calloc(1, sizeof *out);
    if (out == NULL) {
        ERR_NO_MEMORY(err, "decoding an SDS response");
        return NULL;
    }
    struct proto_budget budget = {.left = PROTO_BUDGET_FOR(message.len)};
    ProtobufCAllocator allocator = PROTO_BUDGET_ALLOCATOR(&budget);
    Sds__DiscoveryResponse *in =
        sds__discovery_response__unpack(&allocator, message.len, message.ptr);
    if (in == NULL) {
        ERR_SET(err, ERR_INPUT,
                "the message is not a valid DiscoveryResponse, or needs too much "
                "memory");
        return NULL;
    }
    bool answerable = bytes_copy(&out->version, &in->version_info, err) &&
                      bytes_copy(&out->nonce, &in->nonce, err);
    out->is_good = answerable && secrets_copy(out, in, &allocator, &out->refusal);
    sds__discovery_response__free_unpacked(in, &allocator);
    return answerable ? take(&out) : NULL;
}
