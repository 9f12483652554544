// What the outside of a proxy calls when its own handshakes are measured: a TLS 1.3 server that
// wants a client certificate (not of "simple" ones), sends back what it gets, one connection after
// the other, and says at the end how many handshakes there were. It believes any certificate: it is
// not the measured.
#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <openssl/ssl.h>

#include "base/err.h"
#include "base/netaddr.h"
#include "base/span.h"
#include "bench/load/loop.h"

#define BACKLOG 4096
#define PATIENCE_S 5

static volatile sig_atomic_t is_over;

static void on_term(int number) {
    (void)number;
    is_over = 1;
}

static enum ssl_verify_result_t believe(SSL *ssl, uint8_t *alert) {
    (void)ssl;
    (void)alert;
    return ssl_verify_ok;
}

static SSL_CTX *new_context(const char *kind, const char *chain, const char *key) {
    SSL_CTX *ctx = SSL_CTX_new(TLS_method());
    if (ctx == NULL || !SSL_CTX_set_min_proto_version(ctx, TLS1_3_VERSION) ||
        !SSL_CTX_set1_curves_list(ctx, "X25519") ||
        !SSL_CTX_use_certificate_chain_file(ctx, chain) ||
        !SSL_CTX_use_PrivateKey_file(ctx, key, SSL_FILETYPE_PEM) ||
        !SSL_CTX_set_session_id_context(ctx, (const uint8_t *)"bench", 5)) {
        loop_die("cannot use %s and %s", chain, key);
    }
    if (strcmp(kind, "simple") != 0) {
        SSL_CTX_set_custom_verify(ctx, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, believe);
    }
    if (strcmp(kind, "resumed") != 0) {
        SSL_CTX_set_options(ctx, SSL_OP_NO_TICKET);
    }
    return ctx;
}

static int listen_on(const char *text) {
    struct err err = {0};
    struct netaddr addr;
    if (!netaddr_parse(&addr, span_of_text(text), &err)) {
        loop_die("%s", err.msg);
    }
    struct sockaddr_storage sa;
    socklen_t sa_len = netaddr_to_sockaddr(&addr, &sa);
    int fd = socket(sa.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    int on = 1;
    if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) != 0 ||
        bind(fd, (struct sockaddr *)&sa, sa_len) != 0 || listen(fd, BACKLOG) != 0) {
        loop_die("cannot listen on %s: %s", text, strerror(errno));
    }
    return fd;
}

struct counts {
    uint64_t handshakes;
    uint64_t resumed;
};

static void echo_all(SSL *ssl) {
    uint8_t bytes[4096];
    int len;
    while ((len = SSL_read(ssl, bytes, sizeof(bytes))) > 0) {
        if (SSL_write(ssl, bytes, len) != len) {
            return;
        }
    }
}

static void serve(SSL_CTX *ctx, int fd, struct counts *counts) {
    SSL *ssl = SSL_new(ctx);
    struct timeval patience = {.tv_sec = PATIENCE_S};
    if (ssl == NULL || !SSL_set_fd(ssl, fd) ||
        setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience)) != 0) {
        loop_die("no memory");
    }
    if (SSL_accept(ssl) == 1) {
        counts->handshakes++;
        counts->resumed += (uint64_t)SSL_session_reused(ssl);
        echo_all(ssl);
    }
    SSL_free(ssl);
    close(fd);
}

int main(int argc, char **argv) {
    if (argc != 5) {
        loop_die("usage: tls_server LISTEN full|resumed|simple CHAIN KEY");
    }
    struct sigaction action = {.sa_handler = on_term}; // no SA_RESTART: accept ends
    sigaction(SIGTERM, &action, NULL);
    signal(SIGPIPE, SIG_IGN);
    SSL_CTX *ctx = new_context(argv[2], argv[3], argv[4]);
    int listener = listen_on(argv[1]);
    struct counts counts = {0};
    while (!is_over) {
        int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
        if (fd >= 0) {
            serve(ctx, fd, &counts);
        } else if (errno != EINTR && errno != ECONNABORTED) {
            loop_die("cannot accept: %s", strerror(errno));
        }
    }
    printf("{\"handshakes\":%" PRIu64 ",\"resumed\":%" PRIu64 "}\n", counts.handshakes,
           counts.resumed);
    SSL_CTX_free(ctx);
    return 0;
}
