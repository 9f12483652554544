#include "tests/certmgr/verify_fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/testing/pki_identity.h"

static struct pki_options ca_options(struct pki_options options) {
    options.ca = true;
    return options;
}

enum verify_result verify_fixture_run(const struct verify_fixture *options, enum verify_role role,
                                      struct peer *peer, struct err *err) {
    struct pki_options root_options = ca_options(options->root);
    struct pki_options intermediate_options = ca_options(options->intermediate);
    struct pki_options leaf_options = options->leaf;
    if (!options->no_default_id && leaf_options.uris[0].ptr == NULL) {
        leaf_options.uris[0] = span_of_text(FIXTURE_ID);
    }
    struct pki_cert *root OWNED(pki_free) = pki_issue(NULL, &root_options);
    struct pki_cert *intermediate OWNED(pki_free) = pki_issue(root, &intermediate_options);
    struct pki_cert *leaf OWNED(pki_free) =
        pki_issue(options->no_intermediate ? root : intermediate, &leaf_options);
    const char *domain = options->trust_domain == NULL ? FIXTURE_DOMAIN : options->trust_domain;
    struct bundle_set *bundles OWNED(bundle_set_unref) = pki_bundles(domain, root);
    CRYPTO_BUFFER *chain[] = {pki_buffer(leaf), pki_buffer(intermediate)};
    struct peer ignored;
    return verify_peer(bundles,
                       &(struct verify_question){.chain = chain,
                                                 .num_chain = options->no_intermediate ? 1 : 2,
                                                 .role = role,
                                                 .now = options->now == 0 ? PKI_NOW : options->now},
                       peer == NULL ? &ignored : peer, err);
}

void verify_fixture_expect(const char *name, const struct verify_fixture *options,
                           enum verify_result expected) {
    const enum verify_role roles[] = {VERIFY_CLIENT, VERIFY_SERVER};
    for (size_t i = 0; i < 2; i++) {
        struct err err = {0};
        enum verify_result result = verify_fixture_run(options, roles[i], NULL, &err);
        if (result != expected) {
            fail_msg("%s (%s): %s instead of %s; %s", name, i == 0 ? "client" : "server",
                     verify_result_name(result), verify_result_name(expected), err.msg);
        }
        assert_int_equal(result == VERIFY_OK, err.msg[0] == '\0'); // a refusal says why
    }
}

enum verify_result verify_fixture_certs(const struct bundle_set *bundles,
                                        const struct pki_cert *const *certs, size_t num,
                                        struct err *err) {
    CRYPTO_BUFFER *chain[64];
    assert_true(num <= 64);
    for (size_t i = 0; i < num; i++) {
        chain[i] = pki_buffer(certs[i]);
    }
    struct peer peer;
    return verify_peer(bundles,
                       &(struct verify_question){
                           .chain = chain, .num_chain = num, .role = VERIFY_CLIENT, .now = PKI_NOW},
                       &peer, err);
}
