// A TLS connection to a server with an ordinary server certificate (a CA's): resolved, connected,
// shaken hands and verified by the given roots and the server's name. Blocking, within the caller's
// patience. TLS 1.2 or newer, no client certificate; ALPN "h2", or HTTP/1.1 for plain downloads.
#ifndef CERTMGR_TLS_CLIENT_H
#define CERTMGR_TLS_CLIENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/own.h"
#include "base/span.h"
#include "certmgr/patience.h"
#include "certmgr/tls_pump.h"

#define TLS_CLIENT_HOST_MAX 256
#define TLS_CLIENT_CHAIN_MAX ((size_t)64 * 1024) // bytes of the certificates a server may send

struct tls_client_options {
    const char *address;     // "host:port", "[::1]:15012"
    const char *server_name; // a DNS name or an IP address; NULL: the host of `address`
    const char *roots_file;  // PEM or DER; read at each call; with `roots`, for messages only
    struct span roots;       // DER, one after the other, instead of the file
    bool http1;              // offer "http/1.1" and take a server that knows no ALPN
};

// "host:port" taken apart; the host without brackets.
bool tls_client_parse_address(const char *address, char host[TLS_CLIENT_HOST_MAX], uint16_t *port,
                              struct err *err) MUST_USE;

// The pump is TLS_PUMP_OPEN. NULL with the sentence on error.
struct tls_pump *tls_client_connect(const struct tls_client_options *options,
                                    const struct patience *patience, struct err *err) MUST_USE;

#endif
