// Bytes between two pumps, back to back: none is lost or changed whatever the pieces, what was sent
// before an end arrives, and memory stays bounded when nobody reads.
#include "certmgr/tls_pump.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>
#include <openssl/ssl.h>

#include "base/span.h"
#include "tests/base/prng.h"
#include "tests/testing/pki.h"

#define TOTAL (3u << 20) // bytes in each direction

struct pair {
    struct tls_pump *client;
    struct tls_pump *server;
    int client_fd; // where gRPC would be
    int server_fd;
};

static int choose(SSL *ssl, const uint8_t **out, uint8_t *out_len, const uint8_t *in,
                  unsigned in_len, void *arg) {
    (void)ssl;
    (void)arg;
    *out = in + 1;
    *out_len = in[0];
    return in_len > in[0] ? SSL_TLSEXT_ERR_OK : SSL_TLSEXT_ERR_NOACK;
}

static SSL *make_ssl(const struct pki_cert *cert, const char *protocol) {
    SSL_CTX *ctx = SSL_CTX_new(TLS_method());
    assert_non_null(ctx);
    if (cert != NULL) {
        assert_true(SSL_CTX_use_certificate(ctx, pki_x509(cert)));
        assert_true(SSL_CTX_use_PrivateKey(ctx, pki_key(cert)));
        SSL_CTX_set_alpn_select_cb(ctx, choose, NULL);
    } else {
        assert_int_equal(SSL_CTX_set_alpn_protos(ctx, (const uint8_t *)protocol, strlen(protocol)),
                         0);
    }
    SSL *ssl = SSL_new(ctx);
    SSL_CTX_free(ctx);
    if (cert != NULL) {
        SSL_set_accept_state(ssl);
    } else {
        SSL_set_connect_state(ssl);
    }
    return ssl;
}

static enum tls_pump_state shake_hands(struct pair *pair, const char *protocol) {
    struct pki_cert *root OWNED(pki_free) = pki_ca();
    struct pki_cert *cert OWNED(pki_free) = pki_leaf(root, "spiffe://td/a");
    int fds[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds), 0);
    pair->client = tls_pump_new(make_ssl(NULL, protocol), fds[0]);
    pair->server = tls_pump_new(make_ssl(cert, NULL), fds[1]);
    enum tls_pump_state client = TLS_PUMP_HANDSHAKE;
    enum tls_pump_state server = TLS_PUMP_HANDSHAKE;
    for (int i = 0; i < 100 && (client == TLS_PUMP_HANDSHAKE || server == TLS_PUMP_HANDSHAKE);
         i++) {
        client = tls_pump_step(pair->client);
        server = tls_pump_step(pair->server);
    }
    return client;
}

static void attach(struct pair *pair) {
    struct err err;
    assert_int_equal(shake_hands(pair, "\x02h2"), TLS_PUMP_OPEN);
    pair->client_fd = tls_pump_attach(pair->client, &err);
    pair->server_fd = tls_pump_attach(pair->server, &err);
    assert_true(pair->client_fd >= 0 && pair->server_fd >= 0);
}

static void detach(struct pair *pair) {
    tls_pump_free(pair->client);
    tls_pump_free(pair->server);
    close(pair->client_fd);
    close(pair->server_fd);
}

static uint8_t byte_at(uint64_t offset, uint8_t salt) {
    return (uint8_t)(offset * 31 + (offset >> 8) + salt);
}

struct flow {
    int from;
    int to;
    uint64_t sent;
    uint64_t received;
    uint8_t salt;
};

static void flow_send(struct flow *flow, size_t len) {
    uint8_t bytes[40000];
    len = len < TOTAL - flow->sent ? len : TOTAL - flow->sent;
    for (size_t i = 0; i < len; i++) {
        bytes[i] = byte_at(flow->sent + i, flow->salt);
    }
    ssize_t put = len > 0 ? send(flow->from, bytes, len, MSG_NOSIGNAL) : 0;
    flow->sent += put > 0 ? (uint64_t)put : 0;
}

static void flow_receive(struct flow *flow, size_t len) {
    uint8_t bytes[40000];
    ssize_t got = recv(flow->to, bytes, len, 0);
    for (ssize_t i = 0; i < got; i++) {
        assert_int_equal(bytes[i], byte_at(flow->received + (uint64_t)i, flow->salt));
    }
    flow->received += got > 0 ? (uint64_t)got : 0;
}

static void nothing_is_lost(void **state) {
    (void)state;
    struct prng prng = prng_new();
    struct pair pair;
    attach(&pair);
    struct flow flows[] = {{.from = pair.client_fd, .to = pair.server_fd, .salt = 3},
                           {.from = pair.server_fd, .to = pair.client_fd, .salt = 7}};
    while (flows[0].received < TOTAL || flows[1].received < TOTAL) {
        struct flow *flow = &flows[prng_below(&prng, 2)];
        size_t len = (size_t)prng_below(&prng, prng_below(&prng, 4) == 0 ? 40000 : 500) + 1;
        switch (prng_below(&prng, 4)) {
        case 0:
            flow_send(flow, len);
            break;
        case 1:
            flow_receive(flow, len);
            break;
        case 2:
            assert_int_equal(tls_pump_step(pair.client), TLS_PUMP_OPEN);
            break;
        default:
            assert_int_equal(tls_pump_step(pair.server), TLS_PUMP_OPEN);
            break;
        }
    }
    detach(&pair);
}

static void what_was_sent_before_the_end_arrives(void **state) {
    (void)state;
    struct pair pair;
    char got[16] = "";
    attach(&pair);
    assert_int_equal(send(pair.server_fd, "farewell", 8, 0), 8);
    shutdown(pair.server_fd, SHUT_WR);
    close(pair.server_fd);
    for (int i = 0; i < 100; i++) {
        (void)tls_pump_step(pair.server);
        (void)tls_pump_step(pair.client);
    }
    assert_int_equal(tls_pump_step(pair.server), TLS_PUMP_ENDED);
    assert_int_equal(tls_pump_step(pair.client), TLS_PUMP_ENDED);
    assert_int_equal(recv(pair.client_fd, got, sizeof(got), 0), 8);
    assert_string_equal(got, "farewell");
    assert_string_equal(tls_pump_error(pair.client), "");
    pair.server_fd = -1;
    detach(&pair);
}

static void connection_that_is_cut_is_an_error(void **state) {
    (void)state;
    struct pair pair;
    attach(&pair);
    tls_pump_free(pair.server); // no close_notify
    pair.server = NULL;
    while (tls_pump_step(pair.client) != TLS_PUMP_ENDED) {
    }
    assert_string_equal(tls_pump_error(pair.client), "the other side closed the connection");
    detach(&pair);
}

// A reader that stops: the pumps stop taking, and ask for nothing that would wake them at once.
static void nobody_reads(void **state) {
    (void)state;
    struct pair pair;
    attach(&pair);
    struct flow flow = {.from = pair.client_fd, .to = pair.server_fd};
    uint64_t last = UINT64_MAX;
    while (last != flow.sent) {
        last = flow.sent;
        for (int i = 0; i < 50; i++) {
            flow_send(&flow, 40000);
            (void)tls_pump_step(pair.client);
            (void)tls_pump_step(pair.server);
        }
    }
    assert_true(flow.sent < TOTAL);
    struct pollfd fds[2 * TLS_PUMP_FDS];
    tls_pump_arm(pair.client, fds);
    tls_pump_arm(pair.server, fds + TLS_PUMP_FDS);
    assert_int_equal(poll(fds, 2 * TLS_PUMP_FDS, 0), 0);
    // Nor does it when the other side hangs up, which poll tells of unasked.
    tls_pump_free(pair.client);
    pair.client = NULL;
    assert_int_equal(tls_pump_step(pair.server), TLS_PUMP_OPEN);
    tls_pump_arm(pair.server, fds);
    assert_int_equal(poll(fds, TLS_PUMP_FDS, 0), 0);
    detach(&pair);
}

static void other_protocols_are_refused(void **state) {
    (void)state;
    struct pair pair = {.client_fd = -1, .server_fd = -1};
    assert_int_equal(shake_hands(&pair, "\x08http/1.1"), TLS_PUMP_ENDED);
    assert_non_null(strstr(tls_pump_error(pair.client), "HTTP/2"));
    detach(&pair);
}

int main(void) {
    signal(SIGPIPE, SIG_IGN);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_is_lost),
        cmocka_unit_test(what_was_sent_before_the_end_arrives),
        cmocka_unit_test(connection_that_is_cut_is_an_error),
        cmocka_unit_test(nobody_reads),
        cmocka_unit_test(other_protocols_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
