// Streams of bytes one way. The receiver counts: what the sender wrote may still be in buffers.
#include <inttypes.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>

#include "bench/load/endpoint.h"
#include "bench/load/loads.h"
#include "bench/load/loop.h"

#define DRAIN_NS INT64_C(5000000000)

struct bulk {
    struct loop loop;
    struct watch listener;
    const struct options *options;
    struct bulk_flow *flows; // both ends of every stream
    unsigned num_flows;
    char *buffer;
    bool is_over; // senders finish
    uint64_t sent;
    uint64_t received;
};

struct bulk_flow {
    struct watch watch;
    struct bulk *bulk;
};

static void on_sender(struct watch *watch, uint32_t events) {
    struct bulk_flow *flow = WATCHED(watch, struct bulk_flow, watch);
    struct bulk *bulk = flow->bulk;
    if (bulk->is_over && (events & EPOLLERR) == 0) {
        loop_set(&bulk->loop, watch, 0);
        return;
    }
    size_t len = ENDPOINT_BUFFER;
    if (endpoint_send(watch->fd, bulk->buffer, &len) == ENDPOINT_FAILED) {
        loop_die("a stream was cut while it was sent");
    }
    bulk->sent += len;
}

static void on_receiver(struct watch *watch, uint32_t events) {
    struct bulk_flow *flow = WATCHED(watch, struct bulk_flow, watch);
    struct bulk *bulk = flow->bulk;
    (void)events;
    size_t len = ENDPOINT_BUFFER;
    enum endpoint_outcome outcome = endpoint_recv(watch->fd, bulk->buffer, &len);
    if (outcome == ENDPOINT_FAILED || outcome == ENDPOINT_EOF) {
        loop_die("a stream was cut while it was received");
    }
    bulk->received += len;
}

static void add_flow(struct bulk *bulk, int fd, bool sends) {
    if (bulk->num_flows == 2 * bulk->options->streams) {
        loop_die("more connections arrived than were made");
    }
    struct bulk_flow *flow = &bulk->flows[bulk->num_flows++];
    flow->bulk = bulk;
    flow->watch = (struct watch){.fd = fd, .on_event = sends ? on_sender : on_receiver};
    loop_set(&bulk->loop, &flow->watch, sends ? EPOLLOUT : EPOLLIN);
}

static void on_listener(struct watch *watch, uint32_t events) {
    struct bulk *bulk = WATCHED(watch, struct bulk, listener);
    (void)events;
    int fd = endpoint_accept(watch->fd);
    if (fd >= 0) {
        add_flow(bulk, fd, bulk->options->down);
    }
}

static void run_until(struct bulk *bulk, int64_t end_ns) {
    while (loop_now_ns() < end_ns) {
        loop_turn(&bulk->loop, end_ns);
    }
}

// No stream is ended before all has arrived: not every proxy carries a half-close.
static void drain(struct bulk *bulk) {
    bulk->is_over = true;
    int64_t end_ns = loop_now_ns() + DRAIN_NS;
    while (bulk->received < bulk->sent && loop_now_ns() < end_ns) {
        loop_turn(&bulk->loop, end_ns);
    }
    if (bulk->sent != bulk->received) {
        loop_die("%" PRIu64 " bytes were sent, %" PRIu64 " arrived", bulk->sent, bulk->received);
    }
}

int bulk_run(const struct options *options) {
    struct bulk bulk = {.options = options};
    bulk.flows = calloc(2 * (size_t)options->streams, sizeof(bulk.flows[0]));
    bulk.buffer = calloc(1, ENDPOINT_BUFFER);
    if (bulk.flows == NULL || bulk.buffer == NULL) {
        loop_die("no memory");
    }
    loop_init(&bulk.loop);
    bulk.listener = (struct watch){.fd = endpoint_listen(&options->app), .on_event = on_listener};
    loop_set(&bulk.loop, &bulk.listener, EPOLLIN);
    for (unsigned i = 0; i < options->streams; i++) {
        add_flow(&bulk, endpoint_dial_from(&options->to, i), !options->down);
    }
    int64_t start_ns = loop_now_ns();
    run_until(&bulk, start_ns + options->duration_ns / 10);
    int64_t warm_ns = loop_now_ns();
    uint64_t warm_received = bulk.received;
    run_until(&bulk, start_ns + options->duration_ns);
    int64_t end_ns = loop_now_ns();
    uint64_t counted = bulk.received - warm_received;
    drain(&bulk);
    printf("{\"bytes\":%" PRIu64 ",\"ns\":%" PRId64 ",\"total_bytes\":%" PRIu64 "}\n", counted,
           end_ns - warm_ns, bulk.received);
    free(bulk.flows);
    free(bulk.buffer);
    return 0;
}
