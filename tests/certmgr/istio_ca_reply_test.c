// A CA's answer is judged before it counts: each bad row differs from the control in one thing.
#include "certmgr/istio_ca_reply.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/buf.h"
#include "certmgr/istio_ca_codec.h"
#include "tests/testing/pki.h"

#define ID "spiffe://td/ns/default/sa/web"

struct answer {
    struct buf message;
    struct buf key;
};

static void answer_fini(struct answer *answer) {
    buf_fini(&answer->message);
    buf_clear_secret(&answer->key);
}

// What a CA with one intermediate would answer, with these options for the leaf.
static void make(const struct pki_options *leaf_options, bool with_intermediate, bool other_root,
                 struct answer *out) {
    struct pki_cert *root OWNED(pki_free) = pki_ca();
    struct pki_cert *other OWNED(pki_free) = pki_ca();
    struct pki_cert *intermediate OWNED(pki_free) = pki_intermediate(root);
    struct pki_cert *leaf OWNED(pki_free) = pki_issue(intermediate, leaf_options);
    const struct pki_cert *certs[] = {leaf, intermediate};
    struct pki_bytes *chain OWNED(pki_bytes_free) = pki_concat(certs, with_intermediate ? 2 : 1);
    struct err err;
    *out = (struct answer){0};
    assert_true(istio_ca_codec_encode_response(pki_span(chain), pki_der(other_root ? other : root),
                                               &out->message, &err));
    assert_true(buf_append(&out->key, pki_key_der(leaf).ptr, pki_key_der(leaf).len));
}

static struct update *open_answer(const struct answer *answer, const char *wanted,
                                  struct istio_ca_validity *validity, struct err *err) {
    const struct istio_ca_question question = {.key_der = buf_span(&answer->key),
                                               .spiffe_id = wanted};
    return istio_ca_reply_open(buf_span(&answer->message), &question, PKI_NOW, validity, err);
}

static void control(void **state) {
    (void)state;
    static const char *const wanted[] = {NULL, ID};
    for (size_t i = 0; i < 2; i++) {
        struct answer answer __attribute__((cleanup(answer_fini)));
        struct istio_ca_validity validity;
        struct err err;
        make(&(struct pki_options){.uris = {span_of_text(ID)},
                                   .not_before = PKI_NOW - 5,
                                   .not_after = PKI_NOW + 5},
             true, false, &answer);
        struct update *update OWNED(update_free) = open_answer(&answer, wanted[i], &validity, &err);
        assert_non_null(update);
        assert_int_equal(update->num_svids, 1);
        assert_true(span_equal_text(update_bytes_span(&update->svids[0].spiffe_id), ID));
        assert_true(span_equal(update_bytes_span(&update->svids[0].key), buf_span(&answer.key)));
        assert_int_equal(validity.not_before, PKI_NOW - 5);
        assert_int_equal(validity.not_after, PKI_NOW + 5);
    }
}

static void bad_answers(void **state) {
    (void)state;
    const struct {
        struct pki_options leaf;
        bool without_intermediate;
        bool other_root;
        const char *wanted;
    } rows[] = {
        {{.uris = {span_of_text(ID)}}, true, false, NULL},
        {{.uris = {span_of_text(ID)}}, false, true, NULL},
        {{.uris = {span_of_text(ID)}}, false, false, "spiffe://td/other"},
        {{.uris = {span_of_text("spiffe://td")}}, false, false, NULL},
        {{.uris = {span_of_text("https://td/a")}}, false, false, NULL},
        {{.uris = {span_of_text(ID), span_of_text(ID "2")}}, false, false, NULL},
        {{.dns = {span_of_text("web")}}, false, false, NULL},
        {{.uris = {span_of_text(ID)}, .ca = true}, false, false, NULL},
        {{.uris = {span_of_text(ID)}, .not_after = PKI_NOW - 1}, false, false, NULL},
        {{.uris = {span_of_text(ID)}, .key_usage = "critical,keyCertSign"}, false, false, NULL},
        {{.uris = {span_of_text(ID)}, .bad_signature = true}, false, false, NULL},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct answer answer __attribute__((cleanup(answer_fini)));
        struct istio_ca_validity validity;
        struct err err = {0};
        make(&rows[i].leaf, !rows[i].without_intermediate, rows[i].other_root, &answer);
        struct update *update OWNED(update_free) =
            open_answer(&answer, rows[i].wanted, &validity, &err);
        if (update != NULL || err.msg[0] == '\0') {
            fail_msg("row %zu was accepted", i);
        }
    }
}

static void another_key(void **state) {
    (void)state;
    struct answer one __attribute__((cleanup(answer_fini)));
    struct answer two __attribute__((cleanup(answer_fini)));
    struct istio_ca_validity validity;
    struct err err;
    make(&(struct pki_options){.uris = {span_of_text(ID)}}, true, false, &one);
    make(&(struct pki_options){.uris = {span_of_text(ID)}}, true, false, &two);
    struct buf key = one.key;
    one.key = two.key;
    two.key = key;
    assert_null(open_answer(&one, NULL, &validity, &err));
    assert_non_null(strstr(err.msg, "key"));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(control),
        cmocka_unit_test(bad_answers),
        cmocka_unit_test(another_key),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
