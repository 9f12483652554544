#include "authority/csr_server.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "authority/listen_names.h"
#include "authority/rpc_server.h"
#include "authority/tls_front.h"
#include "base/clock.h"
#include "base/own.h"
#include "certmgr/istio_ca_codec.h"

#define RETRY_S 60 // after a certificate for ourselves could not be made

struct csr_server {
    const struct ca *ca;
    struct csr_server_options options;
    struct csr_observer observer;
    struct csr_service *service;
    struct rpc_server *rpc;
    struct tls_front *front;
    int epoll_fd;
    int64_t began; // of the present certificate, Unix seconds
    int64_t due;   // of the next one
};

static void report(const struct csr_server *server, enum csr_event_kind kind, const char *reason) {
    const struct csr_event event = {.kind = kind, .reason = reason};
    server->observer.event(server->observer.arg, &event);
}

// --- between the front and gRPC

static bool on_serve(void *arg, int fd) {
    struct csr_server *server = arg;
    struct err err = {0};
    if (!rpc_server_add(server->rpc, fd, RPC_UID_NONE, &err)) {
        report(server, CSR_CONNECTION_REFUSED, err.msg);
        return false;
    }
    return true;
}

static void on_refused(void *arg, const struct netaddr *peer, const char *reason) {
    char address[NETADDR_TEXT_MAX];
    char text[ERR_MSG_MAX];
    (void)snprintf(text, sizeof(text), "%s: %s", netaddr_format(peer, address), reason);
    report(arg, CSR_CONNECTION_REFUSED, text);
}

// --- our own certificate

static bool renew_certificate(struct csr_server *server, int64_t now, struct err *err) {
    struct ca_leaf leaf __attribute__((cleanup(ca_leaf_fini))) = {0};
    const struct ca_period period = {.now = now, .not_after = now + CSR_SERVER_CERTIFICATE_S};
    struct listen_names names;
    listen_names_load(&server->options.listen, &names);
    if (!ca_issue_server(server->ca, &names.names, period, &leaf, err) ||
        !tls_front_set_certificate(server->front, buf_span(&leaf.chain), buf_span(&leaf.key),
                                   err)) {
        return false;
    }
    server->began = now;
    server->due = now + (leaf.not_after - now) / 2;
    return true;
}

void csr_server_tick(struct csr_server *server, int64_t now, bool changed) {
    struct err err = {0};
    tls_front_tick(server->front);
    // A clock that was set back may have left it in the future.
    if (!changed && now < server->due && now >= server->began) {
        return;
    }
    if (!renew_certificate(server, now, &err)) {
        server->began = now;
        server->due = now + RETRY_S;
        report(server, CSR_FAILED, err.msg);
    }
}

// --- the loop's side

int csr_server_fd(const struct csr_server *server) {
    return server->epoll_fd;
}

void csr_server_process(struct csr_server *server) {
    tls_front_process(server->front);
    rpc_server_process(server->rpc);
}

bool csr_server_reload(struct csr_server *server, size_t *num, struct err *err) {
    const struct csr_server_options *options = &server->options;
    struct tokens *tokens = tokens_load(options->tokens_path, options->trust_domain, err);
    if (tokens == NULL) {
        return false;
    }
    *num = tokens_num(tokens);
    csr_service_set_tokens(server->service, tokens);
    return true;
}

// --- start and end

static bool start_service(struct csr_server *server, struct err *err) {
    const struct rpc_limits limits = {.connections = 2 * TLS_FRONT_CONNECTIONS_MAX,
                                      .streams_per_connection = 16,
                                      .idle_ms = 30000,
                                      .request_max = ISTIO_CA_REQUEST_MAX};
    const struct csr_server_options *options = &server->options;
    struct tokens *tokens = tokens_load(options->tokens_path, options->trust_domain, err);
    if (tokens == NULL) {
        return false;
    }
    server->service = csr_service_new(server->ca, tokens, options->ttl_ms, server->observer, err);
    if (server->service == NULL) {
        return false;
    }
    server->rpc = rpc_server_new(limits, csr_service_handler(server->service), err);
    return server->rpc != NULL;
}

static bool start_front(struct csr_server *server, int64_t now, struct err *err) {
    const struct tls_front_handler handler = {
        .serve = on_serve, .refused = on_refused, .arg = server};
    server->front = tls_front_new(&server->options.listen, &handler, err);
    return server->front != NULL && renew_certificate(server, now, err);
}

static bool watch(const struct csr_server *server, int fd, struct err *err) {
    struct epoll_event event = {.events = EPOLLIN};
    return epoll_ctl(server->epoll_fd, EPOLL_CTL_ADD, fd, &event) == 0 ||
           ERR_SET_ERRNO(err, ERR_ENVIRONMENT, errno, "cannot watch the TLS server");
}

struct csr_server *csr_server_new(const struct ca *ca, const struct csr_server_options *options,
                                  struct csr_observer observer, struct err *err) {
    OWNED(csr_server_free) struct csr_server *server = calloc(1, sizeof(*server));
    if (server == NULL) {
        ERR_NO_MEMORY(err, "starting the TLS server");
        return NULL;
    }
    server->ca = ca;
    server->options = *options;
    server->observer = observer;
    server->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    if (!start_service(server, err) || !start_front(server, clock_wall_s(), err) ||
        !watch(server, rpc_server_fd(server->rpc), err) ||
        !watch(server, tls_front_fd(server->front), err)) {
        return NULL;
    }
    return take(&server);
}

// The front first: it hands no more connections on. Calls end before the service they belong to.
void csr_server_free(struct csr_server *server) {
    if (server == NULL) {
        return;
    }
    tls_front_free(server->front);
    rpc_server_free(server->rpc);
    csr_service_free(server->service);
    if (server->epoll_fd >= 0) {
        (void)close(server->epoll_fd);
    }
    free(server);
}
