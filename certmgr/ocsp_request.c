#include "certmgr/ocsp_request.h"

#include <string.h>

#include <openssl/bytestring.h>
#include <openssl/err.h>
#include <openssl/nid.h>
#include <openssl/x509.h>

#include "certmgr/ocsp_id.h"
#include "certmgr/x509_der.h"

#define REQUEST_MAX 512
#define DESCRIPTIONS_MAX 32
#define URI (CBS_ASN1_CONTEXT_SPECIFIC | 6)

// SHA-1 with the NULL that responders expect: it names, it protects nothing.
static const uint8_t sha1_algorithm[] = {0x30, 0x09, 0x06, 0x05, 0x2b, 0x0e,
                                         0x03, 0x02, 0x1a, 0x05, 0x00};
static const uint8_t ocsp_oid[] = {0x2b, 0x06, 0x01, 0x05, 0x05, 0x07, 0x30, 0x01};

// --- the request

static bool add_octets(CBB *out, const uint8_t *bytes, size_t len) {
    CBB octets;
    return CBB_add_asn1(out, &octets, CBS_ASN1_OCTETSTRING) && CBB_add_bytes(&octets, bytes, len) &&
           CBB_flush(out);
}

static bool add_serial(CBB *out, const X509 *leaf) {
    uint8_t *der = NULL;
    int len = i2d_ASN1_INTEGER(X509_get0_serialNumber(leaf), &der);
    bool ok = len > 0 && CBB_add_bytes(out, der, (size_t)len);
    OPENSSL_free(der);
    return ok;
}

static bool add_request(CBB *out, const X509 *leaf, const struct ocsp_id *id) {
    CBB request, to_sign, list, single, cert_id;
    return CBB_add_asn1(out, &request, CBS_ASN1_SEQUENCE) &&
           CBB_add_asn1(&request, &to_sign, CBS_ASN1_SEQUENCE) &&
           CBB_add_asn1(&to_sign, &list, CBS_ASN1_SEQUENCE) &&
           CBB_add_asn1(&list, &single, CBS_ASN1_SEQUENCE) &&
           CBB_add_asn1(&single, &cert_id, CBS_ASN1_SEQUENCE) &&
           CBB_add_bytes(&cert_id, sha1_algorithm, sizeof(sha1_algorithm)) &&
           add_octets(&cert_id, id->name, id->len) && add_octets(&cert_id, id->key, id->len) &&
           add_serial(&cert_id, leaf) && CBB_flush(out); // while the inner ones are there
}

bool ocsp_request_render(X509 *leaf, X509 *issuer, struct buf *out, struct err *err) {
    uint8_t bytes[REQUEST_MAX];
    size_t len = 0;
    struct ocsp_id id;
    CBB cbb;
    if (!ocsp_id_is_issuer(leaf, issuer)) {
        return ERR_SET(err, ERR_INPUT,
                       "the second certificate of the chain has not issued the first");
    }
    bool ok =
        ocsp_id_of(EVP_sha1(), leaf, issuer, &id) && CBB_init_fixed(&cbb, bytes, sizeof(bytes));
    if (ok) {
        ok = add_request(&cbb, leaf, &id) && CBB_finish(&cbb, NULL, &len);
        CBB_cleanup(&cbb);
    }
    ERR_clear_error();
    if (!ok) { // only a serial number of hundreds of bytes does not fit
        return ERR_SET(err, ERR_INPUT, "no OCSP request can be made for the certificate");
    }
    return buf_append(out, bytes, len) || ERR_NO_MEMORY(err, "making an OCSP request");
}

// --- the responder

static bool get_descriptions(const X509 *leaf, CBS *out) {
    int at = X509_get_ext_by_NID(leaf, NID_info_access, -1);
    const X509_EXTENSION *extension = at < 0 ? NULL : X509_get_ext(leaf, at);
    const ASN1_OCTET_STRING *value = extension == NULL ? NULL : X509_EXTENSION_get_data(extension);
    CBS cbs;
    if (value == NULL) {
        return false;
    }
    CBS_init(&cbs, ASN1_STRING_get0_data(value), (size_t)ASN1_STRING_length(value));
    return CBS_get_asn1(&cbs, out, CBS_ASN1_SEQUENCE) && CBS_len(&cbs) == 0;
}

static bool is_http(const CBS *url) {
    static const char lead[] = "http://";
    return CBS_len(url) >= sizeof(lead) - 1 && memcmp(CBS_data(url), lead, sizeof(lead) - 1) == 0 &&
           !CBS_contains_zero_byte(url);
}

char *ocsp_request_responder(const X509 *leaf) {
    CBS descriptions;
    if (!get_descriptions(leaf, &descriptions)) {
        return NULL;
    }
    for (size_t i = 0; i < DESCRIPTIONS_MAX && CBS_len(&descriptions) > 0; i++) {
        CBS description, method, location;
        CBS_ASN1_TAG tag = 0;
        if (!CBS_get_asn1(&descriptions, &description, CBS_ASN1_SEQUENCE) ||
            !CBS_get_asn1(&description, &method, CBS_ASN1_OBJECT) ||
            !CBS_get_any_asn1(&description, &location, &tag)) {
            return NULL;
        }
        if (tag == URI && CBS_mem_equal(&method, ocsp_oid, sizeof(ocsp_oid)) &&
            is_http(&location)) {
            return strndup((const char *)CBS_data(&location), CBS_len(&location));
        }
    }
    return NULL;
}
