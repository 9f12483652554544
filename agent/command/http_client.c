#include "agent/command/http_client.h"

#include <errno.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "agent/net/socket.h"
#include "agent/status/http_message.h"
#include "base/clock.h"

// One question under way.
struct call {
    int fd;
    int64_t until_ms; // monotonic
    struct http_message *message;
};

static bool wait_for(const struct call *call, short events, struct err *err) {
    for (;;) {
        struct pollfd p = {.fd = call->fd, .events = events};
        int64_t left_ms = call->until_ms - clock_mono_ms();
        int num = left_ms <= 0 ? 0 : poll(&p, 1, (int)left_ms);
        if (num > 0) {
            return true;
        }
        if (num == 0) {
            return ERR_SET(err, ERR_ENVIRONMENT, "no answer within %d s",
                           HTTP_CLIENT_DEADLINE_MS / 1000);
        }
        if (errno != EINTR) {
            return ERR_SET_ERRNO(err, ERR_ENVIRONMENT, errno, "cannot wait for the answer");
        }
    }
}

static bool open_call(struct call *call, const struct netaddr *to, struct err *err) {
    int errnum = 0;
    if (socket_connect(to, &call->fd, &errnum) != SOCKET_OK) {
        return ERR_SET_ERRNO(err, ERR_ENVIRONMENT, errnum, "cannot connect");
    }
    if (!wait_for(call, POLLOUT, err)) {
        return false;
    }
    errnum = socket_connect_error(call->fd);
    return errnum == 0 || ERR_SET_ERRNO(err, ERR_ENVIRONMENT, errnum, "cannot connect");
}

static bool send_request(const struct call *call, struct buf *request, struct err *err) {
    while (request->len > 0) {
        struct span rest = buf_span(request);
        ssize_t len = send(call->fd, rest.ptr, rest.len, MSG_NOSIGNAL);
        if (len >= 0) {
            buf_consume(request, (size_t)len);
        } else if (errno != EAGAIN && errno != EINTR) {
            return ERR_SET_ERRNO(err, ERR_ENVIRONMENT, errno, "cannot send the question");
        } else if (!wait_for(call, POLLOUT, err)) {
            return false;
        }
    }
    return true;
}

// Reads once. `*outcome` is HTTP_MORE while the answer is not complete.
static bool receive_some(const struct call *call, enum http_outcome *outcome, struct err *err) {
    uint8_t bytes[16384];
    if (!wait_for(call, POLLIN, err)) {
        return false;
    }
    ssize_t len = recv(call->fd, bytes, sizeof(bytes), 0);
    if (len < 0 && (errno == EAGAIN || errno == EINTR)) {
        return true;
    }
    if (len < 0) {
        return ERR_SET_ERRNO(err, ERR_ENVIRONMENT, errno, "the connection broke");
    }
    size_t used = 0;
    *outcome = len == 0 ? http_message_end(call->message)
                        : http_message_feed(call->message, span_of(bytes, (size_t)len), &used);
    if (*outcome == HTTP_BAD) {
        return ERR_SET(err, ERR_INPUT, "what answers there is not a status port: %s",
                       http_message_problem(call->message));
    }
    return true;
}

static bool converse(struct call *call, const struct netaddr *to, const char *target,
                     struct err *err) {
    char host[NETADDR_TEXT_MAX];
    struct buf request = {0};
    enum http_outcome outcome = HTTP_MORE;
    bool fine = open_call(call, to, err);
    if (fine && !buf_printf(&request, "GET %s HTTP/1.1\r\nHost: %s\r\nConnection: close\r\n\r\n",
                            target, netaddr_format(to, host))) {
        fine = ERR_NO_MEMORY(err, "asking the status port");
    }
    fine = fine && send_request(call, &request, err);
    while (fine && outcome == HTTP_MORE) {
        fine = receive_some(call, &outcome, err);
    }
    buf_fini(&request);
    return fine;
}

bool http_client_get(const struct netaddr *to, const char *target, struct http_client_reply *out,
                     struct err *err) {
    OWNED(http_message_free)
    struct http_message *message = http_message_new(HTTP_KIND_RESPONSE, HTTP_CLIENT_BODY_MAX);
    if (message == NULL) {
        return ERR_NO_MEMORY(err, "asking the status port");
    }
    struct call call = {
        .fd = -1,
        .until_ms = clock_mono_ms() + HTTP_CLIENT_DEADLINE_MS,
        .message = message,
    };
    bool fine = converse(&call, to, target, err);
    socket_close(call.fd);
    if (!fine) {
        return false;
    }
    struct span body = http_message_body(message);
    struct buf copy = {0};
    if (!buf_append(&copy, body.ptr, body.len)) {
        return ERR_NO_MEMORY(err, "asking the status port");
    }
    *out = (struct http_client_reply){.status = http_message_status(message), .body = copy};
    return true;
}
