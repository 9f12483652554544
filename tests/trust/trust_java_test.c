// The two key stores for Java, byte by byte: what a reader of RFC 7292 and one of JKS would see.
// Real JVMs read them in tests/e2e.
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>
#include <openssl/bytestring.h>
#include <openssl/sha.h>

#include "base/buf.h"
#include "certmgr/trust/trust_jks.h"
#include "certmgr/trust/trust_pkcs12.h"
#include "tests/trust/trust_fixture.h"

#define CONTEXT_0 (CBS_ASN1_CONTEXT_SPECIFIC | CBS_ASN1_CONSTRUCTED | 0)

static const uint8_t oid_data[] = {0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x07, 0x01};
static const uint8_t oid_friendly_name[] = {0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x09, 0x14};

static CBS get(CBS *from, CBS_ASN1_TAG tag) {
    CBS out;
    if (!CBS_get_asn1(from, &out, tag)) {
        fail_msg("no element of tag %x", tag);
    }
    return out;
}

// A ContentInfo of type data: the octets in it.
static CBS open_data(CBS *from) {
    CBS info = get(from, CBS_ASN1_SEQUENCE);
    CBS oid = get(&info, CBS_ASN1_OBJECT);
    assert_true(CBS_mem_equal(&oid, oid_data, sizeof(oid_data)));
    CBS content = get(&info, CONTEXT_0);
    CBS octets = get(&content, CBS_ASN1_OCTETSTRING);
    assert_int_equal(CBS_len(&info) + CBS_len(&content), 0);
    return octets;
}

static void expect_name(CBS *values, const char *alias) {
    CBS name = get(values, 0x1e);
    assert_int_equal(CBS_len(&name), 2 * strlen(alias));
    for (; *alias != '\0'; alias++) {
        uint16_t unit = 0;
        assert_true(CBS_get_u16(&name, &unit));
        assert_int_equal(unit, *alias);
    }
}

static void expect_bag(CBS *bags, const struct trust_entry *entry) {
    CBS bag = get(bags, CBS_ASN1_SEQUENCE);
    (void)get(&bag, CBS_ASN1_OBJECT);
    CBS wrapped = get(&bag, CONTEXT_0);
    CBS cert_bag = get(&wrapped, CBS_ASN1_SEQUENCE);
    (void)get(&cert_bag, CBS_ASN1_OBJECT);
    CBS wrapped_cert = get(&cert_bag, CONTEXT_0);
    CBS der = get(&wrapped_cert, CBS_ASN1_OCTETSTRING);
    assert_true(CBS_mem_equal(&der, entry->cert->der, entry->cert->der_len));
    CBS set = get(&bag, CBS_ASN1_SET);
    size_t num = 0;
    for (; CBS_len(&set) > 0; num++) {
        CBS attribute = get(&set, CBS_ASN1_SEQUENCE);
        CBS oid = get(&attribute, CBS_ASN1_OBJECT);
        CBS values = get(&attribute, CBS_ASN1_SET);
        if (CBS_mem_equal(&oid, oid_friendly_name, sizeof(oid_friendly_name))) {
            expect_name(&values, entry->alias);
        }
    }
    assert_int_equal(num, 2);
}

static void pkcs12(void **state) {
    const struct trust_set *set = *state;
    struct buf out = {0};
    assert_true(trust_pkcs12_render(set, &out));
    CBS all;
    uint64_t version = 0;
    CBS_init(&all, buf_span(&out).ptr, out.len);
    CBS pfx = get(&all, CBS_ASN1_SEQUENCE);
    assert_int_equal(CBS_len(&all), 0);
    assert_true(CBS_get_asn1_uint64(&pfx, &version));
    assert_int_equal(version, 3);
    CBS safe_octets = open_data(&pfx);
    assert_int_equal(CBS_len(&pfx), 0); // no MAC
    CBS safe = get(&safe_octets, CBS_ASN1_SEQUENCE);
    CBS content_octets = open_data(&safe);
    CBS bags = get(&content_octets, CBS_ASN1_SEQUENCE);
    for (size_t i = 0; i < set->num_entries; i++) {
        expect_bag(&bags, set->entries[i]);
    }
    assert_int_equal(CBS_len(&bags), 0);
    buf_fini(&out);
}

static uint64_t take_number(CBS *from, size_t len) {
    uint64_t value = 0;
    for (size_t i = 0; i < len; i++) {
        uint8_t byte = 0;
        assert_true(CBS_get_u8(from, &byte));
        value = value << 8 | byte;
    }
    return value;
}

static void expect_text(CBS *from, const char *text) {
    CBS bytes;
    assert_true(CBS_get_bytes(from, &bytes, (size_t)take_number(from, 2)));
    assert_true(CBS_mem_equal(&bytes, (const uint8_t *)text, strlen(text)));
}

static void jks(void **state) {
    const struct trust_set *set = *state;
    struct buf out = {0};
    assert_true(trust_jks_render(set, "changeit", &out));
    CBS all;
    CBS_init(&all, buf_span(&out).ptr, out.len);
    assert_int_equal(take_number(&all, 4), 0xfeedfeed);
    assert_int_equal(take_number(&all, 4), 2);
    assert_int_equal(take_number(&all, 4), set->num_entries);
    for (size_t i = 0; i < set->num_entries; i++) {
        const struct trust_entry *entry = set->entries[i];
        CBS der;
        assert_int_equal(take_number(&all, 4), 2);
        if (entry->origin == TRUST_USER) { // these are lower-case as they are
            expect_text(&all, entry->alias);
        } else {
            assert_true(CBS_skip(&all, (size_t)take_number(&all, 2)));
        }
        assert_int_equal(take_number(&all, 8), (uint64_t)PKI_NOT_BEFORE * 1000);
        expect_text(&all, "X.509");
        assert_true(CBS_get_bytes(&all, &der, (size_t)take_number(&all, 4)));
        assert_true(CBS_mem_equal(&der, entry->cert->der, entry->cert->der_len));
    }
    static const char sealed_with[] = "\0c\0h\0a\0n\0g\0e\0i\0tMighty Aphrodite";
    uint8_t digest[SHA_DIGEST_LENGTH];
    SHA_CTX sha;
    SHA1_Init(&sha);
    SHA1_Update(&sha, sealed_with, sizeof(sealed_with) - 1);
    SHA1_Update(&sha, buf_span(&out).ptr, out.len - sizeof(digest));
    SHA1_Final(digest, &sha);
    assert_int_equal(CBS_len(&all), sizeof(digest));
    assert_true(CBS_mem_equal(&all, digest, sizeof(digest)));
    buf_fini(&out);
}

static void other_characters_in_an_alias(void **state) {
    (void)state;
    OWNED(pki_free) struct pki_cert *cert = pki_ca();
    struct trust_builder *builder = trust_builder_new(0, PKI_NOW);
    trust_fixture_add(builder, TRUST_USER, "A\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80\xff", cert);
    OWNED(trust_set_unref) struct trust_set *set = trust_builder_finish(builder);
    struct buf out = {0};
    assert_true(trust_jks_render(set, "changeit", &out));
    // Modified UTF-8: lower case, surrogates one by one, U+FFFD for what is no UTF-8.
    static const uint8_t in_jks[] = {'a',  0xc3, 0xa9, 0xe2, 0x82, 0xac, 0xed, 0xa0,
                                     0xbd, 0xed, 0xb8, 0x80, 0xef, 0xbf, 0xbd, '-'};
    assert_non_null(memmem(buf_span(&out).ptr, out.len, in_jks, sizeof(in_jks)));
    buf_clear(&out);
    assert_true(trust_pkcs12_render(set, &out));
    static const uint8_t in_pkcs12[] = {0,    'A',  0,    0xe9, 0x20, 0xac, 0xd8,
                                        0x3d, 0xde, 0x00, 0xff, 0xfd, 0,    '-'};
    assert_non_null(memmem(buf_span(&out).ptr, out.len, in_pkcs12, sizeof(in_pkcs12)));
    buf_fini(&out);
}

static void nothing_that_java_cannot_read(void **state) {
    (void)state;
    OWNED(trust_set_unref) struct trust_set *set = trust_fixture_set();
    struct buf all = {0}, fewer = {0};
    assert_true(trust_pkcs12_render(set, &all));
    set->entries[1]->findings |= TRUST_NOT_FOR_JAVA;
    assert_true(trust_pkcs12_render(set, &fewer));
    const struct trust_cert *cert = set->entries[1]->cert;
    assert_non_null(memmem(buf_span(&all).ptr, all.len, cert->der, cert->der_len));
    assert_null(memmem(buf_span(&fewer).ptr, fewer.len, cert->der, cert->der_len));
    buf_clear(&fewer);
    assert_true(trust_jks_render(set, "changeit", &fewer));
    assert_null(memmem(buf_span(&fewer).ptr, fewer.len, cert->der, cert->der_len));
    assert_int_equal(buf_span(&fewer).ptr[11], 2); // the count
    buf_fini(&all);
    buf_fini(&fewer);
}

static int set_up(void **state) {
    *state = trust_fixture_set();
    return 0;
}

static int tear_down(void **state) {
    trust_set_unref(*state);
    return 0;
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pkcs12),
        cmocka_unit_test(jks),
        cmocka_unit_test(other_characters_in_an_alias),
        cmocka_unit_test(nothing_that_java_cannot_read),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
