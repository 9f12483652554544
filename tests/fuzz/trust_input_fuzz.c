// Whatever lies in a directory of certificates. What is taken renders to PEM that is taken again as
// the same certificates; the Java stores are rendered of anything that parses.
#include <string.h>

#include "base/buf.h"
#include "base/check.h"
#include "base/span.h"
#include "certmgr/pem.h"
#include "certmgr/trust/trust_builder.h"
#include "certmgr/trust/trust_input.h"
#include "certmgr/trust/trust_jks.h"
#include "certmgr/trust/trust_pkcs12.h"
#include "tests/fuzz/fuzz_target.h"

#define NOW 1800000000

struct taken {
    struct trust_builder *builder;
    struct buf pem;
    size_t num_certificates, num_problems;
};

static bool on_certificate(void *arg, struct trust_cert *cert, size_t index) {
    struct taken *taken = arg;
    CHECK(index == taken->num_certificates++);
    CHECK(cert->der_len <= TRUST_CERT_DER_MAX && strlen(cert->subject) <= TRUST_CERT_NAME_MAX);
    CHECK(pem_render("CERTIFICATE", span_of(cert->der, cert->der_len), &taken->pem));
    CHECK(trust_builder_add(taken->builder, cert));
    return true;
}

static bool on_problem(void *arg, const char *sentence) {
    struct taken *taken = arg;
    CHECK(sentence[0] != '\0');
    taken->num_problems++;
    return true;
}

static struct trust_set *take_all(struct span input, struct taken *taken) {
    const struct trust_input_sink sink = {
        .arg = taken, .certificate = on_certificate, .problem = on_problem};
    const struct trust_place place = {.source = "input", .stem = "input", .is_loaded = true};
    taken->builder = trust_builder_new(0, NOW);
    CHECK(taken->builder != NULL);
    trust_builder_begin(taken->builder, &place);
    CHECK(trust_input_parse(input, &sink));
    CHECK(trust_builder_end(taken->builder) == taken->num_certificates);
    CHECK(taken->num_certificates + taken->num_problems > 0);
    struct trust_set *set = trust_builder_finish(taken->builder);
    CHECK(set != NULL && set->num_entries <= taken->num_certificates);
    return set;
}

static void render(const struct trust_set *set) {
    struct buf out = {0};
    CHECK(trust_pkcs12_render(set, &out));
    buf_clear(&out);
    CHECK(trust_jks_render(set, "changeit", &out));
    buf_fini(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct taken first = {0}, second = {0};
    OWNED(trust_set_unref) struct trust_set *set = take_all(span_of(data, size), &first);
    render(set);
    OWNED(trust_set_unref) struct trust_set *again = take_all(buf_span(&first.pem), &second);
    CHECK(second.num_certificates == first.num_certificates);
    CHECK(first.num_certificates == 0 || second.num_problems == 0);
    CHECK(again->num_entries == set->num_entries);
    for (size_t i = 0; i < set->num_entries; i++) {
        CHECK(memcmp(set->entries[i]->cert->sha256, again->entries[i]->cert->sha256,
                     TRUST_CERT_SHA256_LEN) == 0);
    }
    buf_fini(&first.pem);
    buf_fini(&second.pem);
    return 0;
}
