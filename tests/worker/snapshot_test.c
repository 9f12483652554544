#include "agent/worker/snapshot.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#include "base/buf.h"
#include "tests/testing/pki_identity.h"

static struct config *defaults(void) {
    struct buf said = {0};
    struct config *config = config_parse("test", span_of_text("{}"), &said, &said);
    assert_non_null(config);
    buf_fini(&said);
    return config;
}

static void test_without_identity_it_says_what_is_missing(void **state) {
    (void)state;
    OWNED(config_unref) struct config *config = defaults();
    static const struct {
        enum identity_state state;
        enum close_reason why;
    } ROWS[] = {
        {IDENTITY_PENDING, CLOSE_NO_IDENTITY},
        {IDENTITY_WITHDRAWN, CLOSE_IDENTITY_WITHDRAWN},
        {IDENTITY_EXPIRED, CLOSE_IDENTITY_EXPIRED},
    };
    for (size_t i = 0; i < sizeof(ROWS) / sizeof(ROWS[0]); i++) {
        OWNED(snapshot_unref)
        struct snapshot *snapshot = snapshot_new(config, NULL, ROWS[i].state, NULL, NULL);
        enum close_reason why = CLOSE_NONE;
        assert_null(snapshot_context(snapshot, PKI_NOW, &why));
        assert_int_equal(why, ROWS[i].why);
    }
}

static void test_never_a_context_that_has_expired(void **state) {
    (void)state;
    OWNED(config_unref) struct config *config = defaults();
    OWNED(pki_free) struct pki_cert *ca = pki_ca();
    OWNED(identity_unref)
    struct identity *identity = pki_identity(ca, "spiffe://example.org/ns/a/sa/b", 1);
    OWNED(tls_context_unref)
    struct tls_context *context = tls_context_new(identity, span_of(NULL, 0), NULL);
    OWNED(snapshot_unref)
    struct snapshot *snapshot = snapshot_new(config, context, IDENTITY_VALID, NULL, NULL);
    enum close_reason why = CLOSE_NONE;
    int64_t end = svid_not_after(identity_svid(identity));
    assert_ptr_equal(snapshot_context(snapshot, end - 1, &why), context);
    assert_null(snapshot_context(snapshot, end, &why));
    assert_int_equal(why, CLOSE_IDENTITY_EXPIRED);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_without_identity_it_says_what_is_missing),
        cmocka_unit_test(test_never_a_context_that_has_expired),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
