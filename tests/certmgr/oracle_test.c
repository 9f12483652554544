// The verifier against an independent judge: random chains, good ones and ones with one or a few
// faults, are shown to our verifier and to `openssl verify`; what the SPIFFE documents and our own
// bounds ask beyond RFC 5280 is a table here, over what each certificate was told to say. A chain
// is good when openssl and the table agree that it is. The seed is printed.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <openssl/pem.h>
#include <openssl/x509.h>

#include "base/own.h"
#include "certmgr/verify.h"
#include "tests/base/prng.h"
#include "tests/testing/pki_identity.h"

#define CASES 1000
#define NUM_DOMAINS 2
#define LEVELS_MAX 3 // intermediates
#define SHOWN_MAX (LEVELS_MAX + 3)

static const char *const domains[NUM_DOMAINS] = {"example.org", "other.org"};

// --- the table ---------------------------------------------------------------------------------

struct id_row { // SPIFFE X509-SVID, 2; SPIFFE-ID, 2
    const char *uri;
    int domain; // whose bundle judges; -1: there is none, or it is no SPIFFE ID
};
static const struct id_row good_ids[] = {
    {"spiffe://example.org/ns/default/sa/web", 0},
    {"spiffe://example.org/a/...", 0},
    {"spiffe://example.org/A_b-c.d", 0},
    {"spiffe://other.org/x", 1},
};
static const struct id_row bad_ids[] = {
    {"spiffe://unknown.org/x", -1},
    {"spiffe://example.org", -1},
    {"spiffe://example.org/", -1},
    {"spiffe://example.org/a/", -1},
    {"spiffe://example.org/a//b", -1},
    {"spiffe://example.org/../b", -1},
    {"spiffe://example.org/a%2fb", -1},
    {"spiffe://example.org:8443/a", -1},
    {"spiffe://user@example.org/a", -1},
    {"spiffe://example.org/a?b", -1},
    {"spiffe://example.org/a#b", -1},
    {"spiffe://EXAMPLE.org/a", -1},
    {"SPIFFE://example.org/a", -1},
    {"https://example.org/a", -1},
    {"spiffe:///a", -1},
    {"example.org/a", -1},
};

struct word_row {
    const char *words; // in OpenSSL's configuration syntax; NULL: the default
    bool allowed;      // by the table; openssl may still refuse
};
static const struct word_row leaf_usages[] = {
    // SPIFFE X509-SVID, 4.3
    {"critical,digitalSignature", true},
    {"critical,digitalSignature,keyEncipherment,keyAgreement", true},
    {"digitalSignature", false},
    {"critical,keyEncipherment", false},
    {"critical,digitalSignature,keyCertSign", false},
    {"critical,digitalSignature,cRLSign", false},
    {PKI_ABSENT, false},
};
static const struct word_row leaf_constraints[] = {
    // 4.1
    {"critical,CA:FALSE", true},
    {"CA:FALSE", true},
    {PKI_ABSENT, true},
    {"critical,CA:TRUE", false},
};
static const struct word_row extended_usages[] = {
    // 4.4; which role they allow is openssl's part
    {PKI_ABSENT, true},
    {"serverAuth", true},
    {"clientAuth", true},
    {"codeSigning", true},
    {"critical,serverAuth,clientAuth", true},
};
static const struct word_row ca_usages[] = {
    {"critical,keyCertSign,cRLSign", true}, {"keyCertSign", true}, {"critical,cRLSign", false},
    {"critical,digitalSignature", false},   {PKI_ABSENT, false}, // a trust anchor may leave it out
};
static const struct word_row ca_constraints[] = {
    {"critical,CA:TRUE", true},           {"CA:TRUE", true},
    {"critical,CA:TRUE,pathlen:0", true}, {"critical,CA:TRUE,pathlen:1", true},
    {"critical,CA:FALSE", false},         {PKI_ABSENT, false},
};
static const struct word_row name_constraints[] = {
    // not in a leaf; in a CA openssl judges
    {"critical,permitted;URI:example.org", true},
    {"critical,permitted;URI:.example.org", true},
    {"permitted;URI:other.org", true},
    {"critical,excluded;URI:example.org", true},
};
static const struct word_row unknown_extensions[] = {{"critical", true}, {"", true}};

struct key_row {
    enum pki_key key;
    bool allowed; // verify.h
};
static const struct key_row keys[] = {
    {PKI_P384, true},  {PKI_P384, true},     {PKI_RSA2048, true},  {PKI_P224, false},
    {PKI_P521, false}, {PKI_ED25519, false}, {PKI_RSA1024, false},
};

// --- random certificates -----------------------------------------------------------------------

struct draw {
    struct prng prng;
    unsigned fault_in; // one field in so many is unusual
};

struct drawn { // a certificate and what the table says about it
    struct pki_cert *cert;
    bool key_allowed;
    bool signature_allowed;
    bool words_allowed;
};

static bool is_unusual(struct draw *draw) {
    return prng_below(&draw->prng, draw->fault_in) == 0;
}

#define PICK(draw, table) (&(table)[prng_below(&(draw)->prng, sizeof(table) / sizeof((table)[0]))])
#define NUM(table) (sizeof(table) / sizeof((table)[0]))

// NULL: the default; else one of the table, which says whether it is allowed.
static const char *draw_words(struct draw *draw, const struct word_row *table, size_t num,
                              bool *allowed) {
    if (!is_unusual(draw)) {
        return NULL;
    }
    const struct word_row *row = &table[prng_below(&draw->prng, num)];
    *allowed = *allowed && row->allowed;
    return row->words;
}

// What a leaf and a CA have in common.
static void draw_common(struct draw *draw, struct pki_options *options, struct drawn *out) {
    out->key_allowed = out->signature_allowed = out->words_allowed = true;
    if (is_unusual(draw)) {
        const struct key_row *row = PICK(draw, keys);
        options->key = row->key;
        out->key_allowed = row->allowed;
    }
    if (is_unusual(draw)) {
        options->digest = (enum pki_digest)prng_below(&draw->prng, 4);
        out->signature_allowed = options->digest != PKI_SHA1;
    }
    if (is_unusual(draw)) {
        int64_t start = PKI_NOW - 10 + (int64_t)prng_below(&draw->prng, 20);
        options->not_before = start;
    }
    if (is_unusual(draw)) {
        int64_t end = PKI_NOW - 10 + (int64_t)prng_below(&draw->prng, 20);
        options->not_after = end;
    }
    options->bad_signature = is_unusual(draw) && prng_below(&draw->prng, 3) == 0;
    options->no_key_ids = is_unusual(draw);
    options->extended_key_usage =
        draw_words(draw, extended_usages, NUM(extended_usages), &out->words_allowed);
    if (is_unusual(draw) && prng_below(&draw->prng, 3) == 0) {
        options->unknown_extension =
            draw_words(draw, unknown_extensions, NUM(unknown_extensions), &out->words_allowed);
    }
}

static struct drawn draw_ca(struct draw *draw, const struct pki_cert *issuer) {
    struct drawn out = {0};
    struct pki_options options = {.ca = true};
    draw_common(draw, &options, &out);
    // An issuer must be able to sign at all: Ed25519 cannot here, and RSA keys take long to make.
    if (options.key != PKI_P256) {
        options.key = PKI_P384;
        out.key_allowed = true;
    }
    options.key_usage = draw_words(draw, ca_usages, NUM(ca_usages), &out.words_allowed);
    options.basic_constraints =
        draw_words(draw, ca_constraints, NUM(ca_constraints), &out.words_allowed);
    options.name_constraints =
        draw_words(draw, name_constraints, NUM(name_constraints), &out.words_allowed);
    out.cert = pki_issue(issuer, &options);
    return out;
}

static struct drawn draw_leaf(struct draw *draw, const struct pki_cert *issuer,
                              const struct id_row **id) {
    struct drawn out = {0};
    struct pki_options options = {0};
    draw_common(draw, &options, &out);
    *id = is_unusual(draw) ? PICK(draw, bad_ids) : PICK(draw, good_ids);
    options.uris[0] = span_of_text((*id)->uri);
    options.key_usage = draw_words(draw, leaf_usages, NUM(leaf_usages), &out.words_allowed);
    options.basic_constraints =
        draw_words(draw, leaf_constraints, NUM(leaf_constraints), &out.words_allowed);
    if (is_unusual(draw)) {
        options.dns[0] = span_of_text("web.internal"); // other kinds of names are free
    }
    if (is_unusual(draw)) {
        options.uris[1] = span_of_text(good_ids[0].uri);
        out.words_allowed = false;
    }
    if (is_unusual(draw)) {
        options.name_constraints = "critical,permitted;URI:example.org";
        out.words_allowed = false;
    }
    out.cert = pki_issue(issuer, &options);
    return out;
}

// --- a case ------------------------------------------------------------------------------------

struct chain {
    const struct pki_cert *roots[NUM_DOMAINS];
    struct drawn levels[LEVELS_MAX]; // from the root down
    size_t num_levels;
    struct drawn leaf;
    const struct id_row *id;
    const struct pki_cert *shown[SHOWN_MAX]; // leaf first
    size_t num_shown;
    enum verify_role role;
};

static void swap_shown(struct chain *chain, size_t a, size_t b) {
    const struct pki_cert *cert = chain->shown[a];
    chain->shown[a] = chain->shown[b];
    chain->shown[b] = cert;
}

static void show(struct draw *draw, struct chain *chain, const struct pki_cert *root) {
    chain->shown[chain->num_shown++] = chain->leaf.cert;
    for (size_t i = chain->num_levels; i > 0; i--) {
        if (!is_unusual(draw) || prng_below(&draw->prng, 2) == 0) { // else one is missing
            chain->shown[chain->num_shown++] = chain->levels[i - 1].cert;
        }
    }
    if (is_unusual(draw)) {
        chain->shown[chain->num_shown++] = root;
    }
    if (is_unusual(draw)) {
        chain->shown[chain->num_shown++] = chain->roots[prng_below(&draw->prng, NUM_DOMAINS)];
    }
    if (chain->num_shown > 2 && is_unusual(draw)) {
        swap_shown(chain, 1, chain->num_shown - 1); // the order does not matter
    }
}

static void draw_chain(struct draw *draw, struct chain *chain) {
    int domain = (int)prng_below(&draw->prng, NUM_DOMAINS);
    struct pki_cert *stranger = is_unusual(draw) ? pki_ca() : NULL;
    const struct pki_cert *root = stranger != NULL ? stranger : chain->roots[domain];
    const struct pki_cert *issuer = root;
    chain->num_levels = prng_below(&draw->prng, LEVELS_MAX + 1);
    for (size_t i = 0; i < chain->num_levels; i++) {
        chain->levels[i] = draw_ca(draw, issuer);
        issuer = chain->levels[i].cert;
    }
    chain->leaf = draw_leaf(draw, issuer, &chain->id);
    // Mostly the ID of the domain that issued it, so that most chains are good.
    for (int i = 0; i < 8 && chain->id->domain >= 0 && chain->id->domain != domain; i++) {
        pki_free(chain->leaf.cert);
        chain->leaf = draw_leaf(draw, issuer, &chain->id);
    }
    show(draw, chain, stranger != NULL ? chain->roots[domain] : root);
    chain->role = (enum verify_role)prng_below(&draw->prng, 2);
    pki_free(stranger);
}

static void free_chain(struct chain *chain) {
    for (size_t i = 0; i < chain->num_levels; i++) {
        pki_free(chain->levels[i].cert);
    }
    pki_free(chain->leaf.cert);
}

static bool table_allows(const struct chain *chain) {
    const struct drawn *leaf = &chain->leaf;
    bool allowed = chain->id->domain >= 0 && leaf->key_allowed && leaf->signature_allowed &&
                   leaf->words_allowed;
    for (size_t i = 0; i < chain->num_levels; i++) {
        const struct drawn *level = &chain->levels[i];
        allowed = allowed && level->key_allowed && level->signature_allowed && level->words_allowed;
    }
    return allowed;
}

// --- the other judge ---------------------------------------------------------------------------

static void write_pem(const char *path, const struct pki_cert *const *certs, size_t num) {
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    for (size_t i = 0; i < num; i++) {
        assert_int_equal(PEM_write_X509(file, pki_x509(certs[i])), 1);
    }
    assert_int_equal(fclose(file), 0);
}

static bool openssl_allows(const char *directory, const struct chain *chain) {
    char root[128];
    char others[128];
    char leaf[128];
    char command[640];
    snprintf(root, sizeof root, "%s/root.pem", directory);
    snprintf(others, sizeof others, "%s/others.pem", directory);
    snprintf(leaf, sizeof leaf, "%s/leaf.pem", directory);
    write_pem(root, &chain->roots[chain->id->domain], 1);
    write_pem(others, chain->shown + 1, chain->num_shown - 1);
    write_pem(leaf, chain->shown, 1);
    snprintf(command, sizeof command,
             "openssl verify -no-CApath -no-CAstore -partial_chain -attime %d -purpose %s "
             "-CAfile %s %s %s %s >%s/said 2>&1",
             PKI_NOW, chain->role == VERIFY_CLIENT ? "sslclient" : "sslserver", root,
             chain->num_shown > 1 ? "-untrusted" : "", chain->num_shown > 1 ? others : "", leaf,
             directory);
    return system(command) == 0;
}

static bool we_allow(const struct bundle_set *bundles, const struct chain *chain, struct err *err) {
    CRYPTO_BUFFER *buffers[SHOWN_MAX];
    for (size_t i = 0; i < chain->num_shown; i++) {
        buffers[i] = pki_buffer(chain->shown[i]);
    }
    struct peer peer;
    return verify_peer(bundles,
                       &(struct verify_question){.chain = buffers,
                                                 .num_chain = chain->num_shown,
                                                 .role = chain->role,
                                                 .now = PKI_NOW},
                       &peer, err) == VERIFY_OK;
}

static void clean(const char *directory) {
    static const char *const names[] = {"root.pem", "others.pem", "leaf.pem", "said"};
    char path[128];
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        snprintf(path, sizeof path, "%s/%s", directory, names[i]);
        (void)unlink(path);
    }
    assert_int_equal(rmdir(directory), 0);
}

static void nobody_disagrees(void **state) {
    (void)state;
    if (system("openssl version >/dev/null 2>&1") != 0) {
        print_message("SKIPPED: the program openssl is not installed\n");
        skip();
    }
    char directory[] = "/tmp/pavise-oracle-XXXXXX";
    assert_non_null(mkdtemp(directory));
    struct draw draw = {.prng = prng_new()};
    struct pki_cert *roots[NUM_DOMAINS] = {pki_ca(), pki_ca()};
    struct bundle_builder *builder = bundle_builder_new();
    for (int i = 0; i < NUM_DOMAINS; i++) {
        assert_true(bundle_builder_add(builder, span_of_text(domains[i]), pki_der(roots[i]), NULL));
    }
    OWNED(bundle_set_unref) struct bundle_set *bundles = bundle_builder_finish(builder);
    int num_good = 0;
    int num_wrong = 0;
    for (int i = 0; i < CASES; i++) {
        draw.fault_in = i % 2 == 0 ? 60 : 15;
        struct chain chain = {.roots = {roots[0], roots[1]}};
        struct err err = {0};
        draw_chain(&draw, &chain);
        bool expected = table_allows(&chain) && openssl_allows(directory, &chain);
        bool ours = we_allow(bundles, &chain, &err);
        num_good += expected;
        if (ours != expected) {
            num_wrong++;
            print_message("case %d, %s: we say %s (%s)\n", i, chain.id->uri, ours ? "yes" : "no",
                          err.msg);
        }
        free_chain(&chain);
    }
    print_message("%d chains, %d good, %d disagreements\n", CASES, num_good, num_wrong);
    pki_free(roots[0]);
    pki_free(roots[1]);
    clean(directory);
    assert_int_equal(num_wrong, 0);
    assert_in_range(num_good, CASES / 5, CASES * 4 / 5);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(nobody_disagrees)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
