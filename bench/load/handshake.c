// A TLS client that does nothing but full, or resumed, handshakes with a client certificate, one
// after the other, and has each confirmed by an answer of the server. What a handshake costs the
// server is read from outside. The client verifies nothing: it is the load, not the measured.
#include <arpa/inet.h>
#include <errno.h>
#include <inttypes.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <openssl/ssl.h>

#include "base/err.h"
#include "base/netaddr.h"
#include "base/span.h"
#include "bench/load/loop.h"

#define FRAME_HEADER 9
#define FRAME_SETTINGS 4
#define FLAG_ACK 1
#define MAX_FRAME 16384

static const char PREFACE[] = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0";

struct client {
    struct netaddr to;
    const char *alpn; // "h2", or "-" for a server that echoes
    bool resumes;
    SSL_CTX *ctx;
    SSL_SESSION *session; // the latest ticket
    uint64_t num_done;
    uint64_t num_resumed;
};

static int keep_session(SSL *ssl, SSL_SESSION *session) {
    struct client *client = SSL_CTX_get_app_data(SSL_get_SSL_CTX(ssl));
    SSL_SESSION_free(client->session);
    client->session = session;
    return 1; // it is ours now
}

static SSL_CTX *new_context(struct client *client, const char *chain, const char *key) {
    SSL_CTX *ctx = SSL_CTX_new(TLS_method());
    if (ctx == NULL || !SSL_CTX_set_min_proto_version(ctx, TLS1_3_VERSION) ||
        !SSL_CTX_set1_curves_list(ctx, "X25519") ||
        !SSL_CTX_use_certificate_chain_file(ctx, chain) ||
        !SSL_CTX_use_PrivateKey_file(ctx, key, SSL_FILETYPE_PEM)) {
        loop_die("cannot use %s and %s", chain, key);
    }
    SSL_CTX_set_app_data(ctx, client);
    SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
    SSL_CTX_sess_set_new_cb(ctx, keep_session);
    return ctx;
}

static int dial(const struct netaddr *to) {
    struct sockaddr_storage sa;
    socklen_t sa_len = netaddr_to_sockaddr(to, &sa);
    int fd = socket(sa.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    int on = 1;
    struct timeval patience = {.tv_sec = 5};
    if (fd < 0 || setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on)) != 0 ||
        setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience)) != 0 ||
        connect(fd, (struct sockaddr *)&sa, sa_len) != 0) {
        loop_die("cannot connect: %s", strerror(errno));
    }
    return fd;
}

static bool read_all(SSL *ssl, uint8_t *out, size_t len) {
    for (size_t got = 0; got < len;) {
        int more = SSL_read(ssl, out + got, (int)(len - got));
        if (more <= 0) {
            return false;
        }
        got += (size_t)more;
    }
    return true;
}

// Until the server has acknowledged our SETTINGS: then it has seen our Finished.
static bool await_settings_ack(SSL *ssl) {
    uint8_t frame[MAX_FRAME];
    if (SSL_write(ssl, PREFACE, sizeof(PREFACE)) != (int)sizeof(PREFACE)) {
        return false;
    }
    while (read_all(ssl, frame, FRAME_HEADER)) {
        bool is_ack = frame[3] == FRAME_SETTINGS && (frame[4] & FLAG_ACK) != 0;
        size_t len = (size_t)frame[0] << 16 | (size_t)frame[1] << 8 | frame[2];
        if (is_ack || len > sizeof(frame) || !read_all(ssl, frame, len)) {
            return is_ack;
        }
    }
    return false;
}

static bool await_echo(SSL *ssl) {
    uint8_t byte = '?';
    return SSL_write(ssl, &byte, 1) == 1 && read_all(ssl, &byte, 1);
}

static void shake_hands(struct client *client) {
    int fd = dial(&client->to);
    SSL *ssl = SSL_new(client->ctx);
    bool has_h2 = strcmp(client->alpn, "h2") == 0;
    if (ssl == NULL || !SSL_set_fd(ssl, fd) ||
        (has_h2 && SSL_set_alpn_protos(ssl, (const uint8_t *)"\x02h2", 3) != 0)) {
        loop_die("no memory");
    }
    if (client->resumes && client->session != NULL) {
        SSL_set_session(ssl, client->session);
    }
    if (SSL_connect(ssl) != 1 || !(has_h2 ? await_settings_ack(ssl) : await_echo(ssl))) {
        loop_die("handshake %" PRIu64 " failed", client->num_done + 1);
    }
    client->num_done++;
    client->num_resumed += (uint64_t)SSL_session_reused(ssl);
    SSL_free(ssl);
    close(fd);
}

int main(int argc, char **argv) {
    if (argc != 7) {
        loop_die("usage: handshake TO h2|- full|resumed SECONDS CHAIN KEY");
    }
    struct err err = {0};
    struct client client = {.alpn = argv[2], .resumes = strcmp(argv[3], "resumed") == 0};
    if (!netaddr_parse(&client.to, span_of_text(argv[1]), &err)) {
        loop_die("%s", err.msg);
    }
    client.ctx = new_context(&client, argv[5], argv[6]);
    int64_t begun_ns = loop_now_ns();
    int64_t end_ns = begun_ns + (int64_t)(strtod(argv[4], NULL) * 1e9);
    do {
        shake_hands(&client);
    } while (loop_now_ns() < end_ns);
    printf("{\"handshakes\":%" PRIu64 ",\"resumed\":%" PRIu64 ",\"ns\":%" PRId64 "}\n",
           client.num_done, client.num_resumed, loop_now_ns() - begun_ns);
    SSL_SESSION_free(client.session);
    SSL_CTX_free(client.ctx);
    return 0;
}
