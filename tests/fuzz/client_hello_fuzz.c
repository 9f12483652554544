// The first bytes of a stranger on a port where TLS ends: what is taken from a ClientHello, and the
// whole handshake that it may start, fed in pieces.
#include <string.h>

#include <openssl/ssl.h>

#include "agent/tls/client_hello.h"
#include "agent/tls/edge_session.h"
#include "base/check.h"
#include "tests/fuzz/fuzz_target.h"

static void parse(const uint8_t *data, size_t size) {
    struct client_hello hello;
    size_t cut = size == 0 ? 0 : data[0] % size;
    struct client_hello_parts parts = {.cipher_suites = span_of(data, cut),
                                       .extensions = span_of(data + cut, size - cut),
                                       .max_version = TLS1_3_VERSION};
    if (client_hello_parse(&parts, &hello)) {
        size_t len = strlen(hello.server_name);
        CHECK(len <= SERVER_NAME_MAX && strpbrk(hello.server_name, "\r\n \"\\") == NULL);
    }
}

// There is no certificate behind it, so no handshake may succeed.
static void handshake(const uint8_t *data, size_t size) {
    struct edge_server server = {.rules = {.auth = EDGE_AUTH_REQUIRED,
                                           .min_version = EDGE_TLS_1_2,
                                           .max_version = EDGE_TLS_1_3}};
    struct edge_session *session = NULL;
    CHECK(edge_server_finish(&server, NULL, NULL));
    OWNED(tls_stream_free)
    struct tls_stream *stream = edge_session_accept(&server, NULL, NULL, &session);
    CHECK(stream != NULL);
    size_t first = size == 0 ? 0 : data[size - 1] % size;
    tls_stream_feed(stream, span_of(data, first));
    enum tls_status status = tls_stream_handshake(stream);
    if (status == TLS_AGAIN) {
        size_t unread = tls_stream_unread(stream).len;
        tls_stream_feed(stream, span_of(data + first - unread, size - first + unread));
        status = tls_stream_handshake(stream);
    }
    CHECK(status != TLS_OK);
    tls_stream_free(take(&stream));
    edge_server_fini(&server);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    parse(data, size);
    handshake(data, size);
    return 0;
}
