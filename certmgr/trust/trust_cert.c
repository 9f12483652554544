#include "certmgr/trust/trust_cert.h"

#include <stdlib.h>
#include <string.h>

#include <openssl/bio.h>
#include <openssl/bytestring.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/nid.h>
#include <openssl/obj.h>
#include <openssl/rsa.h>
#include <openssl/sha.h>
#include <openssl/x509v3.h>

#include "certmgr/x509_der.h"

#define RSA_BITS_GOOD 2048
#define RSA_BITS_READABLE 512 // Java refuses to read a shorter key
// Without ESC_MSB names stay UTF-8.
#define NAME_FORM (XN_FLAG_RFC2253 & ~(unsigned long)ASN1_STRFLGS_ESC_MSB)

OWN_DEFINE(BIO, BIO_free_all)
OWN_DEFINE(uint8_t, OPENSSL_free)
OWN_DEFINE(GENERAL_NAMES, GENERAL_NAMES_free)

static const struct {
    enum trust_finding finding;
    const char *name;
    const char *sentence;
} findings[TRUST_FINDINGS] = {
    {TRUST_EXPIRED, "expired", "it has expired"},
    {TRUST_NOT_YET_VALID, "notYetValid", "it is not valid yet"},
    {TRUST_NOT_CA, "notCa",
     "it is not a CA's (CA:TRUE, and keyCertSign where there is a keyUsage), so it can vouch for "
     "itself only"},
    {TRUST_WEAK, "weak", "it is weak (RSA below 2048 bits, or a SHA-1 or MD5 signature)"},
    {TRUST_NOT_FOR_JAVA, "notForJava",
     "its key or its empty name makes a JVM refuse the whole store, so the Java stores are without "
     "it"},
};

const char *trust_cert_finding_name(enum trust_finding finding) {
    size_t i = 0;
    while (i + 1 < TRUST_FINDINGS && findings[i].finding != finding) {
        i++;
    }
    return findings[i].name;
}

const char *trust_cert_finding_sentence(enum trust_finding finding) {
    size_t i = 0;
    while (i + 1 < TRUST_FINDINGS && findings[i].finding != finding) {
        i++;
    }
    return findings[i].sentence;
}

void trust_cert_hex(const uint8_t *bytes, size_t len, char *out) {
    static const char digits[] = "0123456789abcdef";
    for (size_t i = 0; i < len; i++) {
        out[2 * i] = digits[bytes[i] >> 4];
        out[2 * i + 1] = digits[bytes[i] & 15];
    }
    out[2 * len] = '\0';
}

// --- text ---

// A copy of at most TRUST_CERT_NAME_MAX bytes, cut between characters, without what would move a
// terminal's cursor.
static char *clean_copy(struct span text) {
    size_t len = text.len < TRUST_CERT_NAME_MAX ? text.len : TRUST_CERT_NAME_MAX;
    while (len > 0 && len < text.len && (text.ptr[len] & 0xc0) == 0x80) {
        len--;
    }
    char *copy = malloc(len + 1);
    if (copy == NULL) {
        return NULL;
    }
    for (size_t i = 0; i < len; i++) {
        copy[i] = text.ptr[i] < ' ' || text.ptr[i] == 0x7f ? '?' : (char)text.ptr[i];
    }
    copy[len] = '\0';
    return copy;
}

static char *name_text(const X509_NAME *name) {
    OWNED(BIO_free_all) BIO *bio = BIO_new(BIO_s_mem());
    const uint8_t *text = NULL;
    size_t len = 0;
    if (bio == NULL || X509_NAME_print_ex(bio, name, 0, NAME_FORM) < 0 ||
        !BIO_mem_contents(bio, &text, &len)) {
        ERR_clear_error();
        return clean_copy(span_of_text("(a name that cannot be shown)"));
    }
    return clean_copy(span_of(text, len));
}

// The last CN of the subject, else its O or OU.
static char *short_name(const X509_NAME *name) {
    static const int kinds[] = {NID_commonName, NID_organizationName, NID_organizationalUnitName};
    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
        int last = -1;
        for (int at; (at = X509_NAME_get_index_by_NID(name, kinds[i], last)) >= 0;) {
            last = at;
        }
        if (last < 0) {
            continue;
        }
        const X509_NAME_ENTRY *entry = X509_NAME_get_entry(name, last);
        uint8_t *text = NULL;
        int len = ASN1_STRING_to_UTF8(&text, X509_NAME_ENTRY_get_data(entry));
        OWNED(OPENSSL_free) uint8_t *owned = text;
        if (len > 0) {
            return clean_copy(span_of(owned, (size_t)len));
        }
        ERR_clear_error();
    }
    return strdup("");
}

static bool read_dns_names(struct trust_cert *out, const X509 *cert) {
    OWNED(GENERAL_NAMES_free)
    GENERAL_NAMES *names = X509_get_ext_d2i(cert, NID_subject_alt_name, NULL, NULL);
    ERR_clear_error();
    for (size_t i = 0; i < sk_GENERAL_NAME_num(names) && out->num_dns_names < TRUST_CERT_DNS_MAX;
         i++) {
        const GENERAL_NAME *name = sk_GENERAL_NAME_value(names, i);
        if (name->type != GEN_DNS) {
            continue;
        }
        struct span text = span_of(ASN1_STRING_get0_data(name->d.dNSName),
                                   (size_t)ASN1_STRING_length(name->d.dNSName));
        char *copy = clean_copy(text);
        if (copy == NULL) {
            return false;
        }
        out->dns_names[out->num_dns_names++] = copy;
    }
    return true;
}

// --- what it is fit for ---

static unsigned key_findings(X509 *cert) {
    OWNED(EVP_PKEY_free) EVP_PKEY *key = X509_get_pubkey(cert);
    if (key == NULL) {
        ERR_clear_error();
        return TRUST_NOT_FOR_JAVA;
    }
    if (EVP_PKEY_id(key) != EVP_PKEY_RSA) {
        return 0;
    }
    unsigned bits = RSA_bits(EVP_PKEY_get0_RSA(key));
    return (bits < RSA_BITS_GOOD ? TRUST_WEAK : 0) |
           (bits < RSA_BITS_READABLE ? TRUST_NOT_FOR_JAVA : 0);
}

// A root's own signature protects nothing.
static bool has_weak_signature(const X509 *cert) {
    if (X509_NAME_cmp(X509_get_subject_name(cert), X509_get_issuer_name(cert)) == 0) {
        return false;
    }
    switch (X509_get_signature_nid(cert)) {
    case NID_md5WithRSAEncryption:
    case NID_sha1WithRSAEncryption:
    case NID_ecdsa_with_SHA1:
    case NID_dsaWithSHA1:
        return true;
    default:
        return false;
    }
}

static bool has_empty_name(const X509 *cert) {
    return X509_NAME_entry_count(X509_get_issuer_name(cert)) == 0 ||
           X509_NAME_entry_count(X509_get_subject_name(cert)) == 0;
}

// A JVM refuses a whole store for one extension that is there twice, or that is critical, known and
// not readable.
static bool check_extensions(const X509 *cert, struct err *err) {
    for (int i = 0; i < X509_get_ext_count(cert); i++) {
        const X509_EXTENSION *extension = X509_get_ext(cert, i);
        const ASN1_OBJECT *id = X509_EXTENSION_get_object(extension);
        if (X509_get_ext_by_OBJ(cert, id, i) >= 0) {
            return ERR_SET(err, ERR_INPUT, "it has one extension twice");
        }
        if (!X509_EXTENSION_get_critical(extension) || X509V3_EXT_get(extension) == NULL) {
            continue;
        }
        int nid = OBJ_obj2nid(id);
        void *value = X509V3_EXT_d2i(extension);
        ERR_clear_error();
        if (value == NULL) {
            return ERR_SET(err, ERR_INPUT, "its critical extension %s is damaged", OBJ_nid2ln(nid));
        }
        (void)X509V3_EXT_free(nid, value);
    }
    return true;
}

// --- parsing ---

static bool fill(struct trust_cert *out, X509 *cert, struct err *err) {
    if (!x509_der_not_before(cert, &out->not_before) ||
        !x509_der_not_after(cert, &out->not_after)) {
        return ERR_SET(err, ERR_INPUT, "its validity is not a time");
    }
    if (!check_extensions(cert, err)) {
        return false;
    }
    out->lasting = key_findings(cert) | (has_weak_signature(cert) ? TRUST_WEAK : 0) |
                   (x509_der_is_ca(cert, false) ? 0 : TRUST_NOT_CA) |
                   (has_empty_name(cert) ? TRUST_NOT_FOR_JAVA : 0);
    out->name_hash = (uint32_t)X509_NAME_hash(X509_get_subject_name(cert));
    out->subject = name_text(X509_get_subject_name(cert));
    out->issuer = name_text(X509_get_issuer_name(cert));
    out->common_name = short_name(X509_get_subject_name(cert));
    SHA1(out->der, out->der_len, out->sha1);
    SHA256(out->der, out->der_len, out->sha256);
    return (out->subject != NULL && out->issuer != NULL && out->common_name != NULL &&
            read_dns_names(out, cert)) ||
           ERR_NO_MEMORY(err, "reading a certificate");
}

// The DER of the certificate, written by the library from what it understood.
static bool encode(struct trust_cert *out, X509 *cert, struct err *err) {
    uint8_t *der = NULL;
    int len = i2d_X509(cert, &der);
    OWNED(OPENSSL_free) uint8_t *owned = der;
    if (len <= 0 || (out->der = malloc((size_t)len)) == NULL) {
        ERR_clear_error();
        return ERR_NO_MEMORY(err, "reading a certificate");
    }
    out->der_len = (size_t)len;
    memcpy(out->der, owned, out->der_len);
    return true;
}

struct trust_cert *trust_cert_parse(struct span der, bool may_trail, struct err *err) {
    struct span rest = der;
    struct span first = der;
    if (der.len == 0 || !x509_der_next(&rest, &first, err) || (rest.len > 0 && !may_trail)) {
        ERR_SET(err, ERR_INPUT, "not a well-formed X.509 certificate (%zu bytes)", der.len);
        return NULL;
    }
    if (first.len > TRUST_CERT_DER_MAX) {
        ERR_SET(err, ERR_INPUT, "a certificate of %zu bytes; at most %zu are taken", first.len,
                TRUST_CERT_DER_MAX);
        return NULL;
    }
    OWNED(CRYPTO_BUFFER_free)
    CRYPTO_BUFFER *buffer = CRYPTO_BUFFER_new(first.ptr, first.len, NULL);
    OWNED(trust_cert_free) struct trust_cert *out = calloc(1, sizeof(*out));
    if (buffer == NULL || out == NULL) {
        ERR_NO_MEMORY(err, "reading a certificate");
        return NULL;
    }
    OWNED(X509_free) X509 *cert = x509_der_parse(buffer, err);
    if (cert == NULL || !encode(out, cert, err) || !fill(out, cert, err)) {
        return NULL;
    }
    return take(&out);
}

void trust_cert_free(struct trust_cert *cert) {
    if (cert == NULL) {
        return;
    }
    for (size_t i = 0; i < cert->num_dns_names; i++) {
        free(cert->dns_names[i]);
    }
    free(cert->common_name);
    free(cert->issuer);
    free(cert->subject);
    free(cert->der);
    free(cert);
}

unsigned trust_cert_findings(const struct trust_cert *cert, int64_t now) {
    return cert->lasting | (now > cert->not_after ? TRUST_EXPIRED : 0) |
           (now < cert->not_before ? TRUST_NOT_YET_VALID : 0);
}

int64_t trust_cert_next_change(const struct trust_cert *cert, int64_t now) {
    if (now < cert->not_before) {
        return cert->not_before;
    }
    return now <= cert->not_after && cert->not_after < INT64_MAX ? cert->not_after + 1 : INT64_MAX;
}
