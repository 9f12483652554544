#include "tests/certmgr/sds_fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/own.h"
#include "certmgr/pem.h"

static ProtobufCBinaryData data_of(struct span bytes) {
    return (ProtobufCBinaryData){.data = (uint8_t *)(uintptr_t)bytes.ptr, .len = bytes.len};
}

static ProtobufCBinaryData data_of_text(const char *text) {
    return data_of(span_of_text(text));
}

Sds__DataSource sds_fixture_inline(struct span value) {
    Sds__DataSource data = SDS__DATA_SOURCE__INIT;
    data.inline_bytes = data_of(value);
    return data;
}

Sds__DataSource sds_fixture_file(const char *path) {
    Sds__DataSource data = SDS__DATA_SOURCE__INIT;
    data.filename = data_of_text(path);
    return data;
}

Sds__DataSource sds_fixture_environment(const char *name) {
    Sds__DataSource data = SDS__DATA_SOURCE__INIT;
    data.environment_variable = data_of_text(name);
    return data;
}

void sds_fixture_fini(struct sds_fixture *fixture) {
    for (size_t i = 0; i < fixture->num; i++) {
        buf_fini(&fixture->secrets[i]);
    }
    fixture->num = 0;
}

static void pack(const ProtobufCMessage *message, struct buf *out) {
    size_t len = protobuf_c_message_get_packed_size(message);
    if (len > 0) {
        uint8_t *to = buf_reserve(out, len);
        assert_non_null(to);
        buf_commit(out, protobuf_c_message_pack(message, to));
    }
}

void sds_fixture_secret(struct sds_fixture *fixture, const Sds__Secret *secret) {
    assert_true(fixture->num < SDS_FIXTURE_SECRETS_MAX);
    fixture->types[fixture->num] = SDS_FIXTURE_PREFIX "Secret";
    pack(&secret->base, &fixture->secrets[fixture->num++]);
}

void sds_fixture_certificate(struct sds_fixture *fixture, const char *name, Sds__DataSource chain,
                             Sds__DataSource key) {
    Sds__TlsCertificate certificate = SDS__TLS_CERTIFICATE__INIT;
    certificate.certificate_chain = &chain;
    certificate.private_key = &key;
    Sds__Secret secret = SDS__SECRET__INIT;
    secret.name = data_of_text(name);
    secret.tls_certificate = &certificate;
    sds_fixture_secret(fixture, &secret);
}

void sds_fixture_bundle(struct sds_fixture *fixture, const char *name, Sds__DataSource ca) {
    Sds__CertificateValidationContext context = SDS__CERTIFICATE_VALIDATION_CONTEXT__INIT;
    context.trusted_ca = &ca;
    Sds__Secret secret = SDS__SECRET__INIT;
    secret.name = data_of_text(name);
    secret.validation_context = &context;
    sds_fixture_secret(fixture, &secret);
}

void sds_fixture_validator(struct sds_fixture *fixture, const char *name,
                           const struct sds_fixture_domain *domains, size_t num) {
    Sds__TrustDomain *items = calloc(num + 1, sizeof(*items));
    Sds__TrustDomain **pointers = calloc(num + 1, sizeof(*pointers));
    Sds__DataSource *bundles = calloc(num + 1, sizeof(*bundles));
    assert_true(items != NULL && pointers != NULL && bundles != NULL);
    for (size_t i = 0; i < num; i++) {
        sds__trust_domain__init(&items[i]);
        bundles[i] = domains[i].bundle;
        items[i].name = data_of_text(domains[i].name);
        items[i].trust_bundle = &bundles[i];
        pointers[i] = &items[i];
    }
    Sds__SPIFFECertValidatorConfig config = SDS__SPIFFECERT_VALIDATOR_CONFIG__INIT;
    config.n_trust_domains = num;
    config.trust_domains = pointers;
    struct buf packed = {0};
    pack(&config.base, &packed);
    Sds__Any any = SDS__ANY__INIT;
    any.type_url = data_of_text(SDS_FIXTURE_PREFIX "SPIFFECertValidatorConfig");
    any.value = data_of(buf_span(&packed));
    Sds__TypedExtensionConfig extension = SDS__TYPED_EXTENSION_CONFIG__INIT;
    extension.name = data_of_text("envoy.tls.cert_validator.spiffe");
    extension.typed_config = &any;
    Sds__CertificateValidationContext context = SDS__CERTIFICATE_VALIDATION_CONTEXT__INIT;
    context.custom_validator_config = &extension;
    Sds__Secret secret = SDS__SECRET__INIT;
    secret.name = data_of_text(name);
    secret.validation_context = &context;
    sds_fixture_secret(fixture, &secret);
    buf_fini(&packed);
    free(items);
    free(pointers);
    free(bundles);
}

void sds_fixture_render(const struct sds_fixture *fixture, const char *version, const char *nonce,
                        struct buf *out) {
    Sds__Any items[SDS_FIXTURE_SECRETS_MAX];
    Sds__Any *pointers[SDS_FIXTURE_SECRETS_MAX];
    for (size_t i = 0; i < fixture->num; i++) {
        sds__any__init(&items[i]);
        items[i].type_url = data_of_text(fixture->types[i]);
        items[i].value = data_of(buf_span(&fixture->secrets[i]));
        pointers[i] = &items[i];
    }
    Sds__DiscoveryResponse response = SDS__DISCOVERY_RESPONSE__INIT;
    response.version_info = data_of_text(version);
    response.nonce = data_of_text(nonce);
    response.type_url = data_of_text(SDS_FIXTURE_PREFIX "Secret");
    response.n_resources = fixture->num;
    response.resources = pointers;
    pack(&response.base, out);
}

void sds_fixture_pem(const struct pki_cert *cert, struct buf *out) {
    assert_true(pem_render("CERTIFICATE", pki_der(cert), out));
}

void sds_fixture_key_pem(const struct pki_cert *cert, struct buf *out) {
    assert_true(pem_render("PRIVATE KEY", pki_key_der(cert), out));
}

void sds_fixture_usual(struct buf *out, const char *version, const struct pki_cert *ca,
                       const char *spiffe_id, const struct pki_cert *roots) {
    struct sds_fixture fixture = {0};
    struct buf chain = {0};
    struct buf key = {0};
    struct buf bundle = {0};
    char nonce[64];
    snprintf(nonce, sizeof(nonce), "nonce-%s", version);
    if (spiffe_id != NULL) {
        struct pki_cert *leaf OWNED(pki_free) = pki_leaf(ca, spiffe_id);
        sds_fixture_pem(leaf, &chain);
        sds_fixture_key_pem(leaf, &key);
        sds_fixture_certificate(&fixture, "default", sds_fixture_inline(buf_span(&chain)),
                                sds_fixture_inline(buf_span(&key)));
    }
    if (roots != NULL) {
        sds_fixture_pem(roots, &bundle);
        sds_fixture_bundle(&fixture, "ROOTCA", sds_fixture_inline(buf_span(&bundle)));
    }
    sds_fixture_render(&fixture, version, nonce, out);
    sds_fixture_fini(&fixture);
    buf_fini(&chain);
    buf_fini(&key);
    buf_fini(&bundle);
}
