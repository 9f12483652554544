// BoringSSL's accessor of the TLS 1.3 traffic secrets is C++: this is the one shim. Plain C types.
#ifndef AGENT_TLS_TRAFFIC_SECRETS_H
#define AGENT_TLS_TRAFFIC_SECRETS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <openssl/base.h>

#define TRAFFIC_SECRET_MAX 48 // SHA-384

#ifdef __cplusplus
extern "C" {
#endif

struct traffic_secret {
    uint64_t sequence; // of the next record
    size_t len;
    uint8_t bytes[TRAFFIC_SECRET_MAX];
};

struct traffic_secrets {
    struct traffic_secret read;
    struct traffic_secret write;
};

// The secrets that `ssl` uses now, after its handshake. The caller wipes them. False: it is not
// TLS 1.3.
bool traffic_secrets_get(const SSL *ssl, struct traffic_secrets *out);

#ifdef __cplusplus
}
#endif

#endif
