#include "certmgr/trust/trust_pkcs12.h"

#include <openssl/bytestring.h>
#include <openssl/mem.h>

#include "base/utf16.h"

#define CONTEXT_0 (CBS_ASN1_CONTEXT_SPECIFIC | CBS_ASN1_CONSTRUCTED | 0)
#define BMP_STRING 0x1e
#define PFX_VERSION 3

// Object identifiers, without tag and length.
static const uint8_t oid_data[] = {0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x07, 0x01};
static const uint8_t oid_cert_bag[] = {0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d,
                                       0x01, 0x0c, 0x0a, 0x01, 0x03};
static const uint8_t oid_x509_certificate[] = {0x2a, 0x86, 0x48, 0x86, 0xf7,
                                               0x0d, 0x01, 0x09, 0x16, 0x01};
static const uint8_t oid_friendly_name[] = {0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x09, 0x14};
static const uint8_t oid_trusted_key_usage[] = {0x60, 0x86, 0x48, 0x01, 0x86, 0xf9,
                                                0x66, 0xad, 0xca, 0x7b, 0x01, 0x01};
static const uint8_t oid_any_extended_key_usage[] = {0x55, 0x1d, 0x25, 0x00};

#define ADD_OID(cbb, oid) add_element((cbb), CBS_ASN1_OBJECT, (oid), sizeof(oid))

static bool add_element(CBB *cbb, CBS_ASN1_TAG tag, const uint8_t *bytes, size_t len) {
    CBB child;
    return CBB_add_asn1(cbb, &child, tag) && CBB_add_bytes(&child, bytes, len) && CBB_flush(cbb);
}

// As UTF-16, which is what readers take a BMPString for.
static bool add_name(CBB *cbb, const char *text) {
    CBB name;
    bool ok = CBB_add_asn1(cbb, &name, BMP_STRING) == 1;
    while (ok && *text != '\0') {
        uint16_t units[2];
        size_t num = utf16_next(&text, units);
        for (size_t i = 0; ok && i < num; i++) {
            ok = CBB_add_u16(&name, units[i]);
        }
    }
    return ok && CBB_flush(cbb);
}

static bool add_attributes(CBB *bag, const char *alias) {
    CBB set, attribute, values;
    return CBB_add_asn1(bag, &set, CBS_ASN1_SET) &&
           CBB_add_asn1(&set, &attribute, CBS_ASN1_SEQUENCE) &&
           ADD_OID(&attribute, oid_trusted_key_usage) &&
           CBB_add_asn1(&attribute, &values, CBS_ASN1_SET) &&
           ADD_OID(&values, oid_any_extended_key_usage) && CBB_flush(&set) &&
           CBB_add_asn1(&set, &attribute, CBS_ASN1_SEQUENCE) &&
           ADD_OID(&attribute, oid_friendly_name) &&
           CBB_add_asn1(&attribute, &values, CBS_ASN1_SET) && add_name(&values, alias) &&
           CBB_flush_asn1_set_of(&set) && CBB_flush(bag);
}

static bool add_bag(CBB *contents, const struct trust_entry *entry) {
    CBB bag, explicit_bag, cert_bag, explicit_cert;
    return CBB_add_asn1(contents, &bag, CBS_ASN1_SEQUENCE) && ADD_OID(&bag, oid_cert_bag) &&
           CBB_add_asn1(&bag, &explicit_bag, CONTEXT_0) &&
           CBB_add_asn1(&explicit_bag, &cert_bag, CBS_ASN1_SEQUENCE) &&
           ADD_OID(&cert_bag, oid_x509_certificate) &&
           CBB_add_asn1(&cert_bag, &explicit_cert, CONTEXT_0) &&
           add_element(&explicit_cert, CBS_ASN1_OCTETSTRING, entry->cert->der,
                       entry->cert->der_len) &&
           CBB_flush(&bag) && add_attributes(&bag, entry->alias) && CBB_flush(contents);
}

// Opens a ContentInfo of type data; what goes into it is added to `content`.
static bool open_content_info(CBB *parent, CBB *info, CBB *content, CBB *inner) {
    return CBB_add_asn1(parent, info, CBS_ASN1_SEQUENCE) && ADD_OID(info, oid_data) &&
           CBB_add_asn1(info, content, CONTEXT_0) &&
           CBB_add_asn1(content, inner, CBS_ASN1_OCTETSTRING);
}

static bool add_pfx(CBB *out, const struct trust_set *set) {
    CBB pfx, outer, outer_content, outer_octets, safe, inner, inner_content, inner_octets, contents;
    bool ok = CBB_add_asn1(out, &pfx, CBS_ASN1_SEQUENCE) &&
              CBB_add_asn1_uint64(&pfx, PFX_VERSION) &&
              open_content_info(&pfx, &outer, &outer_content, &outer_octets) &&
              CBB_add_asn1(&outer_octets, &safe, CBS_ASN1_SEQUENCE) &&
              open_content_info(&safe, &inner, &inner_content, &inner_octets) &&
              CBB_add_asn1(&inner_octets, &contents, CBS_ASN1_SEQUENCE);
    for (size_t i = 0; ok && i < set->num_entries; i++) {
        const struct trust_entry *entry = set->entries[i];
        ok = !trust_set_is_in_java(entry) || add_bag(&contents, entry);
    }
    return ok && CBB_flush(out);
}

bool trust_pkcs12_render(const struct trust_set *set, struct buf *out) {
    CBB cbb;
    uint8_t *der = NULL;
    size_t len = 0;
    if (!CBB_init(&cbb, 4096) || !add_pfx(&cbb, set) || !CBB_finish(&cbb, &der, &len)) {
        CBB_cleanup(&cbb);
        return false;
    }
    bool ok = buf_append(out, der, len);
    OPENSSL_free(der);
    return ok;
}
