// Certificates, keys, bundles and CRLs from arbitrary bytes, through the doors that a source and a
// peer have. Input: four parts (bundle, key, CRL, chain), each after its length in two bytes,
// low byte first; the chain is the rest.
#include "base/check.h"
#include "base/err.h"
#include "base/span.h"
#include "certmgr/bundle.h"
#include "certmgr/svid.h"
#include "certmgr/verify.h"
#include "tests/fuzz/fuzz_target.h"

#define NOW 1800000000

static struct span next_part(struct span *rest) {
    if (rest->len < 2) {
        return span_of(rest->ptr, 0);
    }
    size_t len = (size_t)rest->ptr[0] | (size_t)rest->ptr[1] << 8;
    *rest = span_after(*rest, 2);
    len = len < rest->len ? len : rest->len;
    struct span part = span_of(rest->ptr, len);
    *rest = span_after(*rest, len);
    return part;
}

static struct bundle_set *make_bundles(struct span bundle, struct span crl) {
    struct bundle_builder *builder = bundle_builder_new();
    CHECK(builder != NULL);
    struct err err = {0};
    bool ok = bundle_builder_add(builder, span_of_text("example.org"), bundle, &err);
    CHECK(ok == (err.msg[0] == '\0'));
    (void)!bundle_builder_add_crl(builder, crl, &err);
    return bundle_builder_finish(builder);
}

static void verify_chain(const struct bundle_set *bundles, CRYPTO_BUFFER *const *chain,
                         size_t num) {
    for (int role = VERIFY_CLIENT; role <= VERIFY_SERVER; role++) {
        struct peer peer;
        struct err err = {0};
        enum verify_result result = verify_peer(
            bundles,
            &(struct verify_question){
                .chain = chain, .num_chain = num, .role = (enum verify_role)role, .now = NOW},
            &peer, &err);
        CHECK((result == VERIFY_OK) == (err.msg[0] == '\0'));
        CHECK(result != VERIFY_OK || (spiffe_id_path(&peer.id).len > 0 && peer.not_after > NOW));
    }
    struct peer peer;
    (void)!verify_peer(bundles,
                       &(struct verify_question){.chain = chain,
                                                 .num_chain = num,
                                                 .role = VERIFY_SERVER,
                                                 .dns_name = span_of_text("a.example.org"),
                                                 .trust_domain = span_of_text("example.org"),
                                                 .now = NOW},
                       &peer, NULL);
}

// The bytes as one certificate, as a peer may send them.
static void verify_bytes(const struct bundle_set *bundles, struct span der) {
    CRYPTO_BUFFER *whole = CRYPTO_BUFFER_new(der.ptr, der.len, NULL);
    CHECK(whole != NULL);
    verify_chain(bundles, &whole, 1);
    CRYPTO_BUFFER_free(whole);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct span rest = span_of(data, size);
    struct span bundle = next_part(&rest);
    struct span key = next_part(&rest);
    struct span crl = next_part(&rest);
    struct bundle_set *bundles = make_bundles(bundle, crl);
    struct err err = {0};
    struct svid *svid = svid_parse(rest, key, span_of(NULL, 0), span_of(NULL, 0), &err);
    CHECK((svid != NULL) == (err.msg[0] == '\0'));
    if (svid != NULL) {
        size_t num = 0;
        CRYPTO_BUFFER *const *chain = svid_chain(svid, &num);
        CHECK(num > 0 && num <= SVID_CHAIN_MAX && svid_id(svid)->len > 0);
        verify_chain(bundles, chain, num);
    }
    verify_bytes(bundles, rest);
    svid_unref(svid);
    bundle_set_unref(bundles);
    return 0;
}
