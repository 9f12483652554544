#include "certmgr/resolve.h"

#include <ares.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/time.h>

#include "base/span.h"

#define LOOK_MS 1000        // when c-ares names no time for its next retry
#define RESOLVE_TOGETHER 64 // names in one go

struct lookup {
    struct resolve_job *job;
    int *num_left; // of all that were asked for together
    int status;
};

static void take_nodes(struct resolve_result *result, const struct ares_addrinfo *info) {
    int least = INT_MAX;
    for (const struct ares_addrinfo_node *node = info->nodes;
         node != NULL && result->num < RESOLVE_MAX; node = node->ai_next) {
        struct sockaddr_storage sa = {0};
        size_t len = (size_t)node->ai_addrlen;
        memcpy(&sa, node->ai_addr, len < sizeof(sa) ? len : sizeof(sa));
        if (netaddr_from_sockaddr(&result->addr[result->num], &sa)) {
            result->addr[result->num++].port = 0;
            least = node->ai_ttl < least ? node->ai_ttl : least;
        }
    }
    result->ttl_s = result->num == 0 || least < 0 ? 0 : least;
}

static void on_answer(void *arg, int status, int timeouts UNUSED, struct ares_addrinfo *info) {
    struct lookup *lookup = arg;
    lookup->status = status;
    if (status == ARES_SUCCESS && info != NULL) {
        take_nodes(&lookup->job->result, info);
    }
    (*lookup->num_left)--;
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

static void judge(const struct lookup *lookup, enum patience_outcome outcome) {
    struct resolve_job *job = lookup->job;
    int status = lookup->status;
    bool unanswered = status == ARES_ECANCELLED || status == ARES_EDESTRUCTION;
    bool none = status == ARES_SUCCESS && job->result.num == 0;
    job->outcome = status == ARES_SUCCESS && !none                              ? RESOLVE_FOUND
                   : none || status == ARES_ENOTFOUND || status == ARES_ENODATA ? RESOLVE_ABSENT
                                                                                : RESOLVE_FAILED;
    if (unanswered && outcome == PATIENCE_CANCELLED) {
        snprintf(job->why, sizeof(job->why), "stopped while looking up \"%.64s\"", job->host);
    } else if (unanswered || status == ARES_ETIMEOUT) {
        snprintf(job->why, sizeof(job->why), "no DNS server answers for \"%.64s\"", job->host);
    } else if (none || status == ARES_ENODATA) {
        snprintf(job->why, sizeof(job->why), "the host \"%.64s\" has no address", job->host);
    } else if (job->outcome != RESOLVE_FOUND) {
        snprintf(job->why, sizeof(job->why), "cannot find the host \"%.64s\": %s", job->host,
                 ares_strerror(status));
    }
}

// Whatever is not answered when patience ends is called off, which answers it.
static enum patience_outcome ask(ares_channel channel, struct lookup *lookups, int num,
                                 const struct patience *patience) {
    struct ares_addrinfo_hints hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM};
    enum patience_outcome outcome = PATIENCE_READY;
    int num_left = num;
    for (int i = 0; i < num; i++) {
        lookups[i].num_left = &num_left;
        ares_getaddrinfo(channel, lookups[i].job->host, NULL, &hints, on_answer, &lookups[i]);
    }
    while (num_left > 0 && outcome == PATIENCE_READY) {
        outcome = turn(channel, patience);
    }
    ares_cancel(channel);
    return outcome;
}

// At most RESOLVE_TOGETHER.
static void look_up(struct resolve_job *jobs, size_t num, const struct patience *patience) {
    struct lookup lookups[RESOLVE_TOGETHER] = {0};
    enum patience_outcome outcome = PATIENCE_READY;
    ares_channel channel;
    int asked = 0;
    for (size_t i = 0; i < num; i++) {
        jobs[i].result = (struct resolve_result){0};
        jobs[i].outcome = RESOLVE_FOUND;
        jobs[i].why[0] = '\0';
        if (netaddr_parse_ip(&jobs[i].result.addr[0], span_of_text(jobs[i].host), NULL)) {
            jobs[i].result.num = 1;
        } else {
            lookups[asked++] = (struct lookup){.job = &jobs[i], .status = ARES_ECANCELLED};
        }
    }
    int status = asked == 0 ? ARES_ECANCELLED : ares_init(&channel);
    if (status == ARES_SUCCESS) {
        outcome = ask(channel, lookups, asked, patience);
        ares_destroy(channel);
    }
    for (int i = 0; i < asked; i++) {
        lookups[i].status = status == ARES_SUCCESS ? lookups[i].status : status;
        judge(&lookups[i], outcome);
    }
}

void resolve_hosts(struct resolve_job *jobs, size_t num, const struct patience *patience) {
    for (size_t at = 0; at < num; at += RESOLVE_TOGETHER) {
        size_t left = num - at;
        look_up(jobs + at, left < RESOLVE_TOGETHER ? left : RESOLVE_TOGETHER, patience);
    }
}

bool resolve_host(const char *host, uint16_t port, const struct patience *patience,
                  struct resolve_result *out, struct err *err) {
    struct resolve_job job = {.host = host};
    resolve_hosts(&job, 1, patience);
    if (job.outcome != RESOLVE_FOUND) {
        return ERR_SET(err, ERR_ENVIRONMENT, "%s", job.why);
    }
    for (size_t i = 0; i < job.result.num; i++) {
        job.result.addr[i].port = port;
    }
    *out = job.result;
    return true;
}
