#include "certmgr/anchors.h"

#include <stdlib.h>
#include <string.h>

#include <openssl/err.h>
#include <openssl/pool.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include "base/buf.h"
#include "certmgr/pem.h"
#include "certmgr/subject.h"
#include "certmgr/x509_der.h"

struct anchor {
    X509 *cert;
    char *name;
    int64_t not_after;
    CRYPTO_BUFFER *issues; // the name that certificates of clients have as issuer
};

struct anchors {
    X509_STORE *store;
    size_t num;
    bool has_leaf;
    struct anchor items[ANCHORS_MAX];
};

struct anchors *anchors_new(void) {
    OWNED(anchors_free) struct anchors *anchors = calloc(1, sizeof(*anchors));
    if (anchors == NULL || (anchors->store = X509_STORE_new()) == NULL) {
        return NULL;
    }
    return take(&anchors);
}

void anchors_free(struct anchors *anchors) {
    if (anchors == NULL) {
        return;
    }
    for (size_t i = 0; i < anchors->num; i++) {
        X509_free(anchors->items[i].cert);
        CRYPTO_BUFFER_free(anchors->items[i].issues);
        free(anchors->items[i].name);
    }
    X509_STORE_free(anchors->store);
    free(anchors);
}

bool anchors_contain(const struct anchors *anchors, const X509 *cert) {
    for (size_t i = 0; anchors != NULL && i < anchors->num; i++) {
        if (X509_cmp(anchors->items[i].cert, cert) == 0) {
            return true;
        }
    }
    return false;
}

// Of one that is no CA the issuer: that is what its own client looks for.
static CRYPTO_BUFFER *issuer_of_clients(const X509 *cert, bool is_ca) {
    uint8_t *der = NULL;
    int len = i2d_X509_NAME(is_ca ? X509_get_subject_name(cert) : X509_get_issuer_name(cert), &der);
    CRYPTO_BUFFER *name = len <= 0 ? NULL : CRYPTO_BUFFER_new(der, (size_t)len, NULL);
    OPENSSL_free(der);
    return name;
}

static bool add_one(struct anchors *anchors, struct span der, const char *name, struct err *err) {
    CRYPTO_BUFFER *buffer OWNED(CRYPTO_BUFFER_free) = CRYPTO_BUFFER_new(der.ptr, der.len, NULL);
    X509 *cert OWNED(X509_free) = buffer == NULL ? NULL : x509_der_parse(buffer, err);
    struct anchor *slot = &anchors->items[anchors->num];
    if (cert == NULL || !x509_der_not_after(cert, &slot->not_after)) {
        return ERR_SET(err, ERR_INPUT, "invalid_certificate: %s: not a certificate", name);
    }
    char subject[SUBJECT_TEXT_MAX];
    subject_format(cert, subject, sizeof(subject));
    if (anchors_contain(anchors, cert)) {
        return ERR_SET(err, ERR_INPUT, "duplicated_certs: %s: \"%s\" is in the list already", name,
                       subject);
    }
    if (anchors->num == ANCHORS_MAX) {
        return ERR_SET(err, ERR_INPUT, "invalid_certificate: a list holds at most %d certificates",
                       ANCHORS_MAX);
    }
    bool is_ca = X509_check_ca(cert) != 0;
    slot->name = strdup(name);
    slot->issues = issuer_of_clients(cert, is_ca);
    if (slot->name == NULL || slot->issues == NULL || !X509_STORE_add_cert(anchors->store, cert)) {
        free(take(&slot->name));
        CRYPTO_BUFFER_free(take(&slot->issues));
        ERR_clear_error();
        return ERR_NO_MEMORY(err, "reading certificates");
    }
    anchors->has_leaf |= !is_ca;
    slot->cert = take(&cert);
    anchors->num++;
    return true;
}

static bool holds_key(struct span input) {
    static const char word[] = "PRIVATE KEY-----";
    return input.len > 0 && memmem(input.ptr, input.len, word, sizeof(word) - 1) != NULL;
}

bool anchors_add(struct anchors *anchors, struct span input, const char *name, struct err *err) {
    struct buf der = {0};
    bool ok = true;
    if (holds_key(input)) {
        ok = ERR_SET(err, ERR_INPUT,
                     "invalid_certificate: %s holds a private key, which does not "
                     "belong into a list of certificates",
                     name);
    } else if (!pem_parse_certificates(input, name, &der, err)) {
        ok = err_wrap(err, "invalid_certificate");
    }
    struct span rest = buf_span(&der);
    while (ok && rest.len > 0) {
        struct span one;
        ok = x509_der_next(&rest, &one, err) && add_one(anchors, one, name, err);
    }
    buf_fini(&der);
    return ok;
}

bool anchors_check_expiry(const struct anchors *anchors, const struct anchors *before, int64_t now,
                          struct err *err) {
    for (size_t i = 0; i < anchors->num; i++) {
        const struct anchor *anchor = &anchors->items[i];
        if (anchor->not_after < now && !anchors_contain(before, anchor->cert)) {
            char subject[SUBJECT_TEXT_MAX];
            subject_format(anchor->cert, subject, sizeof(subject));
            return ERR_SET(err, ERR_INPUT, "certificate_expired: %s: \"%s\" has expired",
                           anchor->name, subject);
        }
    }
    return true;
}

size_t anchors_num(const struct anchors *anchors) {
    return anchors == NULL ? 0 : anchors->num;
}

bool anchors_has_leaf(const struct anchors *anchors) {
    return anchors->has_leaf;
}

X509_STORE *anchors_store(const struct anchors *anchors) {
    return anchors->store;
}

static bool holds_name(const STACK_OF(CRYPTO_BUFFER) * names, const CRYPTO_BUFFER *name) {
    size_t len = CRYPTO_BUFFER_len(name);
    for (size_t i = 0; i < sk_CRYPTO_BUFFER_num(names); i++) {
        const CRYPTO_BUFFER *other = sk_CRYPTO_BUFFER_value(names, i);
        if (CRYPTO_BUFFER_len(other) == len &&
            memcmp(CRYPTO_BUFFER_data(other), CRYPTO_BUFFER_data(name), len) == 0) {
            return true;
        }
    }
    return false;
}

bool anchors_add_issuers(const struct anchors *anchors, STACK_OF(CRYPTO_BUFFER) * names) {
    for (size_t i = 0; i < anchors_num(anchors); i++) {
        CRYPTO_BUFFER *name = anchors->items[i].issues;
        if (holds_name(names, name)) {
            continue;
        }
        if (sk_CRYPTO_BUFFER_push(names, name) == 0) {
            ERR_clear_error();
            return false;
        }
        CRYPTO_BUFFER_up_ref(name);
    }
    return true;
}

struct anchor_view anchors_view(const struct anchors *anchors, size_t index) {
    return (struct anchor_view){.name = anchors->items[index].name,
                                .not_after = anchors->items[index].not_after};
}
