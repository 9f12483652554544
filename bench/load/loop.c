#include "bench/load/loop.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <time.h>
#include <unistd.h>

#define MAX_EVENTS 64
#define NS_PER_S 1000000000

void loop_die(const char *format, ...) {
    va_list args;
    va_start(args, format);
    fputs("load: ", stderr);
    vfprintf(stderr, format, args);
    fputc('\n', stderr);
    va_end(args);
    exit(1);
}

int64_t loop_now_ns(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * NS_PER_S + now.tv_nsec;
}

void loop_init(struct loop *loop) {
    loop->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    if (loop->epoll_fd < 0) {
        loop_die("cannot make an epoll: %s", strerror(errno));
    }
    // The default slack of 50 us would send late and be counted as latency.
    prctl(PR_SET_TIMERSLACK, 1, 0, 0, 0);
}

void loop_set(struct loop *loop, struct watch *watch, uint32_t events) {
    if (watch->events == events) {
        return;
    }
    struct epoll_event event = {.events = events, .data.ptr = watch};
    int how = watch->events == 0 ? EPOLL_CTL_ADD : events == 0 ? EPOLL_CTL_DEL : EPOLL_CTL_MOD;
    if (epoll_ctl(loop->epoll_fd, how, watch->fd, &event) != 0) {
        loop_die("cannot watch a socket: %s", strerror(errno));
    }
    watch->events = events;
}

void loop_close(struct watch *watch) {
    close(watch->fd);
    watch->fd = -1;
    watch->events = 0;
}

bool loop_turn(struct loop *loop, int64_t deadline_ns) {
    int64_t left_ns = deadline_ns - loop_now_ns();
    left_ns = left_ns < 0 ? 0 : left_ns;
    struct timespec wait = {.tv_sec = left_ns / NS_PER_S, .tv_nsec = left_ns % NS_PER_S};
    struct epoll_event events[MAX_EVENTS];
    int count = epoll_pwait2(loop->epoll_fd, events, MAX_EVENTS, &wait, NULL);
    if (count < 0 && errno != EINTR) {
        loop_die("cannot wait for events: %s", strerror(errno));
    }
    for (int i = 0; i < count; i++) {
        struct watch *watch = events[i].data.ptr;
        watch->on_event(watch, events[i].events);
    }
    return count > 0;
}
