#include "agent/tls/tls_error.h"

#include <ctype.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <openssl/err.h>
#include <openssl/ssl.h>

struct phrase {
    int code;
    const char *text;
};

struct alert {
    int code;
    const char *name;
    const char *meaning; // for the person who runs this side
};

static const struct alert alerts[] = {
    {SSL_AD_BAD_CERTIFICATE, "bad certificate", "it refuses our certificate as malformed or unfit"},
    {SSL_AD_UNSUPPORTED_CERTIFICATE, "unsupported certificate",
     "it refuses our certificate as unfit for this use"},
    {SSL_AD_CERTIFICATE_REVOKED, "certificate revoked", "it holds our certificate to be revoked"},
    {SSL_AD_CERTIFICATE_EXPIRED, "certificate expired",
     "it holds our certificate to be expired; compare the clocks"},
    {SSL_AD_CERTIFICATE_UNKNOWN, "certificate unknown", "it does not accept our certificate"},
    {SSL_AD_UNKNOWN_CA, "unknown CA", "it does not trust our certificate"},
    {SSL_AD_ACCESS_DENIED, "access denied", "it does not allow our identity"},
    {SSL_AD_CERTIFICATE_REQUIRED, "certificate required", "it demands a client certificate"},
    {SSL_AD_NO_APPLICATION_PROTOCOL, "no application protocol",
     "it does not speak our protocol, or we do not speak its (ALPN)"},
    {SSL_AD_PROTOCOL_VERSION, "protocol version", "it accepts no TLS version that we offered"},
    {SSL_AD_HANDSHAKE_FAILURE, "handshake failure", "there is nothing that both sides accept"},
    {SSL_AD_UNRECOGNIZED_NAME, "unrecognized name", "it does not serve this server name"},
    {SSL_AD_DECRYPT_ERROR, "decrypt error", "it cannot verify our part of the handshake"},
    {SSL_AD_BAD_RECORD_MAC, "bad record mac", "the bytes were altered on the way"},
    {SSL_AD_INTERNAL_ERROR, "internal error", "it failed by itself"},
};

static const struct phrase handshake_reasons[] = {
    {SSL_R_WRONG_VERSION_NUMBER, "wrong version number: the peer does not speak TLS"},
    {SSL_R_HTTP_REQUEST, "http request: the peer speaks HTTP, not TLS"},
    {SSL_R_HTTPS_PROXY_REQUEST, "proxy request: the peer speaks HTTP, not TLS"},
    {SSL_R_UNSUPPORTED_PROTOCOL,
     "unsupported protocol: the peer offers no TLS version that is allowed here"},
    {SSL_R_PEER_DID_NOT_RETURN_A_CERTIFICATE, "the peer presented no certificate"},
    {SSL_R_NO_APPLICATION_PROTOCOL, "the peer offers ALPN, but not our protocol"},
    {SSL_R_NO_SHARED_CIPHER, "no shared cipher: the peer offers none that is allowed here"},
    {SSL_R_NO_SHARED_GROUP, "no shared group: the peer offers no key exchange of ours"},
    {SSL_R_BAD_SIGNATURE, "bad signature: the peer does not hold its certificate's key"},
};

static const struct phrase any_reasons[] = {
    {SSL_R_DECRYPTION_FAILED_OR_BAD_RECORD_MAC, "bad record: the received bytes were altered"},
    {SSL_R_TOO_MANY_KEY_UPDATES, "too many key updates in a row from the peer"},
    {SSL_R_TOO_MANY_EMPTY_FRAGMENTS, "too many empty records in a row from the peer"},
    {SSL_R_TOO_MANY_WARNING_ALERTS, "too many warning alerts in a row from the peer"},
    {SSL_R_EXCESSIVE_MESSAGE_SIZE, "the peer sent a message that is too large"},
};

static const char *phrase_find(const struct phrase *phrases, size_t num, int code) {
    for (size_t i = 0; i < num; i++) {
        if (phrases[i].code == code) {
            return phrases[i].text;
        }
    }
    return NULL;
}

#define PHRASE_FIND(phrases, code)                                                                 \
    phrase_find((phrases), sizeof(phrases) / sizeof((phrases)[0]), (code))

static void describe_alert(struct tls_error *out, int code) {
    out->is_alert = true;
    for (size_t i = 0; i < sizeof(alerts) / sizeof(alerts[0]); i++) {
        if (alerts[i].code == code) {
            snprintf(out->text, sizeof(out->text), "the peer sent alert \"%s\": %s", alerts[i].name,
                     alerts[i].meaning);
            return;
        }
    }
    snprintf(out->text, sizeof(out->text), "the peer sent alert \"%s\" (%d)",
             SSL_alert_desc_string_long(code), code);
}

// The library's reasons are names of constants: NO_SHARED_CIPHER becomes "no shared cipher".
static void describe_reason(struct tls_error *out, uint32_t code) {
    const char *reason = ERR_reason_error_string(code);
    if (reason == NULL) {
        reason = "unknown error";
    }
    size_t len = 0;
    for (; reason[len] != '\0' && len < sizeof(out->text) - 1; len++) {
        out->text[len] = reason[len] == '_' ? ' ' : (char)tolower((unsigned char)reason[len]);
    }
    out->text[len] = '\0';
}

static void describe(struct tls_error *out, uint32_t code, bool in_handshake) {
    int reason = ERR_GET_REASON(code);
    if (code == 0) {
        snprintf(out->text, sizeof(out->text), "the TLS library failed without saying why");
        return;
    }
    if (reason == ERR_R_MALLOC_FAILURE) {
        snprintf(out->text, sizeof(out->text), "cannot allocate memory for TLS");
        return;
    }
    if (ERR_GET_LIB(code) != ERR_LIB_SSL) {
        describe_reason(out, code);
        return;
    }
    if (reason > SSL_AD_REASON_OFFSET) {
        describe_alert(out, reason - SSL_AD_REASON_OFFSET);
        return;
    }
    out->is_no_certificate = reason == SSL_R_PEER_DID_NOT_RETURN_A_CERTIFICATE;
    const char *text = in_handshake ? PHRASE_FIND(handshake_reasons, reason) : NULL;
    if (text == NULL) {
        text = PHRASE_FIND(any_reasons, reason);
    }
    if (text != NULL) {
        snprintf(out->text, sizeof(out->text), "%s", text);
    } else {
        describe_reason(out, code);
    }
}

// The libraries below put their reasons in front of the TLS one, which is the one for people.
static uint32_t pick_code(void) {
    uint32_t first = ERR_peek_error();
    for (uint32_t code = ERR_get_error(); code != 0; code = ERR_get_error()) {
        if (ERR_GET_LIB(code) == ERR_LIB_SSL || ERR_GET_REASON(code) == ERR_R_MALLOC_FAILURE) {
            return code;
        }
    }
    return first;
}

void tls_error_take(struct tls_error *out, bool in_handshake) {
    *out = (struct tls_error){0};
    describe(out, pick_code(), in_handshake);
    ERR_clear_error();
}

void tls_error_of_alert(struct tls_error *out, int code) {
    *out = (struct tls_error){0};
    describe_alert(out, code);
}
