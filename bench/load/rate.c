// Messages at fixed moments. A message that is due while the socket takes nothing waits its turn,
// and the wait is part of its latency.
#include <inttypes.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>

#include "bench/load/echo.h"
#include "bench/load/endpoint.h"
#include "bench/load/loads.h"
#include "bench/load/loop.h"

#define MAX_LATE 4096 // messages of one connection that have not come back
#define LAST_ANSWERS_NS INT64_C(2000000000)

struct rate_conn {
    struct watch watch;
    struct rate *rate;
    int64_t due_ns[MAX_LATE]; // ring: message n at n % MAX_LATE
    uint64_t num_due;
    uint64_t sent;     // bytes
    uint64_t received; // bytes
};

struct rate {
    struct loop loop;
    struct echo echo;
    const struct options *options;
    struct rate_conn *conns;
    char *buffer;
    struct histogram latency;
    uint64_t num_due;
    uint64_t num_back;
    uint64_t num_lost; // due when MAX_LATE were under way: the contender does not keep up
};

static void send_due(struct rate_conn *conn) {
    size_t size = conn->rate->options->size;
    size_t len = (size_t)(conn->num_due * size - conn->sent);
    len = len > ENDPOINT_BUFFER ? ENDPOINT_BUFFER : len;
    if (len > 0 && endpoint_send(conn->watch.fd, conn->rate->buffer, &len) == ENDPOINT_FAILED) {
        loop_die("a connection ended");
    }
    conn->sent += len;
    bool is_behind = conn->sent < conn->num_due * size;
    loop_set(&conn->rate->loop, &conn->watch, is_behind ? EPOLLIN | EPOLLOUT : EPOLLIN);
}

static void receive(struct rate_conn *conn) {
    struct rate *rate = conn->rate;
    size_t len = ENDPOINT_BUFFER;
    enum endpoint_outcome outcome = endpoint_recv(conn->watch.fd, rate->buffer, &len);
    if (outcome == ENDPOINT_EOF || outcome == ENDPOINT_FAILED) {
        loop_die("a connection ended");
    }
    uint64_t before = conn->received / rate->options->size;
    conn->received += len;
    int64_t now_ns = loop_now_ns();
    for (uint64_t n = before; n < conn->received / rate->options->size; n++) {
        histogram_add(&rate->latency, now_ns - conn->due_ns[n % MAX_LATE]);
        rate->num_back++;
    }
}

static void on_conn(struct watch *watch, uint32_t events) {
    struct rate_conn *conn = WATCHED(watch, struct rate_conn, watch);
    if (events & (EPOLLIN | EPOLLERR | EPOLLHUP)) {
        receive(conn);
    }
    if (events & EPOLLOUT) {
        send_due(conn);
    }
}

static void add_due(struct rate *rate, int64_t due_ns) {
    struct rate_conn *conn = &rate->conns[rate->num_due++ % rate->options->streams];
    if (conn->num_due - conn->received / rate->options->size == MAX_LATE) {
        rate->num_lost++;
        return;
    }
    conn->due_ns[conn->num_due++ % MAX_LATE] = due_ns;
    send_due(conn);
}

// The path behind the proxies is there before the schedule starts: one message per connection.
static void warm_up(struct rate *rate) {
    int64_t now_ns = loop_now_ns();
    for (unsigned i = 0; i < rate->options->streams; i++) {
        add_due(rate, now_ns);
    }
    while (rate->num_back < rate->options->streams) {
        if (!loop_turn(&rate->loop, loop_now_ns() + LAST_ANSWERS_NS)) {
            loop_die("no answer for two seconds");
        }
    }
    rate->num_due = rate->num_back = 0;
    histogram_init(&rate->latency);
}

static void run_schedule(struct rate *rate) {
    double interval_ns = 1e9 / rate->options->rate;
    int64_t start_ns = loop_now_ns();
    uint64_t total = (uint64_t)((double)rate->options->duration_ns / interval_ns);
    while (rate->num_due < total) {
        int64_t due_ns = start_ns + (int64_t)((double)rate->num_due * interval_ns);
        if (loop_now_ns() >= due_ns) {
            add_due(rate, due_ns);
        }
        loop_turn(&rate->loop, due_ns);
    }
    int64_t end_ns = loop_now_ns() + LAST_ANSWERS_NS;
    while (rate->num_back + rate->num_lost < total && loop_now_ns() < end_ns) {
        loop_turn(&rate->loop, end_ns);
    }
    rate->num_lost = total - rate->num_back;
}

int rate_run(const struct options *options) {
    struct rate rate = {.options = options};
    rate.buffer = calloc(1, ENDPOINT_BUFFER);
    rate.conns = calloc(options->streams, sizeof(rate.conns[0]));
    if (rate.buffer == NULL || rate.conns == NULL) {
        loop_die("no memory");
    }
    loop_init(&rate.loop);
    echo_init(&rate.echo, &rate.loop, &options->app);
    for (unsigned i = 0; i < options->streams; i++) {
        struct rate_conn *conn = &rate.conns[i];
        conn->rate = &rate;
        conn->watch =
            (struct watch){.fd = endpoint_dial_from(&options->to, i), .on_event = on_conn};
        loop_set(&rate.loop, &conn->watch, EPOLLIN | EPOLLOUT);
    }
    warm_up(&rate);
    run_schedule(&rate);
    printf("{\"due\":%" PRIu64 ",\"lost\":%" PRIu64 ",", rate.num_due, rate.num_lost);
    loads_print_latency("latency", &rate.latency);
    puts("}");
    free(rate.conns);
    free(rate.buffer);
    return 0;
}
