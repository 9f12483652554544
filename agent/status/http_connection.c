// Every event calls drive(), which runs step() until nothing changes; arm() alone derives the
// watchers from the state. An answer is bounded in time as a whole, so that a reader that takes a
// byte now and then holds memory no longer than one deadline.
#include "agent/status/http_connection.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include <ev.h>

#include "agent/net/socket.h"
#include "base/check.h"

#define READ_LEN 4096
#define LINGER_MS 1000
#define LINGER_LEN_MAX (64 * 1024)

enum state {
    STATE_READING,   // a request is awaited
    STATE_OWING,     // its answer comes later
    STATE_WRITING,   // its answer goes out
    STATE_LINGERING, // all is said: what still comes is dropped, so that no RST eats the answer
    STATE_CLOSED,
};

struct http_connection {
    struct list_node node;
    const struct http_connection_host *host;
    int fd;
    struct netaddr peer;
    enum state state;
    struct http_message *message;
    struct buf input;  // read and not parsed yet; at most READ_LEN
    struct buf output; // head and body of the answer
    bool keep_alive;
    bool with_body;
    void (*cancel)(void *arg); // while OWING
    void *cancel_arg;
    bool progressed; // step() did something and may do more
    size_t lingered_len;
    ev_io io;
    int events; // what `io` is armed for
    ev_timer deadline;
};

static int64_t deadline_of(const struct http_connection *c) {
    if (c->state == STATE_LINGERING) {
        return LINGER_MS;
    }
    return c->host->options->deadline_ms;
}

static void set_deadline(struct http_connection *c) {
    ev_timer_stop(c->host->loop, &c->deadline);
    if (c->state == STATE_OWING) {
        return; // whoever owes the answer has a deadline
    }
    ev_now_update(c->host->loop); // a handler may have taken its time
    ev_timer_set(&c->deadline, (double)deadline_of(c) / 1000.0, 0.0);
    ev_timer_start(c->host->loop, &c->deadline);
}

static void enter(struct http_connection *c, enum state state) {
    c->state = state;
    c->progressed = true;
    set_deadline(c);
}

static void drop_output(struct http_connection *c) {
    *c->host->output_len -= c->output.len;
    buf_clear(&c->output);
}

static const char *reason_phrase(unsigned status) {
    static const struct {
        unsigned status;
        const char *phrase;
    } phrases[] = {
        {200, "OK"},
        {400, "Bad Request"},
        {403, "Forbidden"},
        {404, "Not Found"},
        {405, "Method Not Allowed"},
        {408, "Request Timeout"},
        {413, "Content Too Large"},
        {414, "URI Too Long"},
        {421, "Misdirected Request"},
        {431, "Request Header Fields Too Large"},
        {500, "Internal Server Error"},
        {501, "Not Implemented"},
        {503, "Service Unavailable"},
        {505, "HTTP Version Not Supported"},
    };
    for (size_t i = 0; i < sizeof(phrases) / sizeof(phrases[0]); i++) {
        if (phrases[i].status == status) {
            return phrases[i].phrase;
        }
    }
    return "Status";
}

static bool render_answer(struct http_connection *c, const struct http_response *response,
                          bool with_body) {
    struct span body = buf_span(&response->body);
    const char *policy = response->policy[0] == '\0' ? "default-src 'none'" : response->policy;
    bool fine =
        buf_printf(&c->output,
                   "HTTP/1.1 %u %s\r\nContent-Type: %s\r\nContent-Length: %zu\r\n"
                   "Cache-Control: no-store\r\nX-Content-Type-Options: nosniff\r\n"
                   "Content-Security-Policy: %s\r\nCross-Origin-Resource-Policy: same-origin\r\n"
                   "Referrer-Policy: no-referrer\r\nX-Frame-Options: DENY\r\n",
                   response->status, reason_phrase(response->status), response->content_type,
                   body.len, policy);
    if (response->allow != NULL) {
        fine = fine && buf_printf(&c->output, "Allow: %s\r\n", response->allow);
    }
    fine = fine &&
           buf_printf(&c->output, "Connection: %s\r\n\r\n", c->keep_alive ? "keep-alive" : "close");
    if (with_body) {
        fine = fine && buf_append(&c->output, body.ptr, body.len);
    }
    return fine;
}

// Queues the answer; without memory for it the connection just ends.
static void answer(struct http_connection *c, const struct http_response *response,
                   bool with_body) {
    bool fine = render_answer(c, response, with_body);
    *c->host->output_len += c->output.len;
    if (!fine) {
        c->state = STATE_CLOSED;
        return;
    }
    enter(c, STATE_WRITING);
}

static void answer_sentence(struct http_connection *c, unsigned status, const char *sentence) {
    struct http_response response = {
        .status = status,
        .content_type = "text/plain; charset=utf-8",
    };
    if (!buf_printf(&response.body, "%s\n", sentence)) {
        buf_clear(&response.body); // the status says enough
    }
    answer(c, &response, true);
    buf_fini(&response.body);
}

static void handle_request(struct http_connection *c) {
    struct http_request request = {
        .head = http_message_head(c->message),
        .peer = c->peer,
        .port = c->host->tag,
        .connection = c,
    };
    if (!socket_local_address(c->fd, &request.local)) {
        request.local = (struct netaddr){.family = NETADDR_NONE};
    }
    c->with_body = request.head.verb != HTTP_VERB_HEAD;
    c->keep_alive = http_message_keep_alive(c->message) && !*c->host->retired;
    if (*c->host->output_len > HTTP_OUTPUT_MAX) {
        answer_sentence(c, 503, "too many answers wait to be read; try again");
        return;
    }
    struct http_response response = {.status = 500, .content_type = "text/plain; charset=utf-8"};
    c->host->options->handle(c->host->options->arg, &request, &response);
    if (response.cancel != NULL) {
        c->cancel = response.cancel;
        c->cancel_arg = response.cancel_arg;
        enter(c, STATE_OWING);
    } else {
        answer(c, &response, c->with_body);
    }
    buf_fini(&response.body);
}

static void parse_input(struct http_connection *c) {
    size_t used = 0;
    enum http_outcome outcome = http_message_feed(c->message, buf_span(&c->input), &used);
    buf_consume(&c->input, used);
    switch (outcome) {
    case HTTP_MORE:
        c->progressed = true;
        return;
    case HTTP_DONE:
        handle_request(c);
        http_message_reset(c->message);
        return;
    case HTTP_BAD:
        c->keep_alive = false;
        answer_sentence(c, http_message_status(c->message), http_message_problem(c->message));
        return;
    }
}

// 0 at the end, -1 with errno, else the bytes that were read into `into`.
static ssize_t receive(struct http_connection *c, uint8_t into[READ_LEN]) {
    ssize_t len;
    do {
        len = recv(c->fd, into, READ_LEN, MSG_DONTWAIT);
    } while (len < 0 && errno == EINTR);
    return len;
}

static void step_reading(struct http_connection *c) {
    if (c->input.len > 0) {
        parse_input(c);
        return;
    }
    uint8_t bytes[READ_LEN];
    ssize_t len = receive(c, bytes);
    if (len < 0 && errno == EAGAIN) {
        return;
    }
    if (len <= 0 || !buf_append(&c->input, bytes, (size_t)len)) {
        c->state = STATE_CLOSED;
        return;
    }
    c->progressed = true;
}

static void step_writing(struct http_connection *c) {
    struct span rest = buf_span(&c->output);
    ssize_t len = send(c->fd, rest.ptr, rest.len, MSG_DONTWAIT | MSG_NOSIGNAL);
    if (len < 0 && (errno == EAGAIN || errno == EINTR)) {
        return;
    }
    if (len < 0) {
        c->state = STATE_CLOSED;
        return;
    }
    buf_consume(&c->output, (size_t)len);
    *c->host->output_len -= (size_t)len;
    c->progressed = true;
    if (c->output.len > 0) {
        return;
    }
    if (c->keep_alive) {
        enter(c, STATE_READING);
        c->progressed = false; // one request a turn: a pipeline must not hold the loop
        return;
    }
    socket_finish(c->fd);
    enter(c, STATE_LINGERING);
}

static void step_lingering(struct http_connection *c) {
    uint8_t bytes[READ_LEN];
    ssize_t len = receive(c, bytes);
    if (len < 0 && errno == EAGAIN) {
        return;
    }
    c->lingered_len += len > 0 ? (size_t)len : 0;
    if (len <= 0 || c->lingered_len > LINGER_LEN_MAX) {
        c->state = STATE_CLOSED;
        return;
    }
    c->progressed = true;
}

static void step(struct http_connection *c) {
    switch (c->state) {
    case STATE_READING:
        step_reading(c);
        return;
    case STATE_WRITING:
        step_writing(c);
        return;
    case STATE_LINGERING:
        step_lingering(c);
        return;
    case STATE_OWING:
    case STATE_CLOSED:
        return;
    }
}

static void arm(struct http_connection *c) {
    int events = c->state == STATE_WRITING ? EV_WRITE : EV_READ;
    if (c->state == STATE_READING && c->input.len > 0) {
        events |= EV_WRITE; // the next request is here already: come back in the next turn
    }
    if (c->state == STATE_OWING) {
        events = 0;
    }
    if (events == c->events) {
        return;
    }
    ev_io_stop(c->host->loop, &c->io);
    c->events = events;
    if (events != 0) {
        ev_io_set(&c->io, c->fd, events);
        ev_io_start(c->host->loop, &c->io);
    }
}

static void drive(struct http_connection *c) {
    do {
        c->progressed = false;
        step(c);
    } while (c->progressed);
    if (c->state == STATE_CLOSED) {
        const struct http_connection_host *host = c->host;
        http_connection_free(c);
        host->gone(host->arg);
        return;
    }
    arm(c);
}

static void on_io(struct ev_loop *loop UNUSED, ev_io *io, int events UNUSED) {
    drive(io->data);
}

static void on_deadline(struct ev_loop *loop UNUSED, ev_timer *timer, int events UNUSED) {
    struct http_connection *c = timer->data;
    if (c->state == STATE_READING && http_message_has_begun(c->message)) {
        c->keep_alive = false;
        answer_sentence(c, 408, "the request took too long to come");
    } else {
        c->state = STATE_CLOSED;
    }
    drive(c);
}

void http_later_answer(struct http_connection *c, const struct http_response *response) {
    CHECK(c->state == STATE_OWING);
    c->cancel = NULL;
    answer(c, response, c->with_body);
    drive(c);
}

struct http_connection *http_connection_new(const struct http_connection_host *host, int fd,
                                            const struct netaddr *peer) {
    struct http_connection *c = calloc(1, sizeof(*c));
    struct http_message *message = http_message_new(HTTP_KIND_REQUEST, HTTP_REQUEST_BODY_MAX);
    if (c == NULL || message == NULL) {
        free(c);
        http_message_free(message);
        socket_close(fd);
        return NULL;
    }
    c->host = host;
    c->fd = fd;
    c->peer = *peer;
    c->message = message;
    c->state = STATE_READING;
    ev_init(&c->io, on_io);
    c->io.data = c;
    ev_init(&c->deadline, on_deadline);
    c->deadline.data = c;
    set_deadline(c);
    arm(c);
    return c;
}

void http_connection_free(struct http_connection *c) {
    if (c == NULL) {
        return;
    }
    list_remove(&c->node);
    if (c->cancel != NULL) {
        c->cancel(c->cancel_arg);
    }
    ev_io_stop(c->host->loop, &c->io);
    ev_timer_stop(c->host->loop, &c->deadline);
    if (c->state != STATE_CLOSED && c->output.len > 0) {
        socket_reset(c->fd); // the kernel need not keep what nobody reads
    } else {
        socket_close(c->fd);
    }
    drop_output(c);
    buf_fini(&c->input);
    http_message_free(c->message);
    free(c);
}

struct list_node *http_connection_node(struct http_connection *connection) {
    return &connection->node;
}

struct http_connection *http_connection_of(struct list_node *node) {
    return LIST_ENTRY(node, struct http_connection, node);
}

bool http_connection_is_waiting(const struct http_connection *connection) {
    return connection->state == STATE_READING;
}

bool http_connection_is_idle(const struct http_connection *connection) {
    return connection->state == STATE_READING && connection->keep_alive &&
           connection->input.len == 0 && !http_message_has_begun(connection->message);
}
