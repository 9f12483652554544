#include "agent/tls/client_hello.h"

#include <openssl/bytestring.h>
#include <openssl/ssl.h>

#define NAME_TYPE_HOST 0

struct found {
    CBS name, algorithms, versions;
    bool has_name, has_algorithms, has_versions;
};

static bool note(struct found *found, uint16_t type, CBS body) {
    CBS *into = type == TLSEXT_TYPE_server_name            ? &found->name
                : type == TLSEXT_TYPE_signature_algorithms ? &found->algorithms
                : type == TLSEXT_TYPE_supported_versions   ? &found->versions
                                                           : NULL;
    bool *has = into == &found->name         ? &found->has_name
                : into == &found->algorithms ? &found->has_algorithms
                                             : &found->has_versions;
    if (into == NULL) {
        return true;
    }
    bool first = !*has;
    *into = body;
    *has = true;
    return first;
}

static bool find(struct span extensions, struct found *found) {
    CBS rest;
    CBS_init(&rest, extensions.ptr, extensions.len);
    while (CBS_len(&rest) > 0) {
        uint16_t type = 0;
        CBS body;
        if (!CBS_get_u16(&rest, &type) || !CBS_get_u16_length_prefixed(&rest, &body) ||
            !note(found, type, body)) {
            return false;
        }
    }
    return true;
}

static bool is_name_char(uint8_t c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
           c == '.' || c == '_';
}

static bool copy_name(CBS name, char out[SERVER_NAME_MAX + 1]) {
    size_t len = CBS_len(&name);
    const uint8_t *at = CBS_data(&name);
    if (len > 0 && at[len - 1] == '.') {
        len--;
    }
    if (len == 0 || len > SERVER_NAME_MAX) {
        return false;
    }
    for (size_t i = 0; i < len; i++) {
        if (!is_name_char(at[i])) {
            return false;
        }
        out[i] = (char)(at[i] >= 'A' && at[i] <= 'Z' ? at[i] - 'A' + 'a' : at[i]);
    }
    out[len] = '\0';
    return true;
}

// Exactly one name, of type host_name: nobody sends another, and two would be a choice.
static bool parse_name(CBS body, char out[SERVER_NAME_MAX + 1]) {
    CBS list;
    CBS name;
    uint8_t type = 0;
    return CBS_get_u16_length_prefixed(&body, &list) && CBS_len(&body) == 0 &&
           CBS_get_u8(&list, &type) && type == NAME_TYPE_HOST &&
           CBS_get_u16_length_prefixed(&list, &name) && CBS_len(&list) == 0 && copy_name(name, out);
}

static bool parse_algorithms(CBS body, struct client_hello *out) {
    CBS list;
    if (!CBS_get_u16_length_prefixed(&body, &list) || CBS_len(&body) != 0) {
        return false;
    }
    uint16_t one = 0;
    while (CBS_get_u16(&list, &one)) {
        out->takes_ecdsa_256 |= one == SSL_SIGN_ECDSA_SECP256R1_SHA256;
        out->takes_ecdsa_384 |= one == SSL_SIGN_ECDSA_SECP384R1_SHA384;
        out->takes_rsa |= one == SSL_SIGN_RSA_PSS_RSAE_SHA256 || one == SSL_SIGN_RSA_PKCS1_SHA256 ||
                          one == SSL_SIGN_RSA_PSS_RSAE_SHA384 || one == SSL_SIGN_RSA_PKCS1_SHA384 ||
                          one == SSL_SIGN_RSA_PSS_RSAE_SHA512 || one == SSL_SIGN_RSA_PKCS1_SHA512;
    }
    return CBS_len(&list) == 0;
}

static bool offers_13(CBS body) {
    CBS list;
    uint16_t one = 0;
    bool found = false;
    if (CBS_get_u8_length_prefixed(&body, &list)) {
        while (CBS_get_u16(&list, &one)) {
            found |= one == TLS1_3_VERSION;
        }
    }
    return found;
}

// Before TLS 1.3 the cipher suite says which kind of key signs.
static void narrow_by_ciphers(struct span suites, struct client_hello *out) {
    bool ecdsa = false;
    bool rsa = false;
    for (size_t i = 0; i + 1 < suites.len; i += 2) {
        uint16_t value = (uint16_t)(suites.ptr[i] << 8 | suites.ptr[i + 1]);
        const SSL_CIPHER *cipher = SSL_get_cipher_by_value(value);
        int auth = cipher == NULL ? NID_undef : SSL_CIPHER_get_auth_nid(cipher);
        ecdsa |= auth == NID_auth_ecdsa;
        rsa |= auth == NID_auth_rsa;
    }
    out->takes_ecdsa_256 &= ecdsa;
    out->takes_ecdsa_384 &= ecdsa;
    out->takes_rsa &= rsa;
}

bool client_hello_parse(const struct client_hello_parts *parts, struct client_hello *out) {
    struct found found = {0};
    *out = (struct client_hello){0};
    if (!find(parts->extensions, &found) ||
        (found.has_name && !parse_name(found.name, out->server_name))) {
        return false;
    }
    if (!found.has_algorithms) {
        out->takes_rsa = true; // RFC 5246 7.4.1.4.1: SHA-1 is meant; the handshake will say no
    } else if (!parse_algorithms(found.algorithms, out)) {
        return false;
    }
    bool is_13 =
        parts->max_version >= TLS1_3_VERSION && found.has_versions && offers_13(found.versions);
    if (!is_13) {
        narrow_by_ciphers(parts->cipher_suites, out);
    }
    return true;
}
