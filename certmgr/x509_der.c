#include "certmgr/x509_der.h"

#include <openssl/bn.h>
#include <openssl/bytestring.h>
#include <openssl/ec.h>
#include <openssl/ec_key.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/nid.h>
#include <openssl/rsa.h>
#include <openssl/x509v3.h>

#define SERIAL_LEN_MAX 20
#define RSA_BITS_MIN 2048
#define RSA_BITS_MAX 4096

// Several getters of the library take a pointer that is not const although they only fill a cache
// inside, under a lock.
static X509 *unconst(const X509 *cert) {
    return (X509 *)(uintptr_t)cert;
}

bool x509_der_next(struct span *rest, struct span *element, struct err *err) {
    CBS all;
    CBS first;
    CBS_init(&all, rest->ptr, rest->len);
    if (!CBS_get_asn1_element(&all, &first, CBS_ASN1_SEQUENCE)) {
        return ERR_SET(err, ERR_INPUT, "no complete DER sequence in the last %zu bytes", rest->len);
    }
    *element = span_of(CBS_data(&first), CBS_len(&first));
    *rest = span_of(CBS_data(&all), CBS_len(&all));
    return true;
}

X509 *x509_der_parse(CRYPTO_BUFFER *buffer, struct err *err) {
    X509 *cert OWNED(X509_free) = X509_parse_from_buffer(buffer);
    // The flags are EXFLAG_INVALID when an extension that the library knows is broken or repeated.
    if (cert == NULL || (X509_get_extension_flags(cert) & EXFLAG_INVALID) != 0) {
        ERR_clear_error();
        ERR_SET(err, ERR_INPUT, "not a well-formed X.509 certificate (%zu bytes)",
                CRYPTO_BUFFER_len(buffer));
        return NULL;
    }
    return take(&cert);
}

bool x509_der_not_before(const X509 *cert, int64_t *out) {
    return ASN1_TIME_to_posix(X509_get0_notBefore(cert), out) == 1;
}

bool x509_der_not_after(const X509 *cert, int64_t *out) {
    return ASN1_TIME_to_posix(X509_get0_notAfter(cert), out) == 1;
}

bool x509_der_serial(const X509 *cert, char *out, size_t out_size) {
    const ASN1_INTEGER *serial = X509_get0_serialNumber(cert);
    const uint8_t *bytes = ASN1_STRING_get0_data(serial);
    int len = ASN1_STRING_length(serial);
    if (len > SERIAL_LEN_MAX || out_size < 2 * SERIAL_LEN_MAX + 2) {
        return false;
    }
    static const char digits[] = "0123456789abcdef";
    size_t used = 0;
    if (ASN1_STRING_type(serial) == V_ASN1_NEG_INTEGER) {
        out[used++] = '-';
    }
    for (int i = 0; i < len; i++) {
        out[used++] = digits[bytes[i] >> 4];
        out[used++] = digits[bytes[i] & 15];
    }
    if (len == 0) {
        out[used++] = '0';
    }
    out[used] = '\0';
    return true;
}

bool x509_der_public_key_is_accepted(const EVP_PKEY *key) {
    if (EVP_PKEY_id(key) == EVP_PKEY_EC) {
        const EC_GROUP *group = EC_KEY_get0_group(EVP_PKEY_get0_EC_KEY(key));
        int curve = EC_GROUP_get_curve_name(group);
        return curve == NID_X9_62_prime256v1 || curve == NID_secp384r1;
    }
    if (EVP_PKEY_id(key) == EVP_PKEY_RSA) {
        unsigned bits = RSA_bits(EVP_PKEY_get0_RSA(key));
        return bits >= RSA_BITS_MIN && bits <= RSA_BITS_MAX;
    }
    return false;
}

bool x509_der_key_is_accepted(const X509 *cert) {
    EVP_PKEY *key OWNED(EVP_PKEY_free) = X509_get_pubkey(unconst(cert));
    if (key == NULL) {
        ERR_clear_error();
        return false;
    }
    return x509_der_public_key_is_accepted(key);
}

bool x509_der_signature_is_accepted(const X509 *cert) {
    switch (X509_get_signature_nid(cert)) {
    case NID_ecdsa_with_SHA256:
    case NID_ecdsa_with_SHA384:
    case NID_ecdsa_with_SHA512:
    case NID_sha256WithRSAEncryption:
    case NID_sha384WithRSAEncryption:
    case NID_sha512WithRSAEncryption:
    case NID_rsassaPss: // the library takes SHA-256 and better only
        return true;
    default:
        return false;
    }
}

bool x509_der_is_ca(const X509 *cert, bool key_usage_needed) {
    X509 *mutable_cert = unconst(cert);
    uint32_t flags = X509_get_extension_flags(mutable_cert);
    if (X509_get_version(cert) != X509_VERSION_3 || (flags & EXFLAG_CA) == 0) {
        return false;
    }
    if ((flags & EXFLAG_KUSAGE) == 0) {
        return !key_usage_needed;
    }
    return (X509_get_key_usage(mutable_cert) & X509v3_KU_KEY_CERT_SIGN) != 0;
}
