// One message at a time over one connection.
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>

#include "bench/load/echo.h"
#include "bench/load/endpoint.h"
#include "bench/load/loads.h"
#include "bench/load/loop.h"

#define ANSWER_NS INT64_C(5000000000)

struct ping {
    struct loop loop;
    struct echo echo;
    struct watch client;
    const struct options *options;
    char *buffer;
    size_t received; // of the message under way
    int64_t sent_ns; // 0 before the first
    bool is_warm;    // the first round trip pays for the path behind the proxies: not a sample
    struct histogram latency;
};

static void send_message(struct ping *ping) {
    size_t len = ping->options->size;
    ping->received = 0;
    ping->sent_ns = loop_now_ns();
    if (endpoint_send(ping->client.fd, ping->buffer, &len) != ENDPOINT_OK ||
        len != ping->options->size) {
        loop_die("a message did not go out as a whole");
    }
}

static void on_client(struct watch *watch, uint32_t events) {
    struct ping *ping = WATCHED(watch, struct ping, client);
    if (ping->sent_ns == 0 && (events & EPOLLERR) == 0) {
        loop_set(&ping->loop, watch, EPOLLIN);
        send_message(ping);
        return;
    }
    size_t len = ENDPOINT_BUFFER;
    enum endpoint_outcome outcome = endpoint_recv(watch->fd, ping->buffer, &len);
    if (outcome == ENDPOINT_EOF || outcome == ENDPOINT_FAILED) {
        loop_die("the connection ended");
    }
    ping->received += len;
    if (ping->received >= ping->options->size) {
        if (ping->is_warm) {
            histogram_add(&ping->latency, loop_now_ns() - ping->sent_ns);
        }
        ping->is_warm = true;
        send_message(ping);
    }
}

int ping_run(const struct options *options) {
    struct ping ping = {.options = options};
    ping.buffer = calloc(1, ENDPOINT_BUFFER);
    if (ping.buffer == NULL) {
        loop_die("no memory");
    }
    histogram_init(&ping.latency);
    loop_init(&ping.loop);
    echo_init(&ping.echo, &ping.loop, &options->app);
    ping.client = (struct watch){.fd = endpoint_dial_from(&options->to, 0), .on_event = on_client};
    loop_set(&ping.loop, &ping.client, EPOLLOUT);
    int64_t start_ns = loop_now_ns();
    while (loop_now_ns() < start_ns + options->duration_ns) {
        if (!loop_turn(&ping.loop, loop_now_ns() + ANSWER_NS)) {
            loop_die("no answer for five seconds");
        }
    }
    putchar('{');
    loads_print_latency("latency", &ping.latency);
    puts("}");
    free(ping.buffer);
    return 0;
}
