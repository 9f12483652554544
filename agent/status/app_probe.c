#include "agent/status/app_probe.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

#include <ev.h>

#include "agent/net/socket.h"
#include "agent/status/http_message.h"
#include "agent/status/probe_grpc.h"
#include "agent/status/probe_stream.h"
#include "base/buf.h"

enum { READ_LEN = 4096 };

enum state { STATE_CONNECTING, STATE_TALKING, STATE_DONE };

struct app_probe {
    struct ev_loop *loop;
    enum probe_type type;
    bool https;
    int fd;
    enum state state;
    struct probe_stream *stream;
    struct http_message *message; // http
    struct probe_grpc *call;      // grpc
    struct buf output;
    unsigned status; // of the answer, when DONE
    char sentence[160];
    struct span body;
    app_probe_done_fn *done;
    void *arg;
    ev_io io;
    int events; // what `io` is armed for
    ev_timer deadline;
};

static void finish(struct app_probe *probe, unsigned status, const char *sentence) {
    probe->state = STATE_DONE;
    probe->status = status;
    snprintf(probe->sentence, sizeof probe->sentence, "%s\n", sentence);
    probe->body = span_of_text(probe->sentence);
}

// --- http ----------------------------------------------------------------------------------------

static bool is_host(const char *header) {
    return strncasecmp(header, "Host:", 5) == 0;
}

static bool render_request(const struct status_probe *probe, const char *authority,
                           struct buf *out) {
    bool has_host = false;
    bool ok = buf_printf(out, "GET %s HTTP/1.1\r\n", probe->path == NULL ? "/" : probe->path);
    for (size_t i = 0; ok && i < probe->headers.num; i++) {
        has_host |= is_host(probe->headers.items[i]);
        ok = buf_printf(out, "%s\r\n", probe->headers.items[i]);
    }
    return ok && (has_host || buf_printf(out, "Host: %s\r\n", authority)) &&
           buf_append_text(out, "User-Agent: pavise-probe\r\nConnection: close\r\n\r\n");
}

static void answer_http(struct app_probe *probe) {
    probe->state = STATE_DONE;
    probe->status = http_message_status(probe->message);
    probe->body = http_message_body(probe->message);
}

static void judge_http(struct app_probe *probe, enum http_outcome outcome) {
    switch (outcome) {
    case HTTP_MORE:
        return;
    case HTTP_DONE:
        answer_http(probe);
        return;
    case HTTP_BAD:
        finish(probe, 503, "the application's answer is not HTTP, or too large");
        return;
    }
}

// --- what all types do ---------------------------------------------------------------------------

static void feed(struct app_probe *probe, struct span bytes) {
    if (probe->type == PROBE_HTTP) {
        size_t used = 0;
        judge_http(probe, http_message_feed(probe->message, bytes, &used));
        return;
    }
    switch (probe_grpc_feed(probe->call, bytes)) {
    case PROBE_GRPC_WAITING:
        break;
    case PROBE_GRPC_SERVING:
        finish(probe, 200, "the application is serving");
        return;
    case PROBE_GRPC_NOT_SERVING:
        finish(probe, 503, "the application does not say that it is serving");
        return;
    case PROBE_GRPC_BROKEN:
        finish(probe, 503, "the application's answer is not gRPC");
        return;
    }
    if (!probe_grpc_send(probe->call, &probe->output)) {
        finish(probe, 503, "the application's answer is not gRPC");
    }
}

static void end(struct app_probe *probe) {
    if (probe->type == PROBE_HTTP && http_message_has_begun(probe->message)) {
        judge_http(probe, http_message_end(probe->message));
    }
    if (probe->state != STATE_DONE) {
        finish(probe, 503, "the application closed the connection without an answer");
    }
}

// Reads until there is nothing. True when something came.
static bool read_some(struct app_probe *probe) {
    uint8_t bytes[READ_LEN];
    size_t len = 0;
    switch (probe_stream_read(probe->stream, bytes, sizeof bytes, &len)) {
    case PROBE_IO_OK:
        feed(probe, span_of(bytes, len));
        return true;
    case PROBE_IO_AGAIN:
        return false;
    case PROBE_IO_END:
    case PROBE_IO_FAILED: // a TLS server that just closes has answered as well
        break;
    }
    end(probe);
    return false;
}

static bool write_some(struct app_probe *probe) {
    size_t len = 0;
    if (buf_span(&probe->output).len == 0) {
        return false;
    }
    switch (probe_stream_write(probe->stream, buf_span(&probe->output), &len)) {
    case PROBE_IO_OK:
        buf_consume(&probe->output, len);
        return true;
    case PROBE_IO_AGAIN:
        return false;
    case PROBE_IO_END:
    case PROBE_IO_FAILED:
        break;
    }
    // It may have answered before it closed.
    buf_clear(&probe->output);
    return true;
}

static void step_connecting(struct app_probe *probe) {
    int error = socket_connect_error(probe->fd);
    if (error == EINPROGRESS) {
        return;
    }
    if (error != 0) {
        finish(probe, 503, "the application does not accept connections at this port");
        return;
    }
    if (probe->type == PROBE_TCP) {
        finish(probe, 200, "the application accepts connections");
        return;
    }
    probe->stream = probe_stream_new(probe->fd, probe->https);
    probe->state = STATE_TALKING;
    if (probe->stream == NULL) {
        finish(probe, 503, "there is no memory for this probe");
    }
}

static void step(struct app_probe *probe) {
    if (probe->state == STATE_CONNECTING) {
        step_connecting(probe);
    }
    bool moved = probe->state == STATE_TALKING;
    while (moved && probe->state == STATE_TALKING) {
        moved = write_some(probe);
        moved = read_some(probe) || moved;
    }
}

static int wanted_events(const struct app_probe *probe) {
    if (probe->state == STATE_CONNECTING) {
        return EV_WRITE;
    }
    bool writes = buf_span(&probe->output).len > 0 && probe_stream_wants_write(probe->stream);
    return EV_READ | (writes ? EV_WRITE : 0);
}

static void drive(struct app_probe *probe) {
    step(probe);
    if (probe->state == STATE_DONE) {
        probe->done(probe->arg, probe->status, probe->body);
        app_probe_free(probe);
        return;
    }
    int events = wanted_events(probe);
    if (events != probe->events) {
        probe->events = events;
        ev_io_stop(probe->loop, &probe->io);
        ev_io_set(&probe->io, probe->fd, events);
        ev_io_start(probe->loop, &probe->io);
    }
}

static void on_io(struct ev_loop *loop UNUSED, ev_io *io, int events UNUSED) {
    drive(io->data);
}

static void on_deadline(struct ev_loop *loop UNUSED, ev_timer *timer, int events UNUSED) {
    struct app_probe *probe = timer->data;
    if (probe->state != STATE_DONE) { // a connect that failed at once is done before its event
        finish(probe, 503, "the application did not answer in time");
    }
    drive(probe);
}

static bool prepare(struct app_probe *probe, const struct status_probe *what,
                    const struct netaddr *to) {
    char authority[NETADDR_TEXT_MAX];
    netaddr_format(to, authority);
    switch (what->type) {
    case PROBE_TCP:
        return true;
    case PROBE_HTTP:
        probe->message = http_message_new(HTTP_KIND_RESPONSE, APP_PROBE_BODY_MAX);
        return probe->message != NULL && render_request(what, authority, &probe->output);
    case PROBE_GRPC:
        probe->call = probe_grpc_new(what->service, authority);
        return probe->call != NULL && probe_grpc_send(probe->call, &probe->output);
    }
    return false;
}

static void start(struct app_probe *probe, const struct netaddr *to, int64_t timeout_ms) {
    int errnum = 0;
    if (socket_connect(to, &probe->fd, &errnum) == SOCKET_OK) {
        probe->events = EV_WRITE;
        ev_io_set(&probe->io, probe->fd, EV_WRITE);
        ev_io_start(probe->loop, &probe->io);
    } else {
        probe->fd = -1;
        finish(probe, 503, "the application does not accept connections at this port");
        timeout_ms = 0;
    }
    ev_now_update(probe->loop);
    ev_timer_set(&probe->deadline, (double)timeout_ms / 1000.0, 0.0);
    ev_timer_start(probe->loop, &probe->deadline);
}

struct app_probe *app_probe_start(struct ev_loop *loop, const struct status_probe *what,
                                  const struct netaddr *to, app_probe_done_fn *done, void *arg) {
    struct app_probe *probe = calloc(1, sizeof *probe);
    if (probe == NULL) {
        return NULL;
    }
    *probe = (struct app_probe){
        .loop = loop, .type = what->type, .https = what->https, .fd = -1, .done = done, .arg = arg};
    ev_init(&probe->io, on_io);
    ev_init(&probe->deadline, on_deadline);
    probe->io.data = probe;
    probe->deadline.data = probe;
    if (!prepare(probe, what, to)) {
        app_probe_free(probe);
        return NULL;
    }
    start(probe, to, what->timeout_ms);
    return probe;
}

void app_probe_free(struct app_probe *probe) {
    if (probe == NULL) {
        return;
    }
    ev_io_stop(probe->loop, &probe->io);
    ev_timer_stop(probe->loop, &probe->deadline);
    probe_stream_free(probe->stream);
    socket_close(probe->fd);
    http_message_free(probe->message);
    probe_grpc_free(probe->call);
    buf_fini(&probe->output);
    free(probe);
}
