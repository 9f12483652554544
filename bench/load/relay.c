// The limit that the proxies are measured by: takes connections on one address and carries their
// bytes to another, with nothing in between. 256 KB per call, level-triggered, no TLS, no log.
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include "base/err.h"
#include "base/netaddr.h"
#include "base/span.h"
#include "bench/load/endpoint.h"
#include "bench/load/loop.h"

struct relay {
    struct loop loop;
    struct watch listener;
    struct netaddr to;
    char *scratch;     // shared; nothing stays in it
    struct pair *dead; // freed after the turn: an event of it may still name them
};

struct side {
    struct watch watch;
    struct pair *pair;
    char *unsent; // bytes for this socket that it did not take; the other side is not read
    size_t unsent_off;
    size_t unsent_len;
    bool has_ended; // no more bytes come from it
};

struct pair {
    struct relay *relay;
    struct side sides[2];
    struct pair *next_dead;
};

static struct side *other_side(struct side *side) {
    struct pair *pair = side->pair;
    return side == &pair->sides[0] ? &pair->sides[1] : &pair->sides[0];
}

static void arm(struct side *side) {
    bool reads = !side->has_ended && other_side(side)->unsent == NULL;
    uint32_t events = (reads ? EPOLLIN : 0) | (side->unsent != NULL ? EPOLLOUT : 0);
    loop_set(&side->pair->relay->loop, &side->watch, events);
}

static void end_pair(struct pair *pair) {
    for (int i = 0; i < 2; i++) {
        loop_close(&pair->sides[i].watch);
        free(pair->sides[i].unsent);
    }
    pair->next_dead = pair->relay->dead;
    pair->relay->dead = pair;
}

static void free_dead(struct relay *relay) {
    while (relay->dead != NULL) {
        struct pair *pair = relay->dead;
        relay->dead = pair->next_dead;
        free(pair);
    }
}

static void end_direction(struct side *from) {
    from->has_ended = true;
    struct side *to = other_side(from);
    if (to->has_ended) {
        end_pair(from->pair);
        return;
    }
    shutdown(to->watch.fd, SHUT_WR);
    arm(from);
}

static void keep_unsent(struct side *to, const char *data, size_t len) {
    to->unsent = malloc(len);
    if (to->unsent == NULL) {
        loop_die("no memory");
    }
    memcpy(to->unsent, data, len);
    to->unsent_off = 0;
    to->unsent_len = len;
    arm(to);
    arm(other_side(to));
}

static void move_bytes(struct side *from) {
    struct side *to = other_side(from);
    char *scratch = from->pair->relay->scratch;
    size_t len = ENDPOINT_BUFFER;
    enum endpoint_outcome outcome = endpoint_recv(from->watch.fd, scratch, &len);
    if (outcome == ENDPOINT_AGAIN) {
        return;
    }
    if (outcome == ENDPOINT_EOF) {
        end_direction(from);
        return;
    }
    size_t sent = len;
    if (outcome == ENDPOINT_FAILED ||
        endpoint_send(to->watch.fd, scratch, &sent) == ENDPOINT_FAILED) {
        end_pair(from->pair);
    } else if (sent < len) {
        keep_unsent(to, scratch + sent, len - sent);
    }
}

static void send_unsent(struct side *to) {
    size_t sent = to->unsent_len - to->unsent_off;
    if (endpoint_send(to->watch.fd, to->unsent + to->unsent_off, &sent) == ENDPOINT_FAILED) {
        end_pair(to->pair);
        return;
    }
    to->unsent_off += sent;
    if (to->unsent_off == to->unsent_len) {
        free(to->unsent);
        to->unsent = NULL;
        arm(to);
        arm(other_side(to));
    }
}

static void on_side(struct watch *watch, uint32_t events) {
    struct side *side = WATCHED(watch, struct side, watch);
    if (watch->fd >= 0 && side->unsent != NULL && (events & (EPOLLOUT | EPOLLERR))) {
        send_unsent(side);
    }
    if (watch->fd >= 0 && (watch->events & EPOLLIN) && (events & ~(uint32_t)EPOLLOUT)) {
        move_bytes(side);
    }
}

static void on_listener(struct watch *watch, uint32_t events) {
    struct relay *relay = WATCHED(watch, struct relay, listener);
    (void)events;
    int fd = endpoint_accept(watch->fd);
    if (fd < 0) {
        return;
    }
    struct pair *pair = calloc(1, sizeof(*pair));
    if (pair == NULL) {
        loop_die("no memory");
    }
    pair->relay = relay;
    int fds[2] = {fd, endpoint_dial(&relay->to)};
    for (int i = 0; i < 2; i++) {
        pair->sides[i].pair = pair;
        pair->sides[i].watch = (struct watch){.fd = fds[i], .on_event = on_side};
    }
    arm(&pair->sides[0]);
    arm(&pair->sides[1]);
}

static struct netaddr address(const char *text) {
    struct err err = {0};
    struct netaddr addr;
    if (!netaddr_parse(&addr, span_of_text(text), &err)) {
        loop_die("%s", err.msg);
    }
    return addr;
}

int main(int argc, char **argv) {
    if (argc != 3) {
        loop_die("usage: relay LISTEN TO");
    }
    struct relay relay = {.to = address(argv[2])};
    struct netaddr listen = address(argv[1]);
    relay.scratch = malloc(ENDPOINT_BUFFER);
    if (relay.scratch == NULL) {
        loop_die("no memory");
    }
    loop_init(&relay.loop);
    relay.listener = (struct watch){.fd = endpoint_listen(&listen), .on_event = on_listener};
    loop_set(&relay.loop, &relay.listener, EPOLLIN);
    for (;;) {
        loop_turn(&relay.loop, loop_now_ns() + INT64_C(60000000000));
        free_dead(&relay);
    }
}
