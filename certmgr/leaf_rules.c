#include "certmgr/leaf_rules.h"

#include <string.h>
#include <strings.h>

#include <openssl/err.h>
#include <openssl/nid.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include "base/own.h"

OWN_DEFINE(GENERAL_NAMES, GENERAL_NAMES_free)

static struct span text_of(const ASN1_STRING *text) {
    return span_of(ASN1_STRING_get0_data(text), (size_t)ASN1_STRING_length(text));
}

static GENERAL_NAMES *subject_alt_names(const X509 *leaf) {
    // NULL for an absent, a broken and a repeated extension alike: all three mean "no names".
    GENERAL_NAMES *names = X509_get_ext_d2i(leaf, NID_subject_alt_name, NULL, NULL);
    ERR_clear_error();
    return names;
}

bool leaf_rules_id(const X509 *leaf, struct spiffe_id *out, struct err *err) {
    GENERAL_NAMES *names OWNED(GENERAL_NAMES_free) = subject_alt_names(leaf);
    size_t num_uris = 0;
    struct span uri = {0};
    for (size_t i = 0; names != NULL && i < sk_GENERAL_NAME_num(names); i++) {
        const GENERAL_NAME *name = sk_GENERAL_NAME_value(names, i);
        if (name->type == GEN_URI) {
            uri = text_of(name->d.uniformResourceIdentifier);
            num_uris++;
        }
    }
    if (num_uris != 1) {
        return ERR_SET(err, ERR_INPUT,
                       "the certificate has %zu URI SANs; an X509-SVID has exactly one", num_uris);
    }
    struct spiffe_id id;
    if (!spiffe_id_parse(&id, uri, err)) {
        return err_wrap(err, "the certificate's URI SAN");
    }
    if (spiffe_id_path(&id).len == 0) {
        return ERR_SET(err, ERR_INPUT,
                       "the certificate's SPIFFE ID %s names a trust domain, not a workload",
                       id.text);
    }
    *out = id;
    return true;
}

bool leaf_rules_usage(const X509 *leaf, struct err *err) {
    if (X509_get_version(leaf) != X509_VERSION_3) {
        return ERR_SET(err, ERR_INPUT, "the certificate is not of X.509 version 3");
    }
    X509 *mutable_leaf = (X509 *)(uintptr_t)leaf; // the getters fill a cache inside
    uint32_t flags = X509_get_extension_flags(mutable_leaf);
    if ((flags & EXFLAG_CA) != 0) {
        return ERR_SET(err, ERR_INPUT, "the certificate is a CA certificate (cA is true)");
    }
    if (X509_get_ext_by_NID(leaf, NID_name_constraints, -1) >= 0) {
        return ERR_SET(err, ERR_INPUT, "the certificate has name constraints but is not a CA");
    }
    if ((flags & EXFLAG_KUSAGE) == 0) {
        return true;
    }
    uint32_t usage = X509_get_key_usage(mutable_leaf);
    if ((usage & (X509v3_KU_KEY_CERT_SIGN | X509v3_KU_CRL_SIGN)) != 0) {
        return ERR_SET(err, ERR_INPUT, "the certificate's keyUsage has keyCertSign or cRLSign");
    }
    if ((usage & X509v3_KU_DIGITAL_SIGNATURE) == 0) {
        return ERR_SET(err, ERR_INPUT, "the certificate's keyUsage lacks digitalSignature");
    }
    return true;
}

bool leaf_rules_svid_usage(const X509 *leaf, struct err *err) {
    if (!leaf_rules_usage(leaf, err)) {
        return false;
    }
    int index = X509_get_ext_by_NID(leaf, NID_key_usage, -1);
    if (index < 0) {
        return ERR_SET(err, ERR_INPUT, "the certificate has no keyUsage");
    }
    if (!X509_EXTENSION_get_critical(X509_get_ext(leaf, index))) {
        return ERR_SET(err, ERR_INPUT, "the certificate's keyUsage is not critical");
    }
    return true;
}

// RFC 1123 bytes only: a NUL, a blank or a '*' inside a label is never part of a match.
static bool is_host_name(struct span name) {
    if (name.len == 0 || name.len > 253) {
        return false;
    }
    for (size_t i = 0; i < name.len; i++) {
        uint8_t c = name.ptr[i];
        bool alphanumeric =
            (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
        bool label_starts = i == 0 || name.ptr[i - 1] == '.';
        if (!alphanumeric && c != '-' && c != '_' && (c != '.' || label_starts)) {
            return false;
        }
    }
    return true;
}

static bool equal_ignoring_case(struct span a, struct span b) {
    return a.len == b.len && strncasecmp((const char *)a.ptr, (const char *)b.ptr, a.len) == 0;
}

// `name` is a host name. `pattern` comes from a certificate: any bytes.
static bool dns_name_matches(struct span pattern, struct span name) {
    if (pattern.len <= 2 || memcmp(pattern.ptr, "*.", 2) != 0) {
        return is_host_name(pattern) && equal_ignoring_case(pattern, name);
    }
    struct span parent = span_after(pattern, 2);
    const uint8_t *dot = memchr(name.ptr, '.', name.len);
    if (!is_host_name(parent) || memchr(parent.ptr, '.', parent.len) == NULL || dot == NULL) {
        return false;
    }
    return equal_ignoring_case(parent, span_after(name, (size_t)(dot - name.ptr) + 1));
}

bool leaf_rules_has_dns_name(const X509 *leaf, struct span name) {
    if (name.len > 0 && name.ptr[name.len - 1] == '.') {
        name.len--; // the absolute form of the same name
    }
    if (!is_host_name(name)) {
        return false;
    }
    GENERAL_NAMES *names OWNED(GENERAL_NAMES_free) = subject_alt_names(leaf);
    for (size_t i = 0; names != NULL && i < sk_GENERAL_NAME_num(names); i++) {
        const GENERAL_NAME *entry = sk_GENERAL_NAME_value(names, i);
        if (entry->type == GEN_DNS && dns_name_matches(text_of(entry->d.dNSName), name)) {
            return true;
        }
    }
    return false;
}

bool leaf_rules_has_address(const X509 *leaf, const struct netaddr *addr) {
    GENERAL_NAMES *names OWNED(GENERAL_NAMES_free) = subject_alt_names(leaf);
    struct span wanted = span_of(addr->ip, addr->family == NETADDR_V4 ? 4 : sizeof(addr->ip));
    for (size_t i = 0; names != NULL && i < sk_GENERAL_NAME_num(names); i++) {
        const GENERAL_NAME *entry = sk_GENERAL_NAME_value(names, i);
        if (entry->type == GEN_IPADD && span_equal(text_of(entry->d.iPAddress), wanted)) {
            return addr->family != NETADDR_NONE;
        }
    }
    return false;
}
