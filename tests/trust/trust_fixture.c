#include "tests/trust/trust_fixture.h"

#include "base/check.h"

void trust_fixture_add(struct trust_builder *builder, enum trust_origin origin, const char *name,
                       const struct pki_cert *cert) {
    const struct trust_place place = {
        .source = "/source", .stem = name, .origin = origin, .is_loaded = true};
    struct trust_cert *parsed = trust_cert_parse(pki_der(cert), false, NULL);
    CHECK(parsed != NULL);
    trust_builder_begin(builder, &place);
    CHECK(trust_builder_add(builder, parsed));
    trust_builder_end(builder);
}

struct trust_set *trust_fixture_set(void) {
    static const struct {
        enum trust_origin origin;
        const char *name;
    } rows[] = {{TRUST_USER, "alpha"}, {TRUST_USER, "beta"}, {TRUST_PUBLIC, NULL}};
    struct trust_builder *builder = trust_builder_new(0, PKI_NOW);
    CHECK(builder != NULL);
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct pki_cert *cert = pki_ca();
        trust_fixture_add(builder, rows[i].origin, rows[i].name, cert);
        pki_free(cert);
    }
    struct trust_set *set = trust_builder_finish(builder);
    CHECK(set != NULL);
    return set;
}
