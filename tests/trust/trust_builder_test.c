// Names, duplicates, policy: how a set of certificates comes about, and how one finds one in it.
#include "certmgr/trust/trust_builder.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "tests/testing/pki.h"

static struct trust_cert *parse(const struct pki_cert *cert) {
    struct trust_cert *out = trust_cert_parse(pki_der(cert), false, NULL);
    assert_non_null(out);
    return out;
}

static void add(struct trust_builder *builder, struct trust_place place,
                const struct pki_cert *const *certs, size_t num) {
    place.source = place.source == NULL ? "/somewhere" : place.source;
    trust_builder_begin(builder, &place);
    for (size_t i = 0; i < num; i++) {
        assert_true(trust_builder_add(builder, parse(certs[i])));
    }
    trust_builder_end(builder);
}

static const struct trust_entry *find(const struct trust_set *set, const struct pki_cert *cert) {
    OWNED(trust_cert_free) struct trust_cert *parsed = parse(cert);
    for (size_t i = 0; i < set->num_entries; i++) {
        if (memcmp(set->entries[i]->cert->sha256, parsed->sha256, TRUST_CERT_SHA256_LEN) == 0) {
            return set->entries[i];
        }
    }
    return NULL;
}

// The alias that a taken or foreign name gets.
static void expect_suffixed(const struct trust_entry *entry, const char *stem) {
    char wanted[256], hex[9];
    trust_cert_hex(entry->cert->sha256, 4, hex);
    (void)snprintf(wanted, sizeof(wanted), "%s-%s", stem, hex);
    assert_string_equal(entry->alias, wanted);
}

#define USER(stem_)                                                                                \
    (struct trust_place) {                                                                         \
        .stem = (stem_), .origin = TRUST_USER, .is_loaded = true                                   \
    }

static void names(void **state) {
    const struct pki_cert *const *certs = *state;
    OWNED(trust_builder_free) struct trust_builder *builder = trust_builder_new(0, PKI_NOW);
    add(builder, USER("corp"), certs, 2);
    add(builder, USER("CORP"), certs + 2, 1);
    add(builder, USER("h\xc3\xa4user"), certs + 3, 1);
    OWNED(trust_set_unref) struct trust_set *set = trust_builder_finish(take(&builder));
    assert_int_equal(set->num_entries, 4);
    assert_string_equal(find(set, certs[0])->alias, "corp");
    assert_string_equal(find(set, certs[1])->alias, "corp-1");
    expect_suffixed(find(set, certs[2]), "CORP");
    expect_suffixed(find(set, certs[3]), "h\xc3\xa4user");
    assert_int_equal(set->num_problems, 1);
    assert_non_null(strstr(set->problems[0].sentence,
                           "Cannot load certificates with the same alias in specific path"));
    assert_false(set->problems[0].is_whole);
    for (size_t i = 1; i < set->num_entries; i++) {
        assert_true(memcmp(set->entries[i - 1]->cert->sha256, set->entries[i]->cert->sha256,
                           TRUST_CERT_SHA256_LEN) < 0);
    }
}

static void names_of_public_roots(void **state) {
    (void)state;
    const struct pki_options options = {.ca = true, .common_name = "A/B v1.2"};
    OWNED(pki_free) struct pki_cert *one = pki_issue(NULL, &options);
    OWNED(pki_free) struct pki_cert *two = pki_issue(NULL, &options);
    const struct pki_cert *both[] = {one, two};
    OWNED(trust_builder_free) struct trust_builder *builder = trust_builder_new(0, PKI_NOW);
    add(builder, (struct trust_place){.origin = TRUST_PUBLIC, .is_loaded = true}, both, 2);
    OWNED(trust_set_unref) struct trust_set *set = trust_builder_finish(take(&builder));
    assert_string_equal(find(set, one)->alias, "public: A_B v1.2");
    expect_suffixed(find(set, two), "public: A_B v1.2");
    assert_int_equal(set->num_problems, 0);
}

static void the_same_certificate_is_one_entry(void **state) {
    const struct pki_cert *const *certs = *state;
    OWNED(trust_builder_free) struct trust_builder *builder = trust_builder_new(0, PKI_NOW);
    struct trust_place shown = USER("shown");
    shown.is_loaded = false;
    add(builder, shown, certs, 1);
    struct trust_place other = USER("other");
    other.source = "/other.pem";
    add(builder, other, certs, 1);
    add(builder, other, certs, 1);
    add(builder, USER("third"), certs + 1, 1);
    add(builder, (struct trust_place){.origin = TRUST_PUBLIC, .is_loaded = true}, certs + 1, 2);
    OWNED(trust_set_unref) struct trust_set *set = trust_builder_finish(take(&builder));
    assert_int_equal(set->num_entries, 3);
    const struct trust_entry *entry = find(set, certs[0]);
    assert_string_equal(entry->alias, "shown");
    assert_true(entry->is_loaded); // one of the two places wants it
    assert_string_equal(entry->source, "/somewhere");
    assert_int_equal(entry->num_also_in, 2);
    assert_string_equal(entry->also_in[0], "/other.pem");
    assert_false(entry->is_public);
    entry = find(set, certs[1]);
    assert_true(entry->is_public);
    assert_int_equal(entry->origin, TRUST_USER);
    assert_true(trust_set_is_in_extra(entry));
    entry = find(set, certs[2]);
    assert_int_equal(entry->origin, TRUST_PUBLIC);
    assert_false(trust_set_is_in_extra(entry));
    assert_false(trust_set_has_own_file(entry));
    assert_true(trust_set_is_in_bundle(entry));
    assert_int_equal(trust_set_count(set, TRUST_USER), 2);
    assert_int_equal(trust_set_count(set, TRUST_PUBLIC), 1);
}

static void what_is_not_loaded(void **state) {
    const struct pki_cert *const *certs = *state;
    OWNED(trust_builder_free) struct trust_builder *builder = trust_builder_new(0, PKI_NOW);
    struct trust_place shown = USER("shown");
    shown.is_loaded = false;
    add(builder, shown, certs, 1);
    OWNED(trust_set_unref) struct trust_set *set = trust_builder_finish(take(&builder));
    const struct trust_entry *entry = find(set, certs[0]);
    assert_false(trust_set_is_in_bundle(entry));
    assert_false(trust_set_is_in_extra(entry));
    assert_false(trust_set_is_in_java(entry));
    assert_true(trust_set_has_own_file(entry));
}

static void the_policy(void **state) {
    (void)state;
    const struct pki_options old = {.ca = true, .common_name = "old", .not_after = PKI_NOW - 5};
    OWNED(pki_free) struct pki_cert *expired = pki_issue(NULL, &old);
    const struct pki_cert *one[] = {expired};
    OWNED(trust_builder_free)
    struct trust_builder *builder = trust_builder_new(TRUST_EXPIRED, PKI_NOW);
    struct trust_place user = USER("old");
    trust_builder_begin(builder, &user);
    user.source = "/old.pem";
    assert_true(trust_builder_add(builder, parse(expired)));
    assert_int_equal(trust_builder_end(builder), 0);
    add(builder, (struct trust_place){.origin = TRUST_PUBLIC, .is_loaded = true}, one, 1);
    OWNED(trust_set_unref) struct trust_set *set = trust_builder_finish(take(&builder));
    assert_int_equal(set->num_problems, 1);
    assert_true(set->problems[0].is_whole);
    assert_string_equal(set->problems[0].place, "/old.pem");
    assert_string_equal(set->problems[0].sentence,
                        "CN=old: it has expired, 2027-01-15T07:59:55Z; refused by "
                        "trustStore.policy.expired");
    assert_int_equal(set->num_entries, 1); // as a public root it stays
    assert_int_equal(set->entries[0]->findings, TRUST_EXPIRED);
}

static void the_next_change(void **state) {
    (void)state;
    const struct pki_options soon = {.ca = true, .not_after = PKI_NOW + 50};
    OWNED(pki_free) struct pki_cert *cert = pki_issue(NULL, &soon);
    const struct pki_cert *one[] = {cert};
    OWNED(trust_builder_free) struct trust_builder *builder = trust_builder_new(0, PKI_NOW);
    add(builder, USER("soon"), one, 1);
    OWNED(trust_set_unref) struct trust_set *set = trust_builder_finish(take(&builder));
    assert_int_equal(set->next_change, PKI_NOW + 51);
}

static void finding_one(void **state) {
    const struct pki_cert *const *certs = *state;
    OWNED(trust_builder_free) struct trust_builder *builder = trust_builder_new(0, PKI_NOW);
    add(builder, USER("Corp"), certs, 2);
    OWNED(trust_set_unref) struct trust_set *set = trust_builder_finish(take(&builder));
    const struct trust_entry *entry = find(set, certs[0]);
    char hex[2 * TRUST_CERT_SHA256_LEN + 1];
    assert_ptr_equal(trust_set_find(set, "corp"), entry);
    trust_cert_hex(entry->cert->sha256, TRUST_CERT_SHA256_LEN, hex);
    assert_ptr_equal(trust_set_find(set, hex), entry);
    hex[8] = '\0';
    assert_ptr_equal(trust_set_find(set, hex), entry);
    hex[7] = '\0'; // too short to mean one
    assert_null(trust_set_find(set, hex));
    trust_cert_hex(entry->cert->sha1, TRUST_CERT_SHA1_LEN, hex);
    assert_ptr_equal(trust_set_find(set, hex), entry);
    assert_null(trust_set_find(set, ""));
    assert_null(trust_set_find(set, "corp-2"));
}

static void stems(void **state) {
    (void)state;
    static const char *const rows[][2] = {
        {"/etc/certs/corp.pem", "corp"}, {"corp", "corp"},
        {"/a/corp.v2.crt", "corp.v2"},   {"/a/.pem", ".pem"},
        {"/a/a\nb.crt", "a_b"},          {"/a/...", ".."},
        {"/a/x y.der", "x y"},           {"/a/", "_"},
    };
    char out[TRUST_BUILDER_STEM_MAX + 1];
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        trust_builder_stem(rows[i][0], out);
        assert_string_equal(out, strcmp(rows[i][1], "..") == 0 ? "_" : rows[i][1]);
    }
    char longer[400];
    memset(longer, 'x', sizeof(longer) - 1);
    longer[sizeof(longer) - 1] = '\0';
    trust_builder_stem(longer, out);
    assert_int_equal(strlen(out), TRUST_BUILDER_STEM_MAX);
}

static int set_up(void **state) {
    static struct pki_cert *certs[4];
    for (size_t i = 0; i < 4; i++) {
        certs[i] = pki_ca();
    }
    *state = certs;
    return 0;
}

static int tear_down(void **state) {
    struct pki_cert **certs = *state;
    for (size_t i = 0; i < 4; i++) {
        pki_free(certs[i]);
    }
    return 0;
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names),
        cmocka_unit_test(names_of_public_roots),
        cmocka_unit_test(the_same_certificate_is_one_entry),
        cmocka_unit_test(what_is_not_loaded),
        cmocka_unit_test(the_policy),
        cmocka_unit_test(the_next_change),
        cmocka_unit_test(finding_one),
        cmocka_unit_test(stems),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
