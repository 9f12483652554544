#include "authority/ca.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <openssl/asn1.h>
#include <openssl/bn.h>
#include <openssl/bytestring.h>
#include <openssl/evp.h>
#include <openssl/mem.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include "authority/ca_state.h"
#include "base/check.h"
#include "base/own.h"

OWN_DEFINE(X509, X509_free)
OWN_DEFINE(EVP_PKEY, EVP_PKEY_free)
OWN_DEFINE(GENERAL_NAMES, GENERAL_NAMES_free)
OWN_DEFINE(BIGNUM, BN_free)

struct ca {
    char *trust_domain;
    char *state_dir; // NULL: in memory
    int state_fd;    // holds the directory's lock; -1
    int64_t lifetime_s;
    struct ca_roots roots; // at least one
};

// Points in a root's life, for its successor.
static int64_t next_is_made_at(const struct ca_root *root) {
    int64_t life = root->validity.not_after - root->validity.not_before;
    return root->validity.not_before + life * 2 / 3;
}

static int64_t next_signs_from(const struct ca_root *root) {
    int64_t life = root->validity.not_after - root->validity.not_before;
    return root->validity.not_before + life * 5 / 6;
}

// The oldest valid root whose time to sign is not over; else the youngest.
static const struct ca_root *signer(const struct ca_roots *roots, int64_t now) {
    for (size_t i = 0; i < roots->num; i++) {
        const struct ca_root *root = &roots->root[i];
        if (root->validity.not_before <= now && now < next_signs_from(root)) {
            return root;
        }
    }
    CHECK(roots->num > 0);
    return &roots->root[roots->num - 1];
}

static bool make_root(const struct ca *ca, int64_t now, struct ca_root *out, struct err *err) {
    struct certificate_validity validity = {
        .not_before = now - CERTIFICATE_BACKDATE_S,
        .not_after = now + ca->lifetime_s,
    };
    OWNED(EVP_PKEY_free) EVP_PKEY *key = certificate_key_new(err);
    if (key == NULL) {
        return false;
    }
    X509 *cert = certificate_root_new(key, ca->trust_domain, validity, err);
    if (cert == NULL) {
        return false;
    }
    *out = (struct ca_root){.cert = cert, .key = take(&key), .validity = validity};
    return true;
}

// What the roots are to be at `now`, as a new set. `*changed` when it differs from the present one.
static bool plan_roots(const struct ca *ca, int64_t now, struct ca_roots *out, bool *changed,
                       struct err *err) {
    ca_roots_copy(out, &ca->roots);
    for (size_t i = out->num; i-- > 0;) {
        if (out->root[i].validity.not_after < now) {
            ca_roots_remove(out, i);
        }
    }
    bool due = out->num == 0 || now >= next_is_made_at(&out->root[out->num - 1]);
    // The clock went back before the youngest root began: it can sign nothing that verifies now.
    due = due || now < out->root[out->num - 1].validity.not_before;
    *changed = due || out->num != ca->roots.num;
    if (!due) {
        return true;
    }
    if (out->num == CA_ROOTS_MAX) {
        ca_roots_remove(out, 0);
    }
    struct ca_root root;
    if (!make_root(ca, now, &root, err)) {
        return false;
    }
    ca_roots_append(out, root);
    return true;
}

bool ca_maintain(struct ca *ca, int64_t now, bool *changed, struct err *err) {
    struct ca_roots planned __attribute__((cleanup(ca_roots_fini))) = {0};
    bool differs = false;
    if (!plan_roots(ca, now, &planned, &differs, err)) {
        return err_wrap(err, "cannot renew the CA");
    }
    if (differs) {
        if (ca->state_dir != NULL && !ca_state_save(ca->state_dir, &planned, err)) {
            return err_wrap(err, "cannot save the CA");
        }
        struct ca_roots old = ca->roots;
        ca->roots = planned;
        planned = old;
    }
    *changed = differs;
    return true;
}

// A root of the state directory must be a CA of our trust domain.
static bool check_root(const struct ca *ca, X509 *cert, struct err *err) {
    static const char scheme[] = "spiffe://";
    OWNED(GENERAL_NAMES_free)
    GENERAL_NAMES *names = X509_get_ext_d2i(cert, NID_subject_alt_name, NULL, NULL);
    if (X509_check_ca(cert) != 1 || names == NULL || sk_GENERAL_NAME_num(names) != 1 ||
        sk_GENERAL_NAME_value(names, 0)->type != GEN_URI) {
        return ERR_SET(err, ERR_INPUT, "%s/ca.crt is not a CA that this authority made",
                       ca->state_dir);
    }
    const ASN1_IA5STRING *uri = sk_GENERAL_NAME_value(names, 0)->d.uniformResourceIdentifier;
    size_t len = (size_t)ASN1_STRING_length(uri);
    const char *text = (const char *)ASN1_STRING_get0_data(uri);
    size_t domain_len = strlen(ca->trust_domain);
    if (len != sizeof(scheme) - 1 + domain_len || memcmp(text, scheme, sizeof(scheme) - 1) != 0 ||
        memcmp(text + sizeof(scheme) - 1, ca->trust_domain, domain_len) != 0) {
        return ERR_SET(err, ERR_INPUT,
                       "%s holds the CA of another trust domain than %s: use another directory",
                       ca->state_dir, ca->trust_domain);
    }
    return true;
}

static bool load(struct ca *ca, int64_t now, struct err *err) {
    ca->state_fd = ca_state_open(ca->state_dir, err);
    if (ca->state_fd < 0 || !ca_state_load(ca->state_dir, now, &ca->roots, err)) {
        return false;
    }
    for (size_t i = 0; i < ca->roots.num; i++) {
        if (!check_root(ca, ca->roots.root[i].cert, err)) {
            return false;
        }
    }
    return true;
}

struct ca *ca_new(struct ca_policy policy, int64_t now, struct err *err) {
    bool changed = false;
    OWNED(ca_free) struct ca *ca = calloc(1, sizeof(*ca));
    if (ca == NULL) {
        ERR_NO_MEMORY(err, "making the CA");
        return NULL;
    }
    ca->state_fd = -1;
    ca->lifetime_s = policy.lifetime_s;
    ca->trust_domain = strdup(policy.trust_domain);
    ca->state_dir = policy.state_dir != NULL ? strdup(policy.state_dir) : NULL;
    if (ca->trust_domain == NULL || (policy.state_dir != NULL && ca->state_dir == NULL)) {
        ERR_NO_MEMORY(err, "making the CA");
        return NULL;
    }
    if ((ca->state_dir != NULL && !load(ca, now, err)) || !ca_maintain(ca, now, &changed, err)) {
        return NULL;
    }
    return take(&ca);
}

void ca_free(struct ca *ca) {
    if (ca == NULL) {
        return;
    }
    ca_roots_fini(&ca->roots);
    if (ca->state_fd >= 0) {
        (void)close(ca->state_fd);
    }
    free(ca->trust_domain);
    free(ca->state_dir);
    free(ca);
}

void ca_leaf_fini(struct ca_leaf *leaf) {
    buf_fini(&leaf->chain);
    buf_clear_secret(&leaf->key);
}

static bool append_der(X509 *cert, struct buf *out) {
    uint8_t *der = NULL;
    int len = i2d_X509(cert, &der);
    bool done = len > 0 && buf_append(out, der, (size_t)len);
    OPENSSL_free(der);
    return done;
}

static bool append_pkcs8(EVP_PKEY *key, struct buf *out) {
    CBB cbb;
    uint8_t *der = NULL;
    size_t len = 0;
    if (!CBB_init(&cbb, 256)) {
        return false;
    }
    if (!EVP_marshal_private_key(&cbb, key) || !CBB_finish(&cbb, &der, &len)) {
        CBB_cleanup(&cbb);
        return false;
    }
    bool done = buf_append(out, der, len);
    OPENSSL_free(der); // wipes it
    return done;
}

static bool serial_text(X509 *cert, char out[CA_SERIAL_TEXT_MAX]) {
    uint8_t bytes[20];
    OWNED(BN_free) BIGNUM *serial = ASN1_INTEGER_to_BN(X509_get0_serialNumber(cert), NULL);
    if (serial == NULL || BN_num_bytes(serial) > sizeof(bytes)) {
        return false;
    }
    size_t len = BN_bn2bin(serial, bytes);
    for (size_t i = 0; i < len; i++) {
        (void)snprintf(out + 2 * i, 3, "%02x", (unsigned)bytes[i]);
    }
    return true;
}

static struct certificate_validity validity_of(const struct ca_root *root,
                                               struct ca_period period) {
    bool root_is_longer = period.not_after < root->validity.not_after;
    return (struct certificate_validity){
        .not_before = period.now - CERTIFICATE_BACKDATE_S,
        .not_after = root_is_longer ? period.not_after : root->validity.not_after,
    };
}

static bool fill(struct ca_leaf *out, X509 *cert, EVP_PKEY *own_key,
                 struct certificate_validity validity, struct err *err) {
    if (!append_der(cert, &out->chain) || (own_key != NULL && !append_pkcs8(own_key, &out->key)) ||
        !serial_text(cert, out->serial)) {
        return ERR_NO_MEMORY(err, "issuing a certificate");
    }
    out->not_after = validity.not_after;
    return true;
}

bool ca_issue(const struct ca *ca, struct ca_subject subject, struct ca_period period,
              struct ca_leaf *out, struct err *err) {
    const struct ca_root *root = signer(&ca->roots, period.now);
    const struct certificate_issuer issuer = {.cert = root->cert, .key = root->key};
    struct certificate_validity validity = validity_of(root, period);
    OWNED(EVP_PKEY_free)
    EVP_PKEY *own_key = subject.public_key == NULL ? certificate_key_new(err) : NULL;
    EVP_PKEY *key = subject.public_key == NULL ? own_key : subject.public_key;
    OWNED(X509_free)
    X509 *cert =
        key != NULL ? certificate_leaf_new(issuer, key, subject.spiffe_id, validity, err) : NULL;
    return cert != NULL && fill(out, cert, own_key, validity, err);
}

bool ca_issue_server(const struct ca *ca, const struct certificate_names *names,
                     struct ca_period period, struct ca_leaf *out, struct err *err) {
    const struct ca_root *root = signer(&ca->roots, period.now);
    const struct certificate_issuer issuer = {.cert = root->cert, .key = root->key};
    struct certificate_validity validity = validity_of(root, period);
    OWNED(EVP_PKEY_free) EVP_PKEY *key = certificate_key_new(err);
    OWNED(X509_free)
    X509 *cert = key != NULL ? certificate_server_new(issuer, key, names, validity, err) : NULL;
    return cert != NULL && fill(out, cert, key, validity, err);
}

bool ca_bundle(const struct ca *ca, struct buf *out, struct err *err) {
    for (size_t i = 0; i < ca->roots.num; i++) {
        if (!append_der(ca->roots.root[i].cert, out)) {
            return ERR_NO_MEMORY(err, "rendering the trust bundle");
        }
    }
    return true;
}

int64_t ca_not_after(const struct ca *ca, int64_t now) {
    return signer(&ca->roots, now)->validity.not_after;
}
