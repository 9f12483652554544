// The wire's rules of SDS: requests that servers understand, and responses of every
// bad kind, which keep their nonce so that they can be refused.
#include "certmgr/sds_codec.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/certmgr/sds_fixture.h"

#define NO_DATA span_of("", 0)

static ProtobufCBinaryData data_of_text(const char *text) {
    return (ProtobufCBinaryData){.data = (uint8_t *)(uintptr_t)text, .len = strlen(text)};
}

static bool data_is(const ProtobufCBinaryData *data, const char *text) {
    return span_equal_text(span_of(data->data, data->len), text);
}

static void requests_say_what_they_should(void **state) {
    (void)state;
    struct sds_request request = {.node_id = "pavise~host",
                                  .version = span_of_text("3"),
                                  .nonce = span_of_text("n"),
                                  .names = {"default", "ROOTCA"},
                                  .refusal = "no"};
    struct err err;
    struct buf wire = {0};
    assert_true(sds_encode_request(&request, &wire, &err));
    Sds__DiscoveryRequest *in =
        sds__discovery_request__unpack(NULL, buf_span(&wire).len, buf_span(&wire).ptr);
    assert_non_null(in);
    assert_true(data_is(&in->node->id, "pavise~host"));
    assert_true(data_is(&in->version_info, "3"));
    assert_true(data_is(&in->response_nonce, "n"));
    assert_true(data_is(&in->type_url, SDS_FIXTURE_PREFIX "Secret"));
    assert_int_equal(in->n_resource_names, 2);
    assert_true(data_is(&in->resource_names[1], "ROOTCA"));
    assert_int_equal(in->error_detail->code, 3);
    assert_true(data_is(&in->error_detail->message, "no"));
    // SPIRE reads this as Envoy's and gives SPIFFE bundles from 1.18 on.
    assert_in_range(in->node->user_agent_build_version->version->minor_number, 18, 100);
    sds__discovery_request__free_unpacked(in, NULL);
    buf_fini(&wire);
}

static struct sds_response *decode(const struct sds_fixture *fixture) {
    struct buf wire = {0};
    struct err err = {0};
    sds_fixture_render(fixture, "1", "nonce", &wire);
    struct sds_response *response = sds_decode_response(buf_span(&wire), &err);
    assert_non_null(response);
    buf_fini(&wire);
    return response;
}

static void both_kinds_of_secrets_are_read(void **state) {
    (void)state;
    struct sds_fixture fixture = {0};
    struct sds_fixture_domain domains[] = {{"a.org", sds_fixture_inline(span_of_text("A"))},
                                           {"b.org", sds_fixture_file("/b")}};
    Sds__Secret ticket_keys = SDS__SECRET__INIT;
    ticket_keys.name = data_of_text("tickets");
    sds_fixture_certificate(&fixture, "default", sds_fixture_inline(span_of_text("chain\0x")),
                            sds_fixture_environment("KEY"));
    sds_fixture_bundle(&fixture, "ROOTCA", sds_fixture_inline(span_of_text("ca")));
    sds_fixture_validator(&fixture, "ALL", domains, 2);
    sds_fixture_secret(&fixture, &ticket_keys);
    struct sds_response *response OWNED(sds_response_free) = decode(&fixture);
    assert_true(response->is_good);
    assert_int_equal(response->num_secrets, 4);
    assert_true(span_equal_text(update_bytes_span(&response->version), "1"));
    assert_true(span_equal_text(update_bytes_span(&response->nonce), "nonce"));
    const struct sds_secret *certificate = response->secrets[0];
    assert_int_equal(certificate->kind, SDS_SECRET_CERTIFICATE);
    assert_int_equal(certificate->chain.kind, SDS_DATA_INLINE);
    assert_true(span_equal_text(update_bytes_span(&certificate->chain.value), "chain"));
    assert_int_equal(certificate->key.kind, SDS_DATA_ENVIRONMENT);
    assert_string_equal((const char *)certificate->key.value.ptr, "KEY");
    assert_int_equal(response->secrets[1]->kind, SDS_SECRET_BUNDLE);
    assert_int_equal(response->secrets[1]->num_domains, 0);
    const struct sds_secret *all = response->secrets[2];
    assert_int_equal(all->kind, SDS_SECRET_BUNDLE);
    assert_int_equal(all->num_domains, 2);
    assert_true(span_equal_text(update_bytes_span(&all->domains[1].name), "b.org"));
    assert_string_equal((const char *)all->domains[1].bundle.value.ptr, "/b");
    assert_int_equal(response->secrets[3]->kind, SDS_SECRET_OTHER);
    sds_fixture_fini(&fixture);
}

static void assert_refused(struct sds_fixture *fixture, const char *part) {
    struct sds_response *response OWNED(sds_response_free) = decode(fixture);
    assert_false(response->is_good);
    if (strstr(response->refusal.msg, part) == NULL) {
        fail_msg("\"%s\" does not say \"%s\"", response->refusal.msg, part);
    }
    assert_true(span_equal_text(update_bytes_span(&response->nonce), "nonce"));
    sds_fixture_fini(fixture);
}

static void empty_and_ambiguous_fields_are_refused(void **state) {
    (void)state;
    struct sds_fixture fixture = {0};
    Sds__DataSource full = sds_fixture_inline(span_of_text("x"));
    Sds__DataSource none = sds_fixture_inline(NO_DATA);
    Sds__DataSource two = full;
    two.filename = data_of_text("/x");
    sds_fixture_certificate(&fixture, "default", none, full);
    assert_refused(&fixture, "certificate_chain is empty");
    sds_fixture_certificate(&fixture, "default", full, none);
    assert_refused(&fixture, "private_key is empty");
    sds_fixture_certificate(&fixture, "default", full, two);
    assert_refused(&fixture, "private_key has two forms");
    sds_fixture_bundle(&fixture, "ROOTCA", none);
    assert_refused(&fixture, "trusted_ca is empty");
    sds_fixture_validator(&fixture, "ROOTCA", NULL, 0);
    assert_refused(&fixture, "0 trust_domains");
    struct sds_fixture_domain twice[] = {{"a.org", full}, {"a.org", full}};
    sds_fixture_validator(&fixture, "ROOTCA", twice, 2);
    assert_refused(&fixture, "trust domain twice");
    struct sds_fixture_domain bare[] = {{"a.org", none}};
    sds_fixture_validator(&fixture, "ROOTCA", bare, 1);
    assert_refused(&fixture, "trust_bundle is empty");
    Sds__DataSource hidden = SDS__DATA_SOURCE__INIT;
    hidden.filename = (ProtobufCBinaryData){.data = (uint8_t *)(uintptr_t) "/a\0b", .len = 4};
    sds_fixture_certificate(&fixture, "default", hidden, full);
    assert_refused(&fixture, "not usable");
}

static void incomplete_secrets_are_refused(void **state) {
    (void)state;
    struct sds_fixture fixture = {0};
    Sds__DataSource full = sds_fixture_inline(span_of_text("x"));
    Sds__TlsCertificate certificate = SDS__TLS_CERTIFICATE__INIT;
    Sds__CertificateValidationContext context = SDS__CERTIFICATE_VALIDATION_CONTEXT__INIT;
    Sds__Secret secret = SDS__SECRET__INIT;
    secret.tls_certificate = &certificate;
    sds_fixture_secret(&fixture, &secret);
    assert_refused(&fixture, "no certificate_chain");
    certificate.certificate_chain = &full;
    sds_fixture_secret(&fixture, &secret);
    assert_refused(&fixture, "no private_key");
    secret.validation_context = &context;
    sds_fixture_secret(&fixture, &secret);
    assert_refused(&fixture, "at once");
    secret.tls_certificate = NULL;
    sds_fixture_secret(&fixture, &secret);
    assert_refused(&fixture, "neither trusted_ca");
    Sds__TypedExtensionConfig other = SDS__TYPED_EXTENSION_CONFIG__INIT;
    context.trusted_ca = &full;
    context.custom_validator_config = &other;
    sds_fixture_secret(&fixture, &secret);
    assert_refused(&fixture, "not the SPIFFE one");
    Sds__Any any = SDS__ANY__INIT;
    any.type_url = data_of_text(SDS_FIXTURE_PREFIX "SPIFFECertValidatorConfig");
    any.value = data_of_text("\x0a\x7f");
    other.typed_config = &any;
    sds_fixture_secret(&fixture, &secret);
    assert_refused(&fixture, "validator is not valid");
}

// Rules that we would obey in part only.
static void further_limits_are_refused(void **state) {
    (void)state;
    struct sds_fixture fixture = {0};
    Sds__DataSource full = sds_fixture_inline(span_of_text("x"));
    ProtobufCBinaryData some = data_of_text("\x08\x01");
    for (int i = 0; i < 6; i++) {
        Sds__CertificateValidationContext context = SDS__CERTIFICATE_VALIDATION_CONTEXT__INIT;
        context.trusted_ca = &full;
        size_t *counts[] = {&context.n_verify_certificate_hash, &context.n_verify_certificate_spki,
                            &context.n_match_subject_alt_names,
                            &context.n_match_typed_subject_alt_names};
        ProtobufCBinaryData **lists[] = {
            &context.verify_certificate_hash, &context.verify_certificate_spki,
            &context.match_subject_alt_names, &context.match_typed_subject_alt_names};
        if (i < 4) {
            *counts[i] = 1;
            *lists[i] = &some;
        } else if (i == 4) {
            context.require_signed_certificate_timestamp = some;
        } else {
            context.max_verify_depth = some;
        }
        Sds__Secret secret = SDS__SECRET__INIT;
        secret.validation_context = &context;
        sds_fixture_secret(&fixture, &secret);
        assert_refused(&fixture, "limits the peers by");
    }
}

static void twice_foreign_and_too_many_are_refused(void **state) {
    (void)state;
    struct sds_fixture fixture = {0};
    Sds__DataSource full = sds_fixture_inline(span_of_text("x"));
    sds_fixture_bundle(&fixture, "ROOTCA", full);
    sds_fixture_bundle(&fixture, "ROOTCA", full);
    assert_refused(&fixture, "twice");
    sds_fixture_bundle(&fixture, "ROOTCA", full);
    fixture.types[0] = "type.googleapis.com/envoy.config.cluster.v3.Cluster";
    assert_refused(&fixture, "not a Secret");
    char names[SDS_SECRETS_MAX + 1][2];
    for (size_t i = 0; i < SDS_SECRETS_MAX + 1; i++) {
        names[i][0] = (char)('!' + i);
        names[i][1] = '\0';
        sds_fixture_bundle(&fixture, names[i], full);
    }
    assert_refused(&fixture, "at most 64");
}

// Whatever is cut off, the result is a refusal, an error or a smaller response; sanitizers watch.
static void cut_messages_do_no_harm(void **state) {
    (void)state;
    struct sds_fixture fixture = {0};
    struct sds_fixture_domain domains[] = {{"a.org", sds_fixture_inline(span_of_text("A"))}};
    sds_fixture_certificate(&fixture, "default", sds_fixture_inline(span_of_text("chain")),
                            sds_fixture_inline(span_of_text("key")));
    sds_fixture_validator(&fixture, "ROOTCA", domains, 1);
    struct buf wire = {0};
    sds_fixture_render(&fixture, "1", "nonce", &wire);
    for (size_t len = 0; len < buf_span(&wire).len; len++) {
        uint8_t *cut = malloc(len + 1);
        assert_non_null(cut);
        memcpy(cut, buf_span(&wire).ptr, len);
        struct err err;
        struct sds_response *response = sds_decode_response(span_of(cut, len), &err);
        assert_false(response != NULL && response->is_good && response->num_secrets == 2 &&
                     response->nonce.len == 5);
        sds_response_free(response);
        free(cut);
    }
    buf_fini(&wire);
    sds_fixture_fini(&fixture);
}

// Two bytes each that become a hundred: the budget ends it.
static void amplification_is_bounded(void **state) {
    (void)state;
    struct err err;
    size_t len = SDS_MESSAGE_MAX;
    uint8_t *wire = malloc(len + 1);
    assert_non_null(wire);
    for (size_t i = 0; i < len; i += 2) {
        wire[i] = 0x12; // one more empty Any
        wire[i + 1] = 0;
    }
    assert_null(sds_decode_response(span_of(wire, len), &err));
    assert_non_null(strstr(err.msg, "too much memory"));
    assert_null(sds_decode_response(span_of(wire, len + 1), &err));
    assert_non_null(strstr(err.msg, "more than"));
    free(wire);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(requests_say_what_they_should),
        cmocka_unit_test(both_kinds_of_secrets_are_read),
        cmocka_unit_test(empty_and_ambiguous_fields_are_refused),
        cmocka_unit_test(incomplete_secrets_are_refused),
        cmocka_unit_test(further_limits_are_refused),
        cmocka_unit_test(twice_foreign_and_too_many_are_refused),
        cmocka_unit_test(cut_messages_do_no_harm),
        cmocka_unit_test(amplification_is_bounded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
