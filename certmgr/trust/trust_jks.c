#include "certmgr/trust/trust_jks.h"

#include <string.h>

#include <openssl/sha.h>

#include "base/utf16.h"

#define MAGIC 0xfeedfeed
#define VERSION 2
#define TAG_TRUSTED 2
#define CERTIFICATE_TYPE "X.509"
#define SALT "Mighty Aphrodite"

static bool put_number(struct buf *out, uint64_t value, size_t len) {
    uint8_t bytes[8];
    for (size_t i = 0; i < len; i++) {
        bytes[i] = (uint8_t)(value >> (8 * (len - 1 - i)));
    }
    return buf_append(out, bytes, len);
}

static bool put_text(struct buf *out, const void *text, size_t len) {
    return put_number(out, len, 2) && buf_append(out, text, len);
}

// One unit of UTF-16 in Java's modified UTF-8, ASCII in lower case: aliases are looked up so.
static bool put_unit(struct buf *out, uint32_t unit) {
    if (unit < 0x80) {
        uint8_t byte = (uint8_t)(unit >= 'A' && unit <= 'Z' ? unit - 'A' + 'a' : unit);
        return buf_append(out, &byte, 1);
    }
    if (unit < 0x800) {
        const uint8_t two[] = {(uint8_t)(0xc0 | (unit >> 6)), (uint8_t)(0x80 | (unit & 0x3f))};
        return buf_append(out, two, sizeof(two));
    }
    const uint8_t three[] = {(uint8_t)(0xe0 | (unit >> 12)), (uint8_t)(0x80 | ((unit >> 6) & 0x3f)),
                             (uint8_t)(0x80 | (unit & 0x3f))};
    return buf_append(out, three, sizeof(three));
}

static bool put_alias(struct buf *out, const char *alias) {
    struct buf text = {0};
    bool ok = true;
    while (ok && *alias != '\0') {
        uint16_t units[2];
        size_t num = utf16_next(&alias, units);
        for (size_t i = 0; ok && i < num; i++) {
            ok = put_unit(&text, units[i]);
        }
    }
    ok = ok && put_text(out, buf_span(&text).ptr, text.len);
    buf_fini(&text);
    return ok;
}

static bool put_entry(struct buf *out, const struct trust_entry *entry) {
    const struct trust_cert *cert = entry->cert;
    uint64_t since_ms = cert->not_before > 0 ? (uint64_t)cert->not_before * 1000 : 0;
    return put_number(out, TAG_TRUSTED, 4) && put_alias(out, entry->alias) &&
           put_number(out, since_ms, 8) &&
           put_text(out, CERTIFICATE_TYPE, strlen(CERTIFICATE_TYPE)) &&
           put_number(out, cert->der_len, 4) && buf_append(out, cert->der, cert->der_len);
}

static bool put_seal(struct buf *out, const char *password) {
    uint8_t digest[SHA_DIGEST_LENGTH];
    SHA_CTX sha;
    SHA1_Init(&sha);
    for (const char *c = password; *c != '\0'; c++) {
        const uint8_t unit[] = {0, (uint8_t)*c};
        SHA1_Update(&sha, unit, sizeof(unit));
    }
    SHA1_Update(&sha, SALT, strlen(SALT));
    SHA1_Update(&sha, buf_span(out).ptr, out->len);
    SHA1_Final(digest, &sha);
    return buf_append(out, digest, sizeof(digest));
}

bool trust_jks_render(const struct trust_set *set, const char *password, struct buf *out) {
    struct buf file = {0};
    size_t num = 0;
    for (size_t i = 0; i < set->num_entries; i++) {
        num += trust_set_is_in_java(set->entries[i]);
    }
    bool ok =
        put_number(&file, MAGIC, 4) && put_number(&file, VERSION, 4) && put_number(&file, num, 4);
    for (size_t i = 0; ok && i < set->num_entries; i++) {
        const struct trust_entry *entry = set->entries[i];
        ok = !trust_set_is_in_java(entry) || put_entry(&file, entry);
    }
    ok = ok && put_seal(&file, password) && buf_append(out, buf_span(&file).ptr, file.len);
    buf_fini(&file);
    return ok;
}
