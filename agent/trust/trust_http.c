#include "agent/trust/trust_http.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <sys/socket.h>

#include "agent/net/socket.h"
#include "agent/status/http_message.h"
#include "base/check.h"
#include "certmgr/dial.h"
#include "certmgr/resolve.h"
#include "certmgr/tls_client.h"
#include "certmgr/tls_pump.h"

#define READS_MAX 16

// A request under way. Over TLS, `fd` is the near end of the pump's socket pair.
struct exchange {
    int fd;
    struct tls_pump *pump; // NULL: plain
    const struct patience *patience;
    struct http_message *message;
};

static bool wait_on(const struct exchange *exchange, short events, struct err *err) {
    struct pollfd fds[TLS_PUMP_FDS] = {{.fd = exchange->fd, .events = events}};
    size_t num = 1;
    if (exchange->pump != NULL) {
        tls_pump_arm(exchange->pump, fds);
        num = TLS_PUMP_FDS;
    }
    switch (patience_poll(exchange->patience, fds, num, -1)) {
    case PATIENCE_READY:
        return true;
    case PATIENCE_TIMEOUT:
        return ERR_SET(err, ERR_ENVIRONMENT, "there was no complete answer in time");
    case PATIENCE_CANCELLED:
        break;
    }
    return ERR_SET(err, ERR_ENVIRONMENT, "stopped");
}

static bool send_all(const struct exchange *exchange, struct span rest, struct err *err) {
    while (rest.len > 0) {
        ssize_t put = send(exchange->fd, rest.ptr, rest.len, MSG_NOSIGNAL);
        if (put >= 0) {
            rest = span_after(rest, (size_t)put);
        } else if (errno != EAGAIN && errno != EINTR) {
            return ERR_SET_ERRNO(err, ERR_ENVIRONMENT, errno, "cannot send the request");
        } else if (!wait_on(exchange, POLLOUT, err)) {
            return false;
        }
    }
    return true;
}

static bool send_request(const struct exchange *exchange, const struct trust_http_ask *ask,
                         struct err *err) {
    const struct url *url = ask->url;
    char head[URL_TEXT_MAX + URL_HOST_MAX + 256];
    char entity[128] = "";
    int len = 0;
    if (ask->content_type != NULL) {
        len = snprintf(entity, sizeof(entity), "Content-Type: %s\r\nContent-Length: %zu\r\n",
                       ask->content_type, ask->body.len);
        CHECK(len > 0 && (size_t)len < sizeof(entity));
    }
    len = snprintf(head, sizeof(head),
                   "%s %s HTTP/1.1\r\nHost: %s%s%s:%u\r\nAccept: */*\r\n%s"
                   "Connection: close\r\n\r\n",
                   ask->content_type == NULL ? "GET" : "POST", url->target, url->is_ip6 ? "[" : "",
                   url->host, url->is_ip6 ? "]" : "", url->port, entity);
    CHECK(len > 0 && (size_t)len < sizeof(head));
    return send_all(exchange, span_of(head, (size_t)len), err) &&
           send_all(exchange, ask->body, err);
}

// What is there now, or part of it: a server that always has more must not outlast the caller's
// patience. `*outcome` is HTTP_MORE while the answer is not complete; `*at_end` says that nothing
// more comes.
static bool receive(const struct exchange *exchange, enum http_outcome *outcome, bool *at_end,
                    struct err *err) {
    uint8_t bytes[16384];
    for (int i = 0; i < READS_MAX && *outcome == HTTP_MORE && !*at_end; i++) {
        ssize_t len = recv(exchange->fd, bytes, sizeof(bytes), MSG_DONTWAIT);
        if (len < 0 && errno == EINTR) {
            continue;
        }
        if (len < 0 && errno == EAGAIN) {
            return true;
        }
        if (len < 0) {
            return ERR_SET_ERRNO(err, ERR_ENVIRONMENT, errno, "the connection broke");
        }
        size_t used = 0;
        *at_end = len == 0;
        if (len > 0) {
            *outcome = http_message_feed(exchange->message, span_of(bytes, (size_t)len), &used);
        }
    }
    return true;
}

// An end without TLS's own may be somebody's who cuts the answer short.
static bool end(const struct exchange *exchange, enum http_outcome *outcome, struct err *err) {
    const char *why = exchange->pump == NULL ? "" : tls_pump_error(exchange->pump);
    if (why[0] != '\0') {
        return ERR_SET(err, ERR_ENVIRONMENT, "the answer broke off: %s", why);
    }
    *outcome = http_message_end(exchange->message);
    return true;
}

static bool converse(const struct exchange *exchange, const struct trust_http_ask *ask,
                     struct err *err) {
    enum http_outcome outcome = HTTP_MORE;
    bool at_end = false;
    if (!send_request(exchange, ask, err)) {
        return false;
    }
    while (outcome == HTTP_MORE) {
        bool is_over = exchange->pump != NULL && tls_pump_step(exchange->pump) == TLS_PUMP_ENDED;
        if (!receive(exchange, &outcome, &at_end, err)) {
            return false;
        }
        if (outcome != HTTP_MORE) {
            break;
        }
        if (at_end || is_over) {
            if (!end(exchange, &outcome, err)) {
                return false;
            }
            break;
        }
        if (!wait_on(exchange, POLLIN, err)) {
            return false;
        }
    }
    return outcome == HTTP_DONE || ERR_SET(err, ERR_INPUT, "the answer is not HTTP: %s",
                                           http_message_problem(exchange->message));
}

static bool take_answer(const struct exchange *exchange, struct buf *out, struct err *err) {
    unsigned status = http_message_status(exchange->message);
    if (status != 200) {
        bool is_redirect = status >= 300 && status < 400;
        return ERR_SET(err, ERR_INPUT, "the server answers %u%s", status,
                       is_redirect ? ": redirects are not followed, name the place itself" : "");
    }
    struct span body = http_message_body(exchange->message);
    return buf_append(out, body.ptr, body.len) || ERR_NO_MEMORY(err, "fetching");
}

static bool open_plain(struct exchange *exchange, const struct url *url, struct err *err) {
    struct resolve_result to;
    exchange->fd = resolve_host(url->host, url->port, exchange->patience, &to, err)
                       ? dial_any(&to, exchange->patience, err)
                       : -1;
    return exchange->fd >= 0;
}

static bool open_tls(struct exchange *exchange, const struct url *url, struct span roots,
                     struct err *err) {
    char address[URL_HOST_MAX + 16];
    (void)snprintf(address, sizeof(address), "%s%s%s:%u", url->is_ip6 ? "[" : "", url->host,
                   url->is_ip6 ? "]" : "", url->port);
    const struct tls_client_options options = {
        .address = address, .roots_file = "trustStore.publicRoots", .roots = roots, .http1 = true};
    if (roots.len == 0) {
        return ERR_SET(err, ERR_INPUT, "there are no public roots to verify the server with");
    }
    exchange->pump = tls_client_connect(&options, exchange->patience, err);
    exchange->fd = exchange->pump == NULL ? -1 : tls_pump_attach(exchange->pump, err);
    return exchange->fd >= 0;
}

bool trust_http(const struct trust_http_ask *ask, const struct patience *patience, struct buf *out,
                struct err *err) {
    OWNED(http_message_free)
    struct http_message *message = http_message_new(HTTP_KIND_RESPONSE, ask->answer_max);
    if (message == NULL) {
        return ERR_NO_MEMORY(err, "fetching");
    }
    struct exchange exchange = {.fd = -1, .patience = patience, .message = message};
    bool ok = ask->url->scheme == URL_HTTPS ? open_tls(&exchange, ask->url, ask->roots, err)
                                            : open_plain(&exchange, ask->url, err);
    ok = ok && converse(&exchange, ask, err) && take_answer(&exchange, out, err);
    socket_close(exchange.fd);
    tls_pump_free(exchange.pump);
    return ok;
}
