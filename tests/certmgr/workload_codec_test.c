// class 19: whatever the bytes are, the result is a complete update or a sentence, in bounded
// memory.
#include "certmgr/workload_codec.h"

#include <malloc.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void set(struct update_bytes *out, const char *text, size_t len) {
    assert_true(update_bytes_set(out, span_of(text, len)));
}

static void set_text(struct update_bytes *out, const char *text) {
    set(out, text, strlen(text));
}

static void assert_bytes(const struct update_bytes *bytes, const char *text) {
    assert_true(span_equal_text(update_bytes_span(bytes), text));
}

static void svid_set(struct update_svid *svid, const char *id, const char *hint) {
    set_text(&svid->spiffe_id, id);
    set_text(&svid->chain, "chain");
    set_text(&svid->key, "key");
    set_text(&svid->bundle, "bundle");
    set_text(&svid->hint, hint);
}

static void bundle_set_text(struct update_bundle *bundle, const char *id, const char *der) {
    set_text(&bundle->trust_domain_id, id);
    set_text(&bundle->der, der);
}

static struct update *decoded(const struct update *in) {
    struct buf wire = {0};
    struct err err;
    assert_true(workload_encode_svids(in, &wire, &err));
    struct update *out = workload_decode_svids(buf_span(&wire), &err);
    assert_non_null(out);
    buf_clear_secret(&wire);
    return out;
}

static struct update *decode_text(const char *bytes, size_t len, struct err *err) {
    return workload_decode_svids(span_of(bytes, len), err);
}

static void round_trip_keeps_every_field(void **state) {
    (void)state;
    struct update *in OWNED(update_free) = update_new(2, 1, 1);
    svid_set(&in->svids[0], "spiffe://td/a", "internal");
    svid_set(&in->svids[1], "spiffe://td/b", "");
    bundle_set_text(&in->federated[0], "spiffe://other", "roots");
    set_text(&in->crls[0], "crl");
    struct update *out OWNED(update_free) = decoded(in);
    assert_false(out->withdrawn);
    assert_int_equal(out->num_svids, 2);
    assert_bytes(&out->svids[0].spiffe_id, "spiffe://td/a");
    assert_bytes(&out->svids[0].chain, "chain");
    assert_bytes(&out->svids[0].key, "key");
    assert_bytes(&out->svids[0].bundle, "bundle");
    assert_bytes(&out->svids[0].hint, "internal");
    assert_bytes(&out->svids[1].spiffe_id, "spiffe://td/b");
    assert_int_equal(out->svids[1].hint.len, 0);
    assert_int_equal(out->num_federated, 1);
    assert_bytes(&out->federated[0].trust_domain_id, "spiffe://other");
    assert_bytes(&out->federated[0].der, "roots");
    assert_int_equal(out->num_crls, 1);
    assert_bytes(&out->crls[0], "crl");
}

// The bytes that a Go or Rust server would send, written out by hand: field numbers are the
// interface.
static void wire_format_is_the_specification(void **state) {
    (void)state;
    static const char WIRE[] = "\x0a\x10"
                               "\x0a\x01I\x12\x01"
                               "C\x1a\x01K\x22\x01"
                               "B\x2a\x02hi"
                               "\x12\x01R"
                               "\x1a\x06\x0a\x01T\x12\x01"
                               "D";
    struct err err;
    struct update *out OWNED(update_free) = decode_text(WIRE, sizeof(WIRE) - 1, &err);
    assert_non_null(out);
    assert_bytes(&out->svids[0].spiffe_id, "I");
    assert_bytes(&out->svids[0].chain, "C");
    assert_bytes(&out->svids[0].key, "K");
    assert_bytes(&out->svids[0].bundle, "B");
    assert_bytes(&out->svids[0].hint, "hi");
    assert_bytes(&out->crls[0], "R");
    assert_bytes(&out->federated[0].trust_domain_id, "T");
    assert_bytes(&out->federated[0].der, "D");
    struct buf wire = {0};
    assert_true(workload_encode_svids(out, &wire, &err));
    assert_true(span_equal(buf_span(&wire), span_of(WIRE, sizeof(WIRE) - 1)));
    buf_fini(&wire);
}

// class 2: a C string would end at the NUL.
static void nul_inside_an_id_survives(void **state) {
    (void)state;
    struct update *in OWNED(update_free) = update_new(1, 0, 0);
    svid_set(&in->svids[0], "x", "");
    set(&in->svids[0].hint, "a\0b", 3);
    free(in->svids[0].spiffe_id.ptr);
    in->svids[0].spiffe_id = (struct update_bytes){0};
    set(&in->svids[0].spiffe_id, "spiffe://td/a\0b", 15);
    struct update *out OWNED(update_free) = decoded(in);
    assert_int_equal(out->svids[0].spiffe_id.len, 15);
    assert_memory_equal(out->svids[0].spiffe_id.ptr, "spiffe://td/a\0b", 15);
    assert_int_equal(out->svids[0].hint.len, 3);
}

static void no_svid_is_a_withdrawal(void **state) {
    (void)state;
    struct err err;
    struct update *empty OWNED(update_free) = decode_text("", 0, &err);
    assert_non_null(empty);
    assert_true(empty->withdrawn);
    // Federated bundles alone do not change that.
    struct update *in OWNED(update_free) = update_new(0, 1, 0);
    bundle_set_text(&in->federated[0], "spiffe://other", "roots");
    struct update *out OWNED(update_free) = decoded(in);
    assert_true(out->withdrawn);
    assert_int_equal(out->num_federated, 0);
    struct buf wire = {0};
    assert_true(workload_encode_svids(empty, &wire, &err));
    assert_int_equal(buf_span(&wire).len, 0);
    buf_fini(&wire);
}

static void mandatory_field_missing_refuses_the_message(void **state) {
    (void)state;
    static const char *const NAMES[] = {"spiffe_id", "x509_svid", "x509_svid_key", "bundle"};
    for (size_t i = 0; i < 4; i++) {
        struct update *in OWNED(update_free) = update_new(2, 0, 0);
        svid_set(&in->svids[0], "spiffe://td/a", "");
        svid_set(&in->svids[1], "spiffe://td/b", "");
        struct update_svid *bad = &in->svids[1];
        struct update_bytes *fields[] = {&bad->spiffe_id, &bad->chain, &bad->key, &bad->bundle};
        fields[i]->len = 0;
        struct buf wire = {0};
        struct err err;
        assert_true(workload_encode_svids(in, &wire, &err));
        assert_null(workload_decode_svids(buf_span(&wire), &err));
        assert_non_null(strstr(err.msg, NAMES[i]));
        assert_non_null(strstr(err.msg, "SVID 2"));
        buf_fini(&wire);
    }
}

static void last_entry_of_a_map_wins(void **state) {
    (void)state;
    struct update *in OWNED(update_free) = update_new(1, 5, 0);
    svid_set(&in->svids[0], "spiffe://td/a", "");
    bundle_set_text(&in->federated[0], "spiffe://one", "old");
    bundle_set_text(&in->federated[1], "spiffe://two", "two");
    bundle_set_text(&in->federated[2], "spiffe://one", "new");
    bundle_set_text(&in->federated[3], "spiffe://gone", "was there");
    bundle_set_text(&in->federated[4], "spiffe://gone", "");
    struct update *out OWNED(update_free) = decoded(in);
    assert_int_equal(out->num_federated, 2);
    assert_bytes(&out->federated[0].trust_domain_id, "spiffe://two");
    assert_bytes(&out->federated[1].trust_domain_id, "spiffe://one");
    assert_bytes(&out->federated[1].der, "new");
}

static void first_svid_with_a_hint_wins(void **state) {
    (void)state;
    struct update *in OWNED(update_free) = update_new(4, 0, 0);
    svid_set(&in->svids[0], "spiffe://td/a", "h");
    svid_set(&in->svids[1], "spiffe://td/b", "h");
    svid_set(&in->svids[2], "spiffe://td/c", "");
    svid_set(&in->svids[3], "spiffe://td/d", "");
    struct update *out OWNED(update_free) = decoded(in);
    assert_int_equal(out->num_svids, 3);
    assert_bytes(&out->svids[0].spiffe_id, "spiffe://td/a");
    assert_bytes(&out->svids[1].spiffe_id, "spiffe://td/c");
    assert_bytes(&out->svids[2].spiffe_id, "spiffe://td/d");
}

static void malformed_bytes_are_refused(void **state) {
    (void)state;
    static const struct {
        const char *bytes;
        size_t len;
    } BAD[] = {
        {"\x0a", 1},                                          // a length is missing
        {"\x0a\x7f", 2},                                      // longer than what is there
        {"\x0a\xff\xff\xff\xff\x0f", 6},                      // a length of 4 GiB
        {"\x0a\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", 11}, // a length of 2^64-1
        {"\x00\x00", 2},                                      // field number 0
        {"\x0b\x0c", 2},                                      // groups
        {"\x08\x01", 2},                                      // a varint where bytes belong
        {"\x0a\x02\x0a\x05", 4},                              // an inner length too long
        {"\x12\x00", 2},                                      // withdrawn, and an empty CRL
        {"GET / HTTP/1.1\r\n", 16},
    };
    for (size_t i = 0; i < sizeof(BAD) / sizeof(BAD[0]); i++) {
        struct err err;
        struct update *out OWNED(update_free) = decode_text(BAD[i].bytes, BAD[i].len, &err);
        // Only the one without SVIDs is a message at all.
        assert_true(out == NULL ? err.class == ERR_INPUT : out->withdrawn);
        assert_int_equal(out != NULL, i == 8);
    }
}

static void every_prefix_of_a_message_is_safe(void **state) {
    (void)state;
    struct update *in OWNED(update_free) = update_new(1, 1, 1);
    svid_set(&in->svids[0], "spiffe://td/a", "h");
    bundle_set_text(&in->federated[0], "spiffe://other", "roots");
    set_text(&in->crls[0], "crl");
    struct buf wire = {0};
    struct err err;
    assert_true(workload_encode_svids(in, &wire, &err));
    struct span whole = buf_span(&wire);
    for (size_t len = 0; len < whole.len; len++) {
        uint8_t *copy = malloc(len + 1);
        assert_non_null(copy);
        memcpy(copy, whole.ptr, len);
        struct update *out OWNED(update_free) = workload_decode_svids(span_of(copy, len), &err);
        assert_true(out == NULL || out->withdrawn || out->num_svids == 1);
        free(copy);
    }
    buf_fini(&wire);
}

// `unit` over and over, up to `len` bytes.
static uint8_t *repeated(const char *unit, size_t unit_len, size_t len) {
    uint8_t *bytes = malloc(len);
    assert_non_null(bytes);
    for (size_t i = 0; i < len; i++) {
        bytes[i] = (uint8_t)unit[i % unit_len];
    }
    return bytes;
}

// 4 MiB of the smallest fields would make protobuf-c allocate up to 335 MB. The budget is below
// that, so the decoder has to refuse: the refusal is what shows that the budget holds.
static void small_fields_stay_within_the_budget(void **state) {
    (void)state;
    static const struct {
        const char *unit;
        size_t len;
    } UNITS[] = {
        {"\x0a\x00", 2}, // empty SVIDs
        {"\x12\x00", 2}, // empty CRLs
        {"\x1a\x00", 2}, // empty map entries
        {"\x78\x01", 2}, // unknown varints
        {"\x7a\x00", 2}, // unknown bytes
    };
    for (size_t i = 0; i < sizeof(UNITS) / sizeof(UNITS[0]); i++) {
        uint8_t *bytes = repeated(UNITS[i].unit, UNITS[i].len, WORKLOAD_MESSAGE_MAX);
        struct err err;
        assert_null(workload_decode_svids(span_of(bytes, WORKLOAD_MESSAGE_MAX), &err));
        assert_int_equal(err.class, ERR_INPUT);
        assert_non_null(strstr(err.msg, "memory"));
        assert_null(workload_decode_bundles(span_of(bytes, WORKLOAD_MESSAGE_MAX), &err));
        free(bytes);
    }
}

static void message_over_the_limit_is_refused(void **state) {
    (void)state;
    uint8_t *bytes = repeated("\x78\x01", 2, WORKLOAD_MESSAGE_MAX + 2);
    struct err err;
    assert_null(workload_decode_svids(span_of(bytes, WORKLOAD_MESSAGE_MAX + 2), &err));
    assert_non_null(strstr(err.msg, "4194306"));
    free(bytes);
}

static void large_message_within_the_limit_decodes(void **state) {
    (void)state;
    size_t len = WORKLOAD_MESSAGE_MAX - 4096;
    struct update *in OWNED(update_free) = update_new(1, 0, 0);
    svid_set(&in->svids[0], "spiffe://td/a", "");
    free(in->svids[0].chain.ptr);
    in->svids[0].chain = (struct update_bytes){.ptr = calloc(1, len), .len = len};
    struct update *out OWNED(update_free) = decoded(in);
    assert_int_equal(out->svids[0].chain.len, len);
}

static void too_many_entries_are_refused(void **state) {
    (void)state;
    static const struct {
        size_t svids, federated, crls;
        const char *word;
    } CASES[] = {{WORKLOAD_SVIDS_MAX + 1, 0, 0, "SVIDs"},
                 {1, WORKLOAD_BUNDLES_MAX + 1, 0, "bundles"},
                 {1, 0, WORKLOAD_CRLS_MAX + 1, "CRLs"}};
    for (size_t c = 0; c < 3; c++) {
        struct update *in OWNED(update_free) =
            update_new(CASES[c].svids, CASES[c].federated, CASES[c].crls);
        for (size_t i = 0; i < CASES[c].svids; i++) {
            svid_set(&in->svids[i], "spiffe://td/a", "");
        }
        for (size_t i = 0; i < CASES[c].federated; i++) {
            bundle_set_text(&in->federated[i], "spiffe://other", "roots");
        }
        for (size_t i = 0; i < CASES[c].crls; i++) {
            set_text(&in->crls[i], "crl");
        }
        struct buf wire = {0};
        struct err err;
        assert_true(workload_encode_svids(in, &wire, &err));
        assert_null(workload_decode_svids(buf_span(&wire), &err));
        assert_non_null(strstr(err.msg, CASES[c].word));
        buf_fini(&wire);
    }
}

static void bundles_round_trip(void **state) {
    (void)state;
    struct update *in OWNED(update_free) = update_new(0, 2, 1);
    bundle_set_text(&in->federated[0], "spiffe://own", "own roots");
    bundle_set_text(&in->federated[1], "spiffe://other", "roots");
    set_text(&in->crls[0], "crl");
    struct buf wire = {0};
    struct err err;
    assert_true(workload_encode_bundles(in, &wire, &err));
    struct update *out OWNED(update_free) = workload_decode_bundles(buf_span(&wire), &err);
    assert_non_null(out);
    assert_int_equal(out->num_svids, 0);
    assert_int_equal(out->num_federated, 2);
    assert_bytes(&out->federated[0].trust_domain_id, "spiffe://own");
    assert_bytes(&out->federated[1].der, "roots");
    assert_int_equal(out->num_crls, 1);
    buf_fini(&wire);
    // Field numbers: CRLs are 1, bundles 2.
    struct update *by_hand OWNED(update_free) =
        workload_decode_bundles(span_of("\x0a\x01R\x12\x06\x0a\x01T\x12\x01"
                                        "D",
                                        11),
                                &err);
    assert_non_null(by_hand);
    assert_bytes(&by_hand->crls[0], "R");
    assert_bytes(&by_hand->federated[0].trust_domain_id, "T");
    assert_null(workload_decode_bundles(span_of("\x12\x03\x12\x01"
                                                "D",
                                                5),
                                        &err)); // an entry without a key
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(round_trip_keeps_every_field),
        cmocka_unit_test(wire_format_is_the_specification),
        cmocka_unit_test(nul_inside_an_id_survives),
        cmocka_unit_test(no_svid_is_a_withdrawal),
        cmocka_unit_test(mandatory_field_missing_refuses_the_message),
        cmocka_unit_test(last_entry_of_a_map_wins),
        cmocka_unit_test(first_svid_with_a_hint_wins),
        cmocka_unit_test(malformed_bytes_are_refused),
        cmocka_unit_test(every_prefix_of_a_message_is_safe),
        cmocka_unit_test(small_fields_stay_within_the_budget),
        cmocka_unit_test(message_over_the_limit_is_refused),
        cmocka_unit_test(large_message_within_the_limit_decodes),
        cmocka_unit_test(too_many_entries_are_refused),
        cmocka_unit_test(bundles_round_trip),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
