#include "tests/testing/fake_ca.h"

#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <openssl/evp.h>

#include "authority/rpc_server.h"
#include "authority/tls_front.h"
#include "base/check.h"
#include "base/err.h"
#include "certmgr/csr.h"
#include "certmgr/istio_ca_codec.h"

OWN_DEFINE(EVP_PKEY, EVP_PKEY_free)

struct fake_ca {
    struct fake_ca_options options;
    struct rpc_server *rpc;
    struct tls_front *front;
    struct rpc_handler handler;
    int stop_fd;
    pthread_t thread;
    pthread_mutex_t lock;
    struct fake_ca_seen seen;
};

static void copy_metadata(const struct rpc_stream *stream, const char *key, char *out, size_t cap) {
    struct span value;
    out[0] = '\0';
    if (rpc_stream_metadata(stream, key, &value)) {
        (void)snprintf(out, cap, "%.*s", (int)value.len, (const char *)value.ptr);
    }
}

static struct rpc_refusal on_admit(void *arg, const struct rpc_stream *stream) {
    struct fake_ca *fake = arg;
    struct fake_ca_seen *seen = &fake->seen;
    struct span method = rpc_stream_method(stream);
    pthread_mutex_lock(&fake->lock);
    seen->num_calls++;
    copy_metadata(stream, "authorization", seen->authorization, sizeof(seen->authorization));
    copy_metadata(stream, "clusterid", seen->cluster_id, sizeof(seen->cluster_id));
    (void)snprintf(seen->method, sizeof(seen->method), "%.*s", (int)method.len,
                   (const char *)method.ptr);
    pthread_mutex_unlock(&fake->lock);
    return (struct rpc_refusal){GRPC_CODE_OK, ""};
}

static void on_opened(void *arg, struct rpc_stream *stream) {
    struct fake_ca *fake = arg;
    struct buf request = {0};
    struct fake_ca_reply reply = {.code = GRPC_CODE_OK, .reason = ""};
    CHECK(rpc_stream_request(stream, &request));
    fake->options.answer(fake->options.arg, buf_span(&request), &reply);
    if (!reply.is_silent && reply.code == GRPC_CODE_OK) {
        rpc_stream_send(stream, buf_span(&reply.message));
    }
    if (!reply.is_silent) {
        rpc_stream_finish(stream, reply.code, reply.reason);
    }
    buf_fini(&reply.message);
    buf_fini(&request);
}

static void on_closed(void *arg UNUSED, struct rpc_stream *stream UNUSED) {
}

static bool on_serve(void *arg, int fd) {
    struct fake_ca *fake = arg;
    struct err err;
    return rpc_server_add(fake->rpc, fd, RPC_UID_NONE, &err);
}

static void on_refused(void *arg UNUSED, const struct netaddr *peer UNUSED, const char *reason) {
    (void)fprintf(stderr, "fake_ca: %s\n", reason);
}

static void *run(void *arg) {
    struct fake_ca *fake = arg;
    struct pollfd fds[] = {{.fd = rpc_server_fd(fake->rpc), .events = POLLIN},
                           {.fd = tls_front_fd(fake->front), .events = POLLIN},
                           {.fd = fake->stop_fd, .events = POLLIN}};
    while (fds[2].revents == 0) {
        (void)poll(fds, 3, -1);
        tls_front_process(fake->front);
        rpc_server_process(fake->rpc);
    }
    return NULL;
}

static void show(struct fake_ca *fake) {
    static const uint8_t san[] = {0x30, 0x0f, 0x82, 7, 'c', 'a', '.', 't', 'e',
                                  's',  't',  0x87, 4, 127, 0,   0,   1};
    struct err err;
    const struct pki_options options = {.san_der = span_of(san, sizeof(san)),
                                        .extended_key_usage = "serverAuth"};
    OWNED(pki_free) struct pki_cert *own = pki_issue(fake->options.root, &options);
    const struct pki_cert *shown = fake->options.shown != NULL ? fake->options.shown : own;
    CHECK(tls_front_set_certificate(fake->front, pki_der(shown), pki_key_der(shown), &err));
}

struct fake_ca *fake_ca_new(const struct fake_ca_options *options) {
    const struct rpc_limits limits = {
        .connections = 64, .streams_per_connection = 4, .idle_ms = 60000, .request_max = 65536};
    const struct netaddr listen = {
        .family = NETADDR_V4, .ip = {127, 0, 0, 1}, .port = options->port};
    struct err err = {0};
    struct fake_ca *fake = calloc(1, sizeof(*fake));
    CHECK(fake != NULL);
    fake->options = *options;
    fake->handler = (struct rpc_handler){
        .admit = on_admit, .opened = on_opened, .closed = on_closed, .arg = fake};
    const struct tls_front_handler handler = {
        .serve = on_serve, .refused = on_refused, .arg = fake};
    pthread_mutex_init(&fake->lock, NULL);
    fake->rpc = rpc_server_new(limits, &fake->handler, &err);
    fake->front = tls_front_new(&listen, &handler, &err);
    fake->stop_fd = eventfd(0, EFD_CLOEXEC);
    CHECK(fake->rpc != NULL && fake->front != NULL && fake->stop_fd >= 0);
    show(fake);
    CHECK(pthread_create(&fake->thread, NULL, run, fake) == 0);
    return fake;
}

void fake_ca_free(struct fake_ca *fake) {
    if (fake == NULL) {
        return;
    }
    (void)eventfd_write(fake->stop_fd, 1);
    (void)pthread_join(fake->thread, NULL);
    tls_front_free(fake->front);
    rpc_server_free(fake->rpc);
    (void)close(fake->stop_fd);
    (void)pthread_mutex_destroy(&fake->lock);
    free(fake);
}

uint16_t fake_ca_port(const struct fake_ca *fake) {
    return tls_front_port(fake->front);
}

struct fake_ca_seen fake_ca_seen(struct fake_ca *fake) {
    pthread_mutex_lock(&fake->lock);
    struct fake_ca_seen seen = fake->seen;
    pthread_mutex_unlock(&fake->lock);
    return seen;
}

void fake_ca_certify(const struct pki_cert *root, struct span request, const char *spiffe_id,
                     int64_t not_after, struct buf *out) {
    struct istio_ca_request opened = {0};
    struct err err = {0};
    CHECK(istio_ca_codec_decode_request(request, &opened, &err));
    OWNED(EVP_PKEY_free) EVP_PKEY *key = csr_open(buf_span(&opened.csr_pem), &err);
    CHECK(key != NULL);
    const struct pki_options options = {
        .use_key = key, .uris = {span_of_text(spiffe_id)}, .not_after = not_after};
    OWNED(pki_free) struct pki_cert *leaf = pki_issue(root, &options);
    CHECK(istio_ca_codec_encode_response(pki_der(leaf), pki_der(root), out, &err));
    buf_fini(&opened.csr_pem);
}
