#include "tests/worker/worker_lab.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include <openssl/ssl.h>

#include "base/buf.h"
#include "base/check.h"
#include "base/clock.h"

#define CLIENT_ID "spiffe://example.org/ns/a/sa/client"
#define SERVER_ID "spiffe://example.org/ns/a/sa/server"
#define PATIENCE_S 20

static _Atomic int64_t clock_shift;

int64_t __real_clock_wall_s(void);
int64_t __wrap_clock_wall_s(void);
int64_t __wrap_clock_wall_s(void) {
    return __real_clock_wall_s() + atomic_load(&clock_shift);
}

void worker_lab_move_clock(int64_t seconds) {
    atomic_fetch_add(&clock_shift, seconds);
}

static void on_idle(void *arg) {
    (void)arg;
}

static int listen_on(const char *ip, uint16_t *port) {
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct sockaddr_in addr = {.sin_family = AF_INET};
    socklen_t len = sizeof(addr);
    CHECK(fd >= 0 && inet_pton(AF_INET, ip, &addr.sin_addr) == 1);
    CHECK(bind(fd, (struct sockaddr *)&addr, sizeof(addr)) == 0 && listen(fd, 8) == 0);
    CHECK(getsockname(fd, (struct sockaddr *)&addr, &len) == 0);
    *port = ntohs(addr.sin_port);
    return fd;
}

static uint16_t free_port(const char *ip) {
    uint16_t port = 0;
    close(listen_on(ip, &port));
    return port;
}

// --- the application ---------------------------------------------------------------------------

static enum ssl_verify_result_t believe(SSL *ssl, uint8_t *alert) {
    (void)ssl;
    (void)alert;
    return ssl_verify_ok;
}

static SSL *start_tls(const struct worker_lab *lab, SSL_CTX *ctx, int fd) {
    CRYPTO_BUFFER *chain[] = {pki_buffer(lab->peer)};
    SSL_CTX_set_custom_verify(ctx, SSL_VERIFY_PEER, believe);
    CHECK(SSL_CTX_set_chain_and_key(ctx, chain, 1, pki_key(lab->peer), NULL));
    SSL *ssl = SSL_new(ctx);
    CHECK(ssl != NULL && SSL_set_fd(ssl, fd));
    (void)SSL_accept(ssl);
    return ssl;
}

static void echo_tls(const struct worker_lab *lab, int fd) {
    SSL_CTX *ctx = SSL_CTX_new(TLS_with_buffers_method());
    SSL *ssl = start_tls(lab, ctx, fd);
    char byte = 0;
    while (SSL_read(ssl, &byte, 1) == 1 && SSL_write(ssl, &byte, 1) == 1) {
    }
    SSL_free(ssl);
    SSL_CTX_free(ctx);
}

static void *run_echo(void *arg) {
    const struct worker_lab *lab = arg;
    int fd = -1;
    while ((fd = accept(lab->app, NULL, NULL)) >= 0) {
        char byte = 0;
        if (lab->mutual) {
            echo_tls(lab, fd);
        }
        while (!lab->mutual && recv(fd, &byte, 1, 0) == 1 &&
               send(fd, &byte, 1, MSG_NOSIGNAL) == 1) {
        }
        close(fd);
    }
    return NULL;
}

// --- the workers -------------------------------------------------------------------------------

struct bundle_set *worker_lab_bundles(const struct pki_cert *root, const struct pki_bytes *crl) {
    struct bundle_builder *builder = bundle_builder_new();
    CHECK(bundle_builder_add(builder, span_of_text("example.org"), pki_der(root), NULL));
    CHECK(crl == NULL || bundle_builder_add_crl(builder, pki_span(crl), NULL));
    struct bundle_set *bundles = bundle_builder_finish(builder);
    CHECK(bundles != NULL);
    return bundles;
}

static struct worker_orders *make_orders(const struct worker_side *side, struct svid *svid,
                                         struct bundle_set *bundles, enum identity_state state) {
    struct tls_context *context = NULL;
    if (bundles != NULL) {
        OWNED(identity_unref) struct identity *identity = identity_new(1, &svid, 1, bundles);
        context = tls_context_new(identity, span_of_text("policy"), NULL);
        CHECK(context != NULL);
    }
    struct worker_orders *orders = calloc(1, sizeof(*orders));
    CHECK(orders != NULL);
    orders->snapshot = snapshot_new(side->config, context, state, NULL, NULL);
    orders->listeners = listener_set_ref(side->listeners);
    tls_context_unref(context);
    CHECK(orders->snapshot != NULL);
    return orders;
}

void worker_lab_command(struct worker_lab *lab, struct svid *svid, struct bundle_set *bundles,
                        enum identity_state state) {
    worker_command(lab->judged->worker, make_orders(lab->judged, svid, bundles, state));
}

static void start_side(struct worker_lab *lab, struct worker_side *side, const char *text) {
    struct buf said = {0};
    struct err err = {0};
    side->config = config_parse("test", span_of_text(text), &said, &said);
    if (side->config == NULL) {
        fprintf(stderr, "%.*s\n", (int)said.len, (const char *)buf_span(&said).ptr);
    }
    CHECK(side->config != NULL);
    buf_fini(&said);
    side->listeners = listener_set_new(
        side->config, &(struct listener_needs){.workers = 1, .inbound = true}, &err);
    CHECK(side->listeners != NULL);
    side->shared.destinations = destinations_new();
    side->shared.refusals = refusals_new();
    side->shared.idle = on_idle;
    fd_budget_init(&side->shared.fds);
    OWNED(bundle_set_unref) struct bundle_set *bundles = worker_lab_bundles(lab->ca, NULL);
    struct worker_orders *orders = make_orders(side, side->svid, bundles, IDENTITY_VALID);
    side->worker = worker_start(0, 1, &side->shared, orders, &err);
    CHECK(side->worker != NULL);
}

static void stop_side(struct worker_side *side) {
    worker_stop(side->worker);
    listener_set_unref(side->listeners);
    config_unref(side->config);
    destinations_free(side->shared.destinations);
    refusals_free(side->shared.refusals);
    svid_unref(side->svid);
}

static struct pki_cert *issue(const struct worker_lab *lab, const char *id) {
    struct pki_options options = {.uris = {span_of_text(id)},
                                  .not_after = clock_wall_s() + LAB_SVID_S};
    return pki_issue(lab->ca, &options);
}

static struct svid *svid_of(const struct pki_cert *cert) {
    struct svid *svid =
        svid_parse(pki_der(cert), pki_key_der(cert), span_of(NULL, 0), span_of(NULL, 0), NULL);
    CHECK(svid != NULL);
    return svid;
}

static const char SERVER[] = "identity: {closeAtExpiry: %s}\n"
                             "outbound: {listen: []}\n"
                             "inbound:\n"
                             "  listen: []\n"
                             "  tunnel: ['127.0.0.2:%u']\n"
                             "  ports: [{port: 11000, deliver: '127.0.0.1:%u'}]\n";
static const char CLIENT[] = "identity: {closeAtExpiry: %s}\n"
                             "outbound:\n"
                             "  listen: []\n"
                             "  listeners:\n"
                             "  - {listen: '127.0.0.1:%u', destination: '%s:%u'}\n"
                             "  mesh: {networks: [127.0.0.2/32], port: %u}\n"
                             "  destinations:\n"
                             "  - {name: other, match: {networks: [127.0.0.3/32]}, tls: mutual}\n"
                             "inbound: {listen: [], tunnel: []}\n";

static int dial(uint16_t port) {
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct sockaddr_in addr = {.sin_family = AF_INET, .sin_port = htons(port)};
    struct timeval patience = {.tv_sec = PATIENCE_S};
    CHECK(fd >= 0 && inet_pton(AF_INET, "127.0.0.1", &addr.sin_addr) == 1);
    CHECK(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience)) == 0);
    CHECK(connect(fd, (struct sockaddr *)&addr, sizeof(addr)) == 0);
    return fd;
}

void worker_lab_init(struct worker_lab *lab, bool mutual, bool close_at_expiry) {
    *lab = (struct worker_lab){.mutual = mutual, .ca = pki_ca(), .connection = -1};
    const char *hard = close_at_expiry ? "true" : "false";
    char text[1024];
    uint16_t app_port = 0;
    uint16_t tunnel = free_port("127.0.0.2");
    uint16_t entry = free_port("127.0.0.1");
    lab->app = listen_on(mutual ? "127.0.0.3" : "127.0.0.1", &app_port);
    lab->peer = issue(lab, mutual ? SERVER_ID : CLIENT_ID);
    lab->own = issue(lab, mutual ? CLIENT_ID : SERVER_ID);
    lab->judged = mutual ? &lab->client : &lab->server;
    CHECK(pthread_create(&lab->echo, NULL, run_echo, lab) == 0);
    if (!mutual) {
        lab->server.svid = svid_of(lab->own);
        snprintf(text, sizeof(text), SERVER, hard, tunnel, app_port);
        start_side(lab, &lab->server, text);
    }
    lab->client.svid = svid_of(mutual ? lab->own : lab->peer);
    snprintf(text, sizeof(text), CLIENT, hard, entry, mutual ? "127.0.0.3" : "127.0.0.2",
             mutual ? app_port : 11000, tunnel);
    start_side(lab, &lab->client, text);
    lab->connection = dial(entry);
}

void worker_lab_fini(struct worker_lab *lab) {
    close(lab->connection);
    stop_side(&lab->client);
    if (!lab->mutual) {
        stop_side(&lab->server);
    }
    shutdown(lab->app, SHUT_RDWR);
    pthread_join(lab->echo, NULL);
    close(lab->app);
    pki_free(lab->own);
    pki_free(lab->peer);
    pki_free(lab->ca);
    atomic_store(&clock_shift, 0);
}

bool worker_lab_exchange(struct worker_lab *lab) {
    char byte = 'x';
    return send(lab->connection, &byte, 1, MSG_NOSIGNAL) == 1 &&
           recv(lab->connection, &byte, 1, 0) == 1 && byte == 'x';
}

void worker_lab_open(struct worker_lab *lab) {
    CHECK(worker_lab_exchange(lab));
}

uint64_t worker_lab_metric(const struct worker_lab *lab, enum metric metric) {
    struct counter_sums sums = {0};
    counters_sum(&sums, &lab->judged->worker->counters);
    return sums.metrics[metric];
}

// A worker takes its orders before it answers.
void worker_lab_settle(struct worker_lab *lab) {
    CHECK(worker_settle(lab->judged->worker, PATIENCE_S * 1000));
}
