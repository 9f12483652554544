#include "certmgr/subject.h"

#include <string.h>

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/mem.h>
#include <openssl/nid.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include "base/own.h"

#define OUS_MAX 256 // more never match

OWN_DEFINE(BIO, BIO_free_all)
OWN_DEFINE(GENERAL_NAMES, GENERAL_NAMES_free)
OWN_DEFINE(unsigned char, OPENSSL_free)

void subject_format(const X509 *cert, char *out, size_t cap) {
    out[0] = '\0';
    BIO *bio OWNED(BIO_free_all) = BIO_new(BIO_s_mem());
    const uint8_t *text = NULL;
    size_t len = 0;
    if (bio != NULL &&
        X509_NAME_print_ex(bio, X509_get_subject_name(cert), 0, XN_FLAG_RFC2253) >= 0 &&
        BIO_mem_contents(bio, &text, &len)) {
        len = len < cap ? len : cap - 1;
        memcpy(out, text, len);
        out[len] = '\0';
    }
    ERR_clear_error();
}

static bool string_is(const ASN1_STRING *string, const char *text) {
    unsigned char *utf8 OWNED(OPENSSL_free) = NULL;
    int len = ASN1_STRING_to_UTF8(&utf8, string);
    if (len < 0) {
        ERR_clear_error();
        return false;
    }
    return (size_t)len == strlen(text) && memcmp(utf8, text, (size_t)len) == 0;
}

static const ASN1_STRING *entry_at(const X509 *cert, int index) {
    return X509_NAME_ENTRY_get_data(X509_NAME_get_entry(X509_get_subject_name(cert), index));
}

static int next_entry(const X509 *cert, int nid, int after) {
    return X509_NAME_get_index_by_NID(X509_get_subject_name(cert), nid, after);
}

// Exactly one entry that is `text`; NULL: no entry.
static bool single_is(const X509 *cert, int nid, const char *text) {
    int first = next_entry(cert, nid, -1);
    if (first < 0 || text == NULL) {
        return first < 0 && text == NULL;
    }
    return next_entry(cert, nid, first) < 0 && string_is(entry_at(cert, first), text);
}

static bool has_entry(const X509 *cert, int nid, const char *text) {
    for (int i = next_entry(cert, nid, -1); i >= 0; i = next_entry(cert, nid, i)) {
        if (string_is(entry_at(cert, i), text)) {
            return true;
        }
    }
    return false;
}

void subject_common_name(const X509 *cert, char *out, size_t cap) {
    unsigned char *utf8 OWNED(OPENSSL_free) = NULL;
    int first = next_entry(cert, NID_commonName, -1);
    out[0] = '\0';
    if (first < 0 || next_entry(cert, NID_commonName, first) >= 0) {
        return;
    }
    int len = ASN1_STRING_to_UTF8(&utf8, entry_at(cert, first));
    ERR_clear_error();
    if (len > 0 && (size_t)len < cap && memchr(utf8, '\0', (size_t)len) == NULL) {
        memcpy(out, utf8, (size_t)len);
        out[len] = '\0';
    }
}

static bool is_one_of(const ASN1_STRING *string, const struct subject_rule *rule) {
    for (size_t i = 0; i < rule->num_ou; i++) {
        if (string_is(string, rule->ou[i])) {
            return true;
        }
    }
    return false;
}

static bool ous_match(const X509 *cert, const struct subject_rule *rule) {
    int num = 0;
    for (int i = next_entry(cert, NID_organizationalUnitName, -1); i >= 0;
         i = next_entry(cert, NID_organizationalUnitName, i)) {
        if (++num > OUS_MAX || !is_one_of(entry_at(cert, i), rule)) {
            return false;
        }
    }
    for (size_t i = 0; i < rule->num_ou; i++) {
        if (!has_entry(cert, NID_organizationalUnitName, rule->ou[i])) {
            return false;
        }
    }
    return true;
}

bool subject_matches(const X509 *cert, const struct subject_rule *rule) {
    return single_is(cert, NID_commonName, rule->cn) &&
           single_is(cert, NID_organizationName, rule->o) &&
           single_is(cert, NID_localityName, rule->l) &&
           single_is(cert, NID_stateOrProvinceName, rule->st) &&
           single_is(cert, NID_countryName, rule->c) && ous_match(cert, rule);
}

bool subject_has_name(const X509 *cert, const char *name) {
    if (single_is(cert, NID_commonName, name)) {
        return true;
    }
    GENERAL_NAMES *names OWNED(GENERAL_NAMES_free) =
        X509_get_ext_d2i(cert, NID_subject_alt_name, NULL, NULL);
    ERR_clear_error();
    for (size_t i = 0; i < sk_GENERAL_NAME_num(names); i++) {
        const GENERAL_NAME *at = sk_GENERAL_NAME_value(names, i);
        if (at->type == GEN_DNS && string_is(at->d.dNSName, name)) {
            return true;
        }
    }
    return false;
}
