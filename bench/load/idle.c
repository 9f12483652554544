// Connections that have exchanged one byte each way and then say nothing.
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>

#include "bench/load/echo.h"
#include "bench/load/endpoint.h"
#include "bench/load/loads.h"
#include "bench/load/loop.h"

#define AT_ONCE 32
#define ANSWER_NS INT64_C(10000000000)

struct idle {
    struct loop loop;
    struct echo echo;
    const struct options *options;
    struct idle_conn *conns; // --streams is the most there may be
    unsigned num_dialled;
    unsigned num_open;
};

struct idle_conn {
    struct watch watch;
    struct idle *idle;
    bool has_asked;
};

static void on_conn(struct watch *watch, uint32_t events) {
    struct idle_conn *conn = WATCHED(watch, struct idle_conn, watch);
    (void)events;
    char byte = '?';
    size_t len = 1;
    enum endpoint_outcome outcome = conn->has_asked ? endpoint_recv(watch->fd, &byte, &len)
                                                    : endpoint_send(watch->fd, &byte, &len);
    if (outcome == ENDPOINT_AGAIN) {
        return;
    }
    if (outcome != ENDPOINT_OK) {
        loop_die("connection %u ended", conn->idle->num_open + 1);
    }
    // After the answer the loop no longer looks.
    loop_set(&conn->idle->loop, watch, conn->has_asked ? 0 : EPOLLIN);
    conn->idle->num_open += conn->has_asked;
    conn->has_asked = true;
}

static void grow(struct idle *idle, unsigned wanted) {
    while (idle->num_open < wanted) {
        while (idle->num_dialled < wanted && idle->num_dialled - idle->num_open < AT_ONCE) {
            struct idle_conn *conn = &idle->conns[idle->num_dialled];
            conn->idle = idle;
            conn->watch.on_event = on_conn;
            conn->watch.fd = endpoint_dial_from(&idle->options->to, idle->num_dialled++);
            loop_set(&idle->loop, &conn->watch, EPOLLOUT);
        }
        if (!loop_turn(&idle->loop, loop_now_ns() + ANSWER_NS)) {
            loop_die("%u connections are open, and then no answer", idle->num_open);
        }
    }
}

int idle_run(const struct options *options) {
    struct idle idle = {.options = options};
    idle.conns = calloc(options->streams, sizeof(idle.conns[0]));
    if (idle.conns == NULL) {
        loop_die("no memory");
    }
    loop_init(&idle.loop);
    echo_init(&idle.echo, &idle.loop, &options->app);
    char line[32];
    while (fgets(line, sizeof(line), stdin) != NULL) {
        unsigned long wanted = strtoul(line, NULL, 10);
        if (wanted > options->streams) {
            loop_die("more connections than --streams: %lu", wanted);
        }
        grow(&idle, (unsigned)wanted);
        printf("{\"open\":%u}\n", idle.num_open);
        fflush(stdout);
    }
    free(idle.conns);
    return 0;
}

int echo_run(const struct options *options) {
    struct loop loop;
    struct echo echo;
    loop_init(&loop);
    echo_init(&echo, &loop, &options->app);
    for (;;) {
        loop_turn(&loop, loop_now_ns() + ANSWER_NS);
    }
}
