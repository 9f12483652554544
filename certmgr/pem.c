#include "certmgr/pem.h"

#include <openssl/base64.h>
#include <openssl/bytestring.h>
#include <openssl/ec_key.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/mem.h>
#include <openssl/pool.h>
#include <openssl/rsa.h>

#include "certmgr/pem_blocks.h"
#include "certmgr/x509_der.h"

#define DER_SEQUENCE 0x30 // the first byte of every certificate, CRL and key
#define LINE_LEN 64       // base64 characters in a line that we write
#define DASHES "-----"

OWN_DEFINE(uint8_t, OPENSSL_free)
OWN_DEFINE(RSA, RSA_free)
OWN_DEFINE(EC_KEY, EC_KEY_free)

// What is done with each block, in order. `der` is gone after the call.
typedef bool block_fn(void *arg, struct span label, struct span der, struct err *err);

struct visitor {
    block_fn *visit;
    void *arg;
};

// Decodes one block and hands it on. Whatever it held is wiped (OPENSSL_free does that).
static bool visit_block(const struct pem_block *block, const struct visitor *visitor,
                        struct err *err) {
    OWNED(OPENSSL_free) uint8_t *der = NULL;
    size_t der_len = 0;
    return pem_blocks_decode(block, &der, &der_len, err) &&
           visitor->visit(visitor->arg, block->label, span_of(der, der_len), err);
}

static bool visit_pem(struct span input, const struct visitor *visitor, struct err *err) {
    struct pem_blocks blocks;
    pem_blocks_init(&blocks, input);
    for (size_t num = 0; !pem_blocks_at_end(&blocks); num++) {
        struct pem_block block = {0};
        if (num >= PEM_BLOCKS_MAX) {
            return ERR_SET(err, ERR_INPUT, "has more than %d PEM blocks", PEM_BLOCKS_MAX);
        }
        if (pem_blocks_next(&blocks, &block, err) != PEM_BLOCKS_ONE ||
            !visit_block(&block, visitor, err)) {
            return false;
        }
    }
    return true;
}

// --- certificates and CRLs ---

struct collection {
    struct buf *out;
    const char *what;      // "certificate"
    const char *labels[2]; // the blocks that hold one
    bool (*check)(struct span der, struct err *err);
    size_t num;
};

static bool check_certificate(struct span der, struct err *err) {
    CRYPTO_BUFFER *buffer OWNED(CRYPTO_BUFFER_free) = CRYPTO_BUFFER_new(der.ptr, der.len, NULL);
    X509 *cert OWNED(X509_free) = buffer == NULL ? NULL : x509_der_parse(buffer, err);
    return buffer == NULL ? ERR_NO_MEMORY(err, "reading a certificate") : cert != NULL;
}

static bool check_crl(struct span der, struct err *err) {
    const uint8_t *at = der.ptr;
    X509_CRL *crl OWNED(X509_CRL_free) = d2i_X509_CRL(NULL, &at, (long)der.len);
    ERR_clear_error();
    return (crl != NULL && at == der.ptr + der.len) ||
           ERR_SET(err, ERR_INPUT, "not a well-formed CRL (%zu bytes)", der.len);
}

static bool collect(struct collection *all, struct span der, struct err *err) {
    all->num++;
    if (!all->check(der, err)) {
        return err_wrap(err, "%s %zu", all->what, all->num);
    }
    return buf_append(all->out, der.ptr, der.len) || ERR_NO_MEMORY(err, "reading PEM");
}

static bool collect_block(void *arg, struct span label, struct span der, struct err *err) {
    struct collection *all = arg;
    for (size_t i = 0; i < 2; i++) {
        if (span_equal_text(label, all->labels[i])) {
            return collect(all, der, err);
        }
    }
    return true;
}

static bool collect_der(struct collection *all, struct span rest, struct err *err) {
    while (rest.len > 0) {
        struct span element;
        if (all->num >= PEM_BLOCKS_MAX) {
            return ERR_SET(err, ERR_INPUT, "more than %d of them", PEM_BLOCKS_MAX);
        }
        if (!x509_der_next(&rest, &element, err) || !collect(all, element, err)) {
            return false;
        }
    }
    return true;
}

static bool is_der(struct span input) {
    return input.len > 0 && input.ptr[0] == DER_SEQUENCE;
}

static bool check_size(struct span input, struct err *err) {
    if (input.len == 0) {
        return ERR_SET(err, ERR_INPUT, "is empty");
    }
    return input.len <= PEM_INPUT_MAX ||
           ERR_SET(err, ERR_INPUT, "is larger than %zu bytes", PEM_INPUT_MAX);
}

static bool collect_all(struct collection *all, struct span input, struct err *err) {
    if (!check_size(input, err)) {
        return false;
    }
    const struct visitor visitor = {.visit = collect_block, .arg = all};
    if (is_der(input) ? !collect_der(all, input, err) : !visit_pem(input, &visitor, err)) {
        return false;
    }
    return all->num > 0 || ERR_SET(err, ERR_INPUT, "holds no %s", all->what);
}

static bool parse_collection(struct collection *all, struct span input, const char *name,
                             struct err *err) {
    struct buf *out = all->out;
    struct buf found = {0};
    all->out = &found;
    bool ok = collect_all(all, input, err);
    if (ok && !buf_append(out, buf_span(&found).ptr, found.len)) {
        ok = ERR_NO_MEMORY(err, "reading PEM");
    }
    all->out = out;
    buf_fini(&found);
    return ok || err_wrap(err, "%s", name);
}

bool pem_parse_certificates(struct span input, const char *name, struct buf *out, struct err *err) {
    struct collection all = {.out = out,
                             .what = "certificate",
                             .labels = {"CERTIFICATE", "X509 CERTIFICATE"},
                             .check = check_certificate};
    return parse_collection(&all, input, name, err);
}

bool pem_parse_crls(struct span input, const char *name, struct buf *out, struct err *err) {
    struct collection all = {
        .out = out, .what = "CRL", .labels = {"X509 CRL", "X509 CRL"}, .check = check_crl};
    return parse_collection(&all, input, name, err);
}

// --- keys ---

struct found_key {
    EVP_PKEY *key; // NULL: none yet
};

// Takes `rsa` or `ec`, whichever is there.
static EVP_PKEY *wrap_key(RSA *rsa, EC_KEY *ec) {
    EVP_PKEY *key OWNED(EVP_PKEY_free) = EVP_PKEY_new();
    bool ok = key != NULL &&
              (rsa != NULL ? EVP_PKEY_set1_RSA(key, rsa) : EVP_PKEY_set1_EC_KEY(key, ec)) == 1;
    return ok ? take(&key) : NULL;
}

static EVP_PKEY *parse_pkcs8(struct span der) {
    CBS cbs;
    CBS_init(&cbs, der.ptr, der.len);
    EVP_PKEY *key OWNED(EVP_PKEY_free) = EVP_parse_private_key(&cbs);
    return CBS_len(&cbs) == 0 ? take(&key) : NULL;
}

static EVP_PKEY *parse_sec1(struct span der) {
    CBS cbs;
    CBS_init(&cbs, der.ptr, der.len);
    EC_KEY *ec OWNED(EC_KEY_free) = EC_KEY_parse_private_key(&cbs, NULL);
    return ec == NULL || CBS_len(&cbs) != 0 ? NULL : wrap_key(NULL, ec);
}

static EVP_PKEY *parse_pkcs1(struct span der) {
    RSA *rsa OWNED(RSA_free) = RSA_private_key_from_bytes(der.ptr, der.len);
    return rsa == NULL ? NULL : wrap_key(rsa, NULL);
}

static const struct key_form {
    const char *label;
    EVP_PKEY *(*parse)(struct span der);
    const char *name;
} key_forms[] = {
    {"PRIVATE KEY", parse_pkcs8, "PKCS#8"},
    {"EC PRIVATE KEY", parse_sec1, "SEC1"},
    {"RSA PRIVATE KEY", parse_pkcs1, "PKCS#1"},
};
#define NUM_KEY_FORMS (sizeof key_forms / sizeof *key_forms)

static bool key_block(void *arg, struct span label, struct span der, struct err *err) {
    struct found_key *found = arg;
    if (span_equal_text(label, "ENCRYPTED PRIVATE KEY")) {
        return ERR_SET(err, ERR_INPUT,
                       "holds an encrypted key, which is not supported; decrypt it "
                       "first");
    }
    size_t form = 0;
    while (form < NUM_KEY_FORMS && !span_equal_text(label, key_forms[form].label)) {
        form++;
    }
    if (form == NUM_KEY_FORMS) {
        return true; // a certificate in the same file, EC parameters
    }
    if (found->key != NULL) {
        return ERR_SET(err, ERR_INPUT, "holds several private keys");
    }
    found->key = key_forms[form].parse(der);
    ERR_clear_error();
    return found->key != NULL ||
           ERR_SET(err, ERR_INPUT, "holds a %s private key that does not parse",
                   key_forms[form].name);
}

static bool find_key(struct found_key *found, struct span input, struct err *err) {
    if (!check_size(input, err)) {
        return false;
    }
    if (!is_der(input)) {
        const struct visitor visitor = {.visit = key_block, .arg = found};
        return visit_pem(input, &visitor, err) &&
               (found->key != NULL || ERR_SET(err, ERR_INPUT, "holds no private key"));
    }
    for (size_t i = 0; found->key == NULL && i < NUM_KEY_FORMS; i++) {
        found->key = key_forms[i].parse(input);
    }
    ERR_clear_error();
    return found->key != NULL ||
           ERR_SET(err, ERR_INPUT, "is DER, but no private key (PKCS#8, SEC1 or PKCS#1)");
}

static bool marshal_key(const EVP_PKEY *key, struct buf *out, struct err *err) {
    CBB cbb;
    uint8_t *der = NULL;
    size_t len = 0;
    bool ok = CBB_init(&cbb, 0) && EVP_marshal_private_key(&cbb, key) &&
              CBB_finish(&cbb, &der, &len) && buf_append(out, der, len);
    CBB_cleanup(&cbb);
    OPENSSL_free(der);
    ERR_clear_error();
    return ok || ERR_NO_MEMORY(err, "reading a private key");
}

bool pem_parse_key(struct span input, const char *name, struct buf *out, struct err *err) {
    struct found_key found = {0};
    bool ok = find_key(&found, input, err) && marshal_key(found.key, out, err);
    EVP_PKEY_free(found.key);
    return ok || err_wrap(err, "%s", name);
}

// --- writing ---

bool pem_render(const char *label, struct span der, struct buf *out) {
    size_t size = 0;
    if (!EVP_EncodedLength(&size, der.len)) {
        return false;
    }
    OWNED(OPENSSL_free) uint8_t *text = OPENSSL_malloc(size);
    if (text == NULL) {
        return false;
    }
    size_t len = EVP_EncodeBlock(text, der.ptr, der.len);
    bool ok = buf_printf(out, "-----BEGIN %s" DASHES "\n", label);
    for (size_t at = 0; ok && at < len; at += LINE_LEN) {
        size_t line = len - at < LINE_LEN ? len - at : LINE_LEN;
        ok = buf_append(out, text + at, line) && buf_append(out, "\n", 1);
    }
    return ok && buf_printf(out, "-----END %s" DASHES "\n", label);
}
