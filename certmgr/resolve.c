#include "certmgr/resolve.h"

#include <ares.h>
#include <string.h>
#include <sys/time.h>

#include "base/span.h"

#define LOOK_MS 1000 // when c-ares names no time for its next retry

struct lookup {
    struct resolve_result result;
    int status;
    bool is_done;
};

static void take_nodes(struct lookup *lookup, const struct ares_addrinfo *info) {
    for (const struct ares_addrinfo_node *node = info->nodes;
         node != NULL && lookup->result.num < RESOLVE_MAX; node = node->ai_next) {
        struct sockaddr_storage sa = {0};
        size_t len = (size_t)node->ai_addrlen;
        memcpy(&sa, node->ai_addr, len < sizeof(sa) ? len : sizeof(sa));
        if (netaddr_from_sockaddr(&lookup->result.addr[lookup->result.num], &sa)) {
            lookup->result.num++;
        }
    }
}

static void on_answer(void *arg, int status, int timeouts UNUSED, struct ares_addrinfo *info) {
    struct lookup *lookup = arg;
    lookup->is_done = true;
    lookup->status = status;
    if (status == ARES_SUCCESS && info != NULL) {
        take_nodes(lookup, info);
    }
    ares_freeaddrinfo(info);
}

static size_t watched(ares_channel channel, struct pollfd fds[ARES_GETSOCK_MAXNUM]) {
    ares_socket_t sockets[ARES_GETSOCK_MAXNUM];
    unsigned bits = (unsigned)ares_getsock(channel, sockets, ARES_GETSOCK_MAXNUM);
    size_t num = 0;
    for (unsigned i = 0; i < ARES_GETSOCK_MAXNUM; i++) {
        int events = ((bits >> i & 1) != 0 ? POLLIN : 0) |
                     ((bits >> (i + ARES_GETSOCK_MAXNUM) & 1) != 0 ? POLLOUT : 0);
        if (events != 0) {
            fds[num++] = (struct pollfd){.fd = sockets[i], .events = (short)events};
        }
    }
    return num;
}

static int64_t wait_of(ares_channel channel) {
    struct timeval most = {.tv_sec = LOOK_MS / 1000};
    struct timeval space;
    const struct timeval *wait = ares_timeout(channel, &most, &space);
    return (int64_t)wait->tv_sec * 1000 + (wait->tv_usec + 999) / 1000;
}

// One turn. False when the caller's patience is over.
static enum patience_outcome turn(ares_channel channel, const struct patience *patience) {
    struct pollfd fds[ARES_GETSOCK_MAXNUM];
    size_t num = watched(channel, fds);
    enum patience_outcome outcome = patience_poll(patience, fds, num, wait_of(channel));
    if (outcome != PATIENCE_READY) {
        return outcome;
    }
    ares_process_fd(channel, ARES_SOCKET_BAD, ARES_SOCKET_BAD); // its timers
    for (size_t i = 0; i < num; i++) {
        bool read = (fds[i].revents & (POLLIN | POLLERR | POLLHUP)) != 0;
        bool write = (fds[i].revents & POLLOUT) != 0;
        if (read || write) {
            ares_process_fd(channel, read ? fds[i].fd : ARES_SOCKET_BAD,
                            write ? fds[i].fd : ARES_SOCKET_BAD);
        }
    }
    return outcome;
}

static bool judge(const struct lookup *lookup, const char *host, enum patience_outcome outcome,
                  struct err *err) {
    if (outcome == PATIENCE_CANCELLED) {
        return ERR_SET(err, ERR_ENVIRONMENT, "stopped while looking up \"%s\"", host);
    }
    if (outcome == PATIENCE_TIMEOUT) {
        return ERR_SET(err, ERR_ENVIRONMENT, "no DNS server answers for \"%s\"", host);
    }
    if (lookup->status != ARES_SUCCESS) {
        return ERR_SET(err, ERR_ENVIRONMENT, "cannot find the host \"%s\": %s", host,
                       ares_strerror(lookup->status));
    }
    return lookup->result.num > 0 ||
           ERR_SET(err, ERR_ENVIRONMENT, "the host \"%s\" has no address", host);
}

bool resolve_host(const char *host, uint16_t port, const struct patience *patience,
                  struct resolve_result *out, struct err *err) {
    struct lookup lookup = {.status = ARES_ECANCELLED};
    if (netaddr_parse_ip(&lookup.result.addr[0], span_of_text(host), NULL)) {
        lookup.result.num = 1;
    } else {
        ares_channel channel;
        if (ares_init(&channel) != ARES_SUCCESS) {
            return ERR_SET(err, ERR_ENVIRONMENT, "cannot start looking up \"%s\"", host);
        }
        struct ares_addrinfo_hints hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM};
        enum patience_outcome outcome = PATIENCE_READY;
        ares_getaddrinfo(channel, host, NULL, &hints, on_answer, &lookup);
        while (!lookup.is_done && outcome == PATIENCE_READY) {
            outcome = turn(channel, patience);
        }
        bool ok = judge(&lookup, host, lookup.is_done ? PATIENCE_READY : outcome, err);
        ares_destroy(channel); // calls on_answer if it has not been called
        if (!ok) {
            return false;
        }
    }
    for (size_t i = 0; i < lookup.result.num; i++) {
        lookup.result.addr[i].port = port;
    }
    *out = lookup.result;
    return true;
}
