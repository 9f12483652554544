#include "agent/tls/traffic_secrets.h"

#include <string.h>

#include <openssl/ssl.h>

static bool copy(bssl::Span<const uint8_t> secret, uint64_t sequence, struct traffic_secret *out) {
    if (secret.empty() || secret.size() > sizeof(out->bytes)) {
        return false;
    }
    memcpy(out->bytes, secret.data(), secret.size());
    out->len = secret.size();
    out->sequence = sequence;
    return true;
}

bool traffic_secrets_get(const SSL *ssl, struct traffic_secrets *out) {
    bssl::Span<const uint8_t> read;
    bssl::Span<const uint8_t> write;
    return SSL_version(ssl) >= TLS1_3_VERSION && !SSL_in_init(ssl) &&
           bssl::SSL_get_traffic_secrets(ssl, &read, &write) &&
           copy(read, SSL_get_read_sequence(ssl), &out->read) &&
           copy(write, SSL_get_write_sequence(ssl), &out->write);
}
