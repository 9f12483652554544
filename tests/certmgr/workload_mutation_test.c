// Ten thousand mutated Workload API messages through the codec to the store.
// Malformed ones leave the last good identity and are counted, withdrawal is obeyed, and no
// certificate but one that our CA issued, with its own key, ever comes into force.
// PAVISE_TEST_SEED replays a run.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <openssl/evp.h>

#include "base/buf.h"
#include "certmgr/identity_store.h"
#include "certmgr/workload_codec.h"
#include "tests/base/prng.h"
#include "tests/certmgr/update_fixture.h"
#include "tests/testing/pki_identity.h"

#define ROUNDS 10000
#define LEAVES 4
#define MESSAGE_MAX 16384

struct lab {
    struct prng prng;
    struct pki_cert *ca;
    struct pki_cert *stranger; // a CA that no good message names for our domain
    struct pki_cert *leaves[LEAVES];
    struct pki_bytes *crl;
    struct identity_store *store;
    struct tally {
        unsigned undecodable, changed, unchanged, refused, gone;
    } tally;
};

static const char *const IDS[LEAVES] = {"spiffe://example.org/a", "spiffe://example.org/b",
                                        "spiffe://example.org/c", "spiffe://example.org/d"};

static void svid_fill(struct lab *lab, struct update_svid *svid) {
    size_t leaf = prng_below(&lab->prng, LEAVES);
    static const char *const HINTS[] = {"", "x", "y"};
    update_fixture_set(&svid->spiffe_id, span_of_text(IDS[leaf]));
    update_fixture_set(&svid->chain, pki_der(lab->leaves[leaf]));
    update_fixture_set(&svid->key, pki_key_der(lab->leaves[leaf]));
    update_fixture_set(&svid->bundle, pki_der(lab->ca));
    update_fixture_set(&svid->hint, span_of_text(HINTS[prng_below(&lab->prng, 3)]));
}

static struct update *good_update(struct lab *lab) {
    size_t num_federated = prng_below(&lab->prng, 3);
    struct update *update =
        update_new(1 + prng_below(&lab->prng, 3), num_federated, prng_below(&lab->prng, 2));
    assert_non_null(update);
    for (size_t i = 0; i < update->num_svids; i++) {
        svid_fill(lab, &update->svids[i]);
    }
    for (size_t i = 0; i < num_federated; i++) {
        update_fixture_set(&update->federated[i].trust_domain_id,
                           span_of_text(i == 0 ? "spiffe://friend" : "spiffe://other"));
        update_fixture_set(&update->federated[i].der, pki_der(lab->stranger));
    }
    for (size_t i = 0; i < update->num_crls; i++) {
        update_fixture_set(&update->crls[i], pki_span(lab->crl));
    }
    return update;
}

// A defect of the content: well-formed on the wire.
static void update_mutate(struct lab *lab, struct update *update) {
    struct update_svid *svid = &update->svids[prng_below(&lab->prng, update->num_svids)];
    size_t other = prng_below(&lab->prng, LEAVES);
    struct update_bytes *fields[] = {&svid->spiffe_id, &svid->chain, &svid->key, &svid->bundle,
                                     &svid->hint};
    struct update_bytes *field = fields[prng_below(&lab->prng, 5)];
    switch (prng_below(&lab->prng, 8)) {
    case 0:
        update_fixture_set(&svid->key, pki_key_der(lab->leaves[other]));
        break;
    case 1:
        update_fixture_set(&svid->chain, pki_der(lab->leaves[other]));
        break;
    case 2:
        update_fixture_set(&svid->spiffe_id, span_of_text(IDS[other]));
        break;
    case 3:
        update_fixture_set(&svid->bundle, pki_der(lab->stranger));
        break;
    case 4:
        field->len = 0;
        break;
    case 5:
        field->len = prng_below(&lab->prng, field->len + 1);
        break;
    case 6:
        if (field->len > 0) {
            field->ptr[prng_below(&lab->prng, field->len)] ^=
                (uint8_t)(1u << prng_below(&lab->prng, 8));
        }
        break;
    default:
        update->withdrawn = true;
    }
}

static uint8_t random_byte(struct lab *lab) {
    static const uint8_t ODD[] = {0, 1, 0x0a, 0x12, 0x7f, 0x80, 0xff};
    return prng_below(&lab->prng, 2) == 0 ? ODD[prng_below(&lab->prng, sizeof(ODD))]
                                          : (uint8_t)prng_next(&lab->prng);
}

// One defect of the bytes; returns the new length.
static size_t wire_mutate(struct lab *lab, uint8_t *wire, size_t len) {
    if (len == 0) {
        return 0;
    }
    size_t at = prng_below(&lab->prng, len);
    size_t from = prng_below(&lab->prng, len);
    size_t span = prng_below(&lab->prng, len - (at > from ? at : from)) + 1;
    switch (prng_below(&lab->prng, 6)) {
    case 0:
        wire[at] ^= (uint8_t)(1u << prng_below(&lab->prng, 8));
        return len;
    case 1:
        wire[at] = random_byte(lab);
        return len;
    case 2:
        return at; // cut off
    case 3:
        memmove(wire + at, wire + from, span); // spliced
        return len;
    case 4:
        memmove(wire + at, wire + at + span, len - at - span); // something left out
        return len - span;
    default:
        if (len + span > MESSAGE_MAX) {
            return len;
        }
        memmove(wire + at + span, wire + at, len - at); // something said twice
        return len + span;
    }
}

static bool is_known_leaf(const struct lab *lab, const struct svid *svid) {
    size_t num = 0;
    const CRYPTO_BUFFER *leaf = svid_chain(svid, &num)[0];
    struct span der = span_of(CRYPTO_BUFFER_data(leaf), CRYPTO_BUFFER_len(leaf));
    for (size_t i = 0; i < LEAVES; i++) {
        if (span_equal(der, pki_der(lab->leaves[i]))) {
            return EVP_PKEY_cmp(svid_key(svid), pki_key(lab->leaves[i])) == 1 &&
                   strcmp(svid_id(svid)->text, IDS[i]) == 0;
        }
    }
    return false;
}

// What must hold after each message, whatever it was.
static void outcome_check(struct lab *lab, const struct update *update) {
    struct identity_counts before = identity_store_counts(lab->store);
    const struct identity *was = identity_store_current(lab->store, PKI_NOW);
    struct err err = {0};
    enum identity_outcome outcome = identity_store_apply(lab->store, update, PKI_NOW, &err);
    struct identity_counts after = identity_store_counts(lab->store);
    struct identity *is = identity_store_current(lab->store, PKI_NOW);
    bool empty = update->withdrawn || update->num_svids == 0;
    assert_int_equal(outcome == IDENTITY_GONE, empty);
    assert_int_equal(after.refused - before.refused, outcome == IDENTITY_REFUSED);
    switch (outcome) {
    case IDENTITY_CHANGED:
        lab->tally.changed++;
        break;
    case IDENTITY_UNCHANGED:
        lab->tally.unchanged++;
        assert_ptr_equal(is, was);
        break;
    case IDENTITY_REFUSED:
        lab->tally.refused++;
        assert_ptr_equal(is, was);
        assert_true(err.msg[0] != '\0');
        break;
    case IDENTITY_GONE:
        lab->tally.gone++;
        assert_null(is);
        break;
    }
    assert_true(is == NULL || is_known_leaf(lab, identity_svid(is)));
}

static void round_run(struct lab *lab) {
    struct update *update OWNED(update_free) = good_update(lab);
    bool of_content = prng_below(&lab->prng, 2) == 0;
    if (of_content) {
        update_mutate(lab, update);
    }
    struct buf packed = {0};
    struct err err = {0};
    assert_true(workload_encode_svids(update, &packed, &err));
    size_t len = buf_span(&packed).len;
    uint8_t *wire = malloc(MESSAGE_MAX);
    assert_true(wire != NULL && len <= MESSAGE_MAX);
    if (len > 0) {
        memcpy(wire, buf_span(&packed).ptr, len);
    }
    for (uint64_t i = of_content ? 0 : 1 + prng_below(&lab->prng, 3); i > 0; i--) {
        len = wire_mutate(lab, wire, len);
    }
    struct update *decoded OWNED(update_free) = workload_decode_svids(span_of(wire, len), &err);
    if (decoded == NULL) {
        lab->tally.undecodable++; // the source discards it
        assert_true(err.msg[0] != '\0');
    } else {
        outcome_check(lab, decoded);
    }
    free(wire);
    buf_clear_secret(&packed);
}

static void mutated_messages_open_nothing(void **state) {
    (void)state;
    struct lab lab = {.prng = prng_new(),
                      .ca = pki_ca(),
                      .stranger = pki_ca(),
                      .store = identity_store_new((struct identity_choice){0})};
    lab.crl = pki_crl(lab.ca, NULL, PKI_NOW - 1000, PKI_NOW + 1000);
    for (size_t i = 0; i < LEAVES; i++) {
        lab.leaves[i] = pki_leaf(lab.ca, IDS[i]);
    }
    for (int i = 0; i < ROUNDS; i++) {
        round_run(&lab);
    }
    printf("%d messages: %u undecodable, %u refused, %u changed, %u unchanged, %u withdrawn\n",
           ROUNDS, lab.tally.undecodable, lab.tally.refused, lab.tally.changed, lab.tally.unchanged,
           lab.tally.gone);
    // A mutation that never bites, or always, would prove nothing.
    assert_in_range(lab.tally.undecodable, ROUNDS / 100, ROUNDS * 3 / 4);
    assert_in_range(lab.tally.refused, ROUNDS / 100, ROUNDS);
    assert_in_range(lab.tally.changed, ROUNDS / 100, ROUNDS / 2);
    assert_in_range(lab.tally.gone, ROUNDS / 100, ROUNDS / 2);
    identity_store_free(lab.store);
    for (size_t i = 0; i < LEAVES; i++) {
        pki_free(lab.leaves[i]);
    }
    pki_bytes_free(lab.crl);
    pki_free(lab.ca);
    pki_free(lab.stranger);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(mutated_messages_open_nothing)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
