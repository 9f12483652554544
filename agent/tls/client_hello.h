// What a server wants to know of a ClientHello before it answers: parsed from the bytes of a
// stranger, without allocation. BoringSSL assembles the message, in whatever pieces it comes.
#ifndef AGENT_TLS_CLIENT_HELLO_H
#define AGENT_TLS_CLIENT_HELLO_H

#include <stdbool.h>
#include <stdint.h>

#include "base/own.h"
#include "base/span.h"

#define SERVER_NAME_MAX 255

struct client_hello {
    char server_name[SERVER_NAME_MAX + 1]; // lower case, no final dot; "" when none was sent
    bool takes_ecdsa_256, takes_ecdsa_384; // for certificates of these curves
    bool takes_rsa;
};

// The parts as they stand in the message; an extension that is absent has a NULL pointer.
struct client_hello_parts {
    struct span cipher_suites; // without their length
    struct span extensions;    // the whole block, without its length
    uint16_t max_version;      // the newest that this side would speak
};

// False: malformed, or a server name that is none (RFC 6066 section 3): an alert, not a guess.
bool client_hello_parse(const struct client_hello_parts *parts, struct client_hello *out) MUST_USE;

#endif
