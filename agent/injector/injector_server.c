#include "agent/injector/injector_server.h"

#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/time.h>

#include "agent/injector/injector_tls.h"
#include "agent/net/socket.h"
#include "agent/status/http_message.h"
#include "base/buf.h"
#include "base/clock.h"
#include "base/thread.h"

enum {
    CONNECTIONS_MAX = 64,
    DEADLINE_S = 10, // for a request to come and for its answer to be read
    READ_LEN = 16 << 10,
    PAUSE_MS = 100, // when nothing can be accepted, or open requests are waited for
};

struct server {
    const struct injector_config *config;
    injector_told_fn *told;
    pthread_mutex_t lock;
    unsigned num_open;
};

struct visit {
    struct server *server;
    int fd;
};

// --- one request ---------------------------------------------------------------------------------

static bool send_answer(struct injector_tls *tls, unsigned status, const char *type,
                        struct span body) {
    static const struct {
        unsigned status;
        const char *phrase;
    } PHRASES[] = {{200, "OK"}, {400, "Bad Request"}, {404, "Not Found"}, {503, "Unavailable"}};
    const char *phrase = "Status";
    for (size_t i = 0; i < sizeof PHRASES / sizeof PHRASES[0]; i++) {
        phrase = PHRASES[i].status == status ? PHRASES[i].phrase : phrase;
    }
    struct buf answer = {0};
    bool ok = buf_printf(&answer,
                         "HTTP/1.1 %u %s\r\nContent-Type: %s\r\nContent-Length: %zu\r\n"
                         "Connection: close\r\n\r\n",
                         status, phrase, type, body.len) &&
              buf_append(&answer, body.ptr, body.len) && injector_tls_write(tls, buf_span(&answer));
    buf_fini(&answer);
    return ok;
}

static bool send_sentence(struct injector_tls *tls, unsigned status, const char *sentence) {
    struct buf body = {0};
    bool ok = buf_printf(&body, "%s\n", sentence) &&
              send_answer(tls, status, "text/plain; charset=utf-8", buf_span(&body));
    buf_fini(&body);
    return ok;
}

static bool answer_review(const struct server *server, struct injector_tls *tls, struct span body) {
    struct review_report report;
    struct buf answer = {0};
    bool ok = review_answer(body, &server->config->settings, &answer, &report);
    server->told(&report);
    if (!ok) {
        ok = send_sentence(tls, 503, "there is no memory for this review");
    } else if (report.result == REVIEW_BAD) {
        ok = send_sentence(tls, 400, report.sentence);
    } else {
        ok = send_answer(tls, 200, "application/json", buf_span(&answer));
    }
    buf_fini(&answer);
    return ok;
}

static bool answer_request(const struct server *server, struct injector_tls *tls,
                           const struct http_message *message) {
    struct http_head head = http_message_head(message);
    if (head.verb == HTTP_VERB_POST && span_equal_text(head.path, "/mutate")) {
        return answer_review(server, tls, http_message_body(message));
    }
    if (head.verb == HTTP_VERB_GET && span_equal_text(head.path, "/readyz")) {
        return send_sentence(tls, 200, "ready");
    }
    return send_sentence(tls, 404, "POST /mutate reviews; GET /readyz says whether that works");
}

static bool serve(const struct server *server, struct injector_tls *tls,
                  struct http_message *message) {
    int64_t deadline = clock_mono_ms() + DEADLINE_S * 1000;
    uint8_t bytes[READ_LEN];
    while (clock_mono_ms() < deadline) {
        size_t len = injector_tls_read(tls, bytes, sizeof bytes);
        size_t used = 0;
        if (len == 0) {
            return false;
        }
        switch (http_message_feed(message, span_of(bytes, len), &used)) {
        case HTTP_MORE:
            break;
        case HTTP_DONE:
            return answer_request(server, tls, message);
        case HTTP_BAD:
            return send_sentence(tls, http_message_status(message), http_message_problem(message));
        }
    }
    return send_sentence(tls, 408, "the request took too long to come");
}

// --- connections ---------------------------------------------------------------------------------

static void count(struct server *server, int change) {
    pthread_mutex_lock(&server->lock);
    server->num_open += (unsigned)change;
    pthread_mutex_unlock(&server->lock);
}

static unsigned num_open(struct server *server) {
    pthread_mutex_lock(&server->lock);
    unsigned num = server->num_open;
    pthread_mutex_unlock(&server->lock);
    return num;
}

static void *run_visit(void *arg) {
    struct visit *visit = arg;
    struct server *server = visit->server;
    struct http_message *message = http_message_new(HTTP_KIND_REQUEST, REVIEW_MAX);
    struct injector_tls *tls =
        injector_tls_accept(visit->fd, server->config->certificate, server->config->key, NULL);
    if (message != NULL && tls != NULL) {
        (void)serve(server, tls, message);
    }
    injector_tls_free(tls);
    http_message_free(message);
    socket_close(visit->fd);
    free(visit);
    count(server, -1);
    return NULL;
}

static bool make_blocking(int fd) {
    const struct timeval patience = {.tv_sec = DEADLINE_S};
    int flags = fcntl(fd, F_GETFL);
    return flags >= 0 && fcntl(fd, F_SETFL, flags & ~O_NONBLOCK) == 0 &&
           setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience) == 0 &&
           setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience) == 0;
}

static void start_visit(struct server *server, int fd) {
    struct visit *visit = calloc(1, sizeof *visit);
    pthread_t thread;
    if (visit == NULL || !make_blocking(fd) || num_open(server) >= CONNECTIONS_MAX) {
        free(visit);
        socket_close(fd);
        return;
    }
    *visit = (struct visit){.server = server, .fd = fd};
    count(server, 1);
    if (thread_start(&thread, run_visit, visit) != 0) {
        count(server, -1);
        free(visit);
        socket_close(fd);
        return;
    }
    pthread_detach(thread);
}

static void accept_some(struct server *server, int listener) {
    int fd = -1;
    struct netaddr peer;
    switch (socket_accept(listener, &fd, &peer)) {
    case SOCKET_OK:
        start_visit(server, fd);
        return;
    case SOCKET_EXHAUSTED:
        (void)poll(NULL, 0, PAUSE_MS);
        return;
    case SOCKET_AGAIN:
    case SOCKET_FAILED:
        return;
    }
}

bool injector_server_run(const struct injector_config *config, int stop, injector_told_fn *told,
                         struct err *err) {
    struct server server = {.config = config, .told = told};
    int listener = socket_listen(&config->listen, false, err);
    if (listener < 0 || pthread_mutex_init(&server.lock, NULL) != 0) {
        socket_close(listener);
        return false;
    }
    struct pollfd fds[] = {{.fd = stop, .events = POLLIN}, {.fd = listener, .events = POLLIN}};
    while (fds[0].revents == 0) {
        if (poll(fds, 2, -1) > 0 && fds[1].revents != 0) {
            accept_some(&server, listener);
        }
    }
    socket_close(listener);
    // Each ends within its deadlines; their threads use what is on this stack.
    while (num_open(&server) > 0) {
        (void)poll(NULL, 0, PAUSE_MS);
    }
    pthread_mutex_destroy(&server.lock);
    return true;
}
