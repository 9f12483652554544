#include "agent/audit/audit.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "agent/audit/audit_queue.h"
#include "agent/audit/audit_target.h"
#include "agent/net/socket.h"
#include "base/clock.h"
#include "base/text.h"
#include "base/thread.h"

#define DIAL_MS 5000
#define FLUSH_MS 2000
#define CHUNK (64 * 1024)

// What the thread is to do; copied whole.
struct orders {
    char address[sizeof(((struct audit_view *)0)->address)]; // "": nothing
    int64_t interval_ms;
    uint32_t max_attempts; // 0: any number
    size_t queue_max;
};

struct audit {
    void (*wake)(void *arg);
    void *arg;
    struct audit_queue queue; // has its own lock
    _Atomic bool is_on;
    pthread_t thread;
    bool has_thread;
    int turn_fd; // there are orders, or it is the end
    int line_fd; // the queue was empty, and is not any more

    pthread_mutex_t lock; // of what follows
    struct orders orders;
    bool has_orders; // that the thread has not taken
    bool stop;
    struct audit_view state; // the queue's numbers are elsewhere
};

// The thread's own.
struct sender {
    struct audit *audit;
    struct orders orders;
    int fd;                // -1: not connected
    uint32_t num_failures; // in a row
    bool has_given_up;
    size_t len, sent; // of the chunk
    char chunk[CHUNK];
};

// ---- what is known from outside -----------------------------------------------------------------

static void publish(struct sender *sender, const char *error) {
    struct audit *audit = sender->audit;
    pthread_mutex_lock(&audit->lock);
    struct audit_view *state = &audit->state;
    state->num_connected += sender->fd >= 0 && !state->is_connected;
    state->is_connected = sender->fd >= 0;
    state->has_given_up = sender->has_given_up;
    text_copy(state->last_error, sizeof(state->last_error), error);
    pthread_mutex_unlock(&audit->lock);
    audit->wake(audit->arg);
}

static void count_failure(struct audit *audit) {
    pthread_mutex_lock(&audit->lock);
    audit->state.num_failed++;
    pthread_mutex_unlock(&audit->lock);
}

// ---- the connection -----------------------------------------------------------------------------

// What went out whole is sent; a line that was begun goes to the next connection from its start.
static void settle(struct sender *sender) {
    const char *end = sender->sent == 0 ? NULL : memrchr(sender->chunk, '\n', sender->sent);
    if (end != NULL) {
        audit_queue_sent(&sender->audit->queue, (size_t)(end - sender->chunk) + 1);
    }
    sender->len = sender->sent = 0;
}

static void hang_up(struct sender *sender, const char *why) {
    settle(sender);
    socket_close(sender->fd);
    sender->fd = -1;
    publish(sender, why);
}

// False: the connection is gone.
static bool write_some(struct sender *sender) {
    struct iovec rest = {.iov_base = sender->chunk + sender->sent,
                         .iov_len = sender->len - sender->sent};
    ssize_t n = rest.iov_len == 0 ? 0 : socket_send(sender->fd, &rest, 1, false);
    if (n < 0 && errno != EAGAIN && errno != EINTR) {
        hang_up(sender, strerror(errno));
        return false;
    }
    sender->sent += n > 0 ? (size_t)n : 0;
    if (sender->sent == sender->len) {
        settle(sender);
    }
    return true;
}

// A collector has nothing to say: what it says is dropped, its end is the connection's.
static bool hear(struct sender *sender) {
    char dropped[512];
    size_t got = 0;
    if (socket_read(sender->fd, dropped, sizeof(dropped), &got) == SOCKET_FAILED) {
        hang_up(sender, "the collector closed the connection");
        return false;
    }
    return true;
}

static void fill(struct sender *sender) {
    if (sender->len == 0) {
        sender->len = audit_queue_peek(&sender->audit->queue, sender->chunk, CHUNK);
    }
}

// One turn. False: the connection is gone.
static bool serve(struct sender *sender) {
    struct audit *audit = sender->audit;
    fill(sender);
    bool has_lines = sender->len > 0;
    struct pollfd fds[] = {
        {.fd = sender->fd, .events = (short)(POLLIN | (has_lines ? POLLOUT : 0))},
        {.fd = audit->turn_fd, .events = POLLIN},
        {.fd = has_lines ? -1 : audit->line_fd, .events = POLLIN},
    };
    if (poll(fds, 3, -1) <= 0 || fds[1].revents != 0) {
        return true; // orders first: what waits may be for another collector
    }
    eventfd_t count;
    if (fds[2].revents != 0) {
        (void)eventfd_read(audit->line_fd, &count);
    }
    if ((fds[0].revents & (POLLIN | POLLHUP | POLLERR)) != 0 && !hear(sender)) {
        return false;
    }
    return (fds[0].revents & POLLOUT) == 0 || write_some(sender);
}

// Before the connection is closed by our own wish.
static void flush(struct sender *sender) {
    int64_t until_ms = clock_mono_ms() + FLUSH_MS;
    while (sender->fd >= 0) {
        fill(sender);
        struct pollfd out = {.fd = sender->fd, .events = POLLOUT};
        int64_t left_ms = until_ms - clock_mono_ms();
        if (sender->len == 0 || left_ms <= 0) {
            break;
        }
        if (poll(&out, 1, (int)left_ms) > 0) {
            (void)write_some(sender);
        }
    }
}

static void wait_for_turn(struct sender *sender, int64_t most_ms) {
    struct pollfd turn = {.fd = sender->audit->turn_fd, .events = POLLIN};
    (void)poll(&turn, 1, (int)most_ms);
}

static bool has_turn(struct sender *sender) {
    struct pollfd turn = {.fd = sender->audit->turn_fd, .events = POLLIN};
    return poll(&turn, 1, 0) > 0;
}

static void dial(struct sender *sender) {
    struct err err = {0};
    const struct patience patience = {.cancel_fd = sender->audit->turn_fd,
                                      .deadline_ms = clock_mono_ms() + DIAL_MS};
    sender->fd = audit_target_dial(sender->orders.address, &patience, &err);
    if (sender->fd >= 0) {
        sender->num_failures = 0;
        publish(sender, "");
        return;
    }
    if (has_turn(sender)) {
        return; // called off: that says nothing about the collector
    }
    count_failure(sender->audit);
    sender->num_failures++;
    sender->has_given_up = sender->num_failures == sender->orders.max_attempts;
    publish(sender, err.msg);
    if (sender->has_given_up) { // nothing is kept for nobody
        audit_queue_set_max(&sender->audit->queue, 0);
        audit_queue_clear(&sender->audit->queue);
    }
}

// ---- the thread ---------------------------------------------------------------------------------

static void change(struct sender *sender, const struct orders *orders) {
    bool is_same = strcmp(sender->orders.address, orders->address) == 0;
    if (orders->address[0] == '\0' && !audit_is_on(sender->audit)) { // else it is on again already
        flush(sender);
        settle(sender);
        audit_queue_clear(&sender->audit->queue);
    }
    if (!is_same && sender->fd >= 0) {
        hang_up(sender, "");
    }
    audit_queue_set_max(&sender->audit->queue, orders->queue_max);
    sender->orders = *orders;
    sender->num_failures = 0;
    sender->has_given_up = false;
    if (sender->fd < 0) {
        publish(sender, "");
    }
}

// False: it is the end.
static bool take_turn(struct sender *sender) {
    struct audit *audit = sender->audit;
    eventfd_t count;
    pthread_mutex_lock(&audit->lock);
    bool stop = audit->stop;
    bool has_orders = audit->has_orders;
    struct orders orders = audit->orders;
    audit->has_orders = false;
    if (!stop) { // that wish stays readable
        (void)eventfd_read(audit->turn_fd, &count);
    }
    pthread_mutex_unlock(&audit->lock);
    if (has_orders) {
        change(sender, &orders);
    }
    return !stop;
}

static void *run(void *arg) {
    struct sender *sender = arg;
    while (take_turn(sender)) {
        if (sender->orders.address[0] == '\0' || sender->has_given_up) {
            wait_for_turn(sender, -1);
            continue;
        }
        if (sender->fd < 0) {
            dial(sender);
        }
        if (sender->has_given_up) {
            continue;
        }
        // One that takes connections and closes them is no better than one that takes none.
        if (sender->fd < 0 || !serve(sender)) {
            wait_for_turn(sender, sender->orders.interval_ms);
        }
    }
    flush(sender);
    if (sender->fd >= 0) {
        hang_up(sender, "");
    }
    audit_queue_clear(&sender->audit->queue);
    free(sender);
    return NULL;
}

static bool start_thread(struct audit *audit, struct err *err) {
    struct sender *sender = calloc(1, sizeof(*sender));
    if (sender == NULL) {
        return ERR_NO_MEMORY(err, "starting the audit");
    }
    sender->audit = audit;
    sender->fd = -1;
    int errnum = thread_start(&audit->thread, run, sender);
    if (errnum != 0) {
        free(sender);
        return ERR_SET_ERRNO(err, ERR_ENVIRONMENT, errnum, "cannot start the audit's thread");
    }
    audit->has_thread = true;
    return true;
}

// ---- for the others -----------------------------------------------------------------------------

struct audit *audit_new(void (*wake)(void *arg), void *arg) {
    struct audit *audit = calloc(1, sizeof(*audit));
    if (audit == NULL) {
        return NULL;
    }
    audit->wake = wake;
    audit->arg = arg;
    audit_queue_init(&audit->queue);
    pthread_mutex_init(&audit->lock, NULL);
    audit->turn_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    audit->line_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (audit->turn_fd < 0 || audit->line_fd < 0) {
        audit_free(audit);
        return NULL;
    }
    return audit;
}

void audit_free(struct audit *audit) {
    if (audit == NULL) {
        return;
    }
    atomic_store(&audit->is_on, false);
    if (audit->has_thread) {
        pthread_mutex_lock(&audit->lock);
        audit->stop = true;
        (void)eventfd_write(audit->turn_fd, 1);
        pthread_mutex_unlock(&audit->lock);
        pthread_join(audit->thread, NULL);
    }
    socket_close(audit->turn_fd);
    socket_close(audit->line_fd);
    pthread_mutex_destroy(&audit->lock);
    audit_queue_fini(&audit->queue);
    free(audit);
}

bool audit_configure(struct audit *audit, const struct config_audit *options, struct err *err) {
    bool is_on = options->address != NULL;
    if (is_on && !audit->has_thread && !start_thread(audit, err)) {
        return false;
    }
    atomic_store(&audit->is_on, is_on);
    audit_queue_set_max(&audit->queue, options->queue_max_bytes); // room before there are orders
    pthread_mutex_lock(&audit->lock);
    audit->orders = (struct orders){.interval_ms = options->reconnect_interval_ms,
                                    .max_attempts = options->reconnect_max_attempts,
                                    .queue_max = options->queue_max_bytes};
    text_copy(audit->orders.address, sizeof(audit->orders.address), options->address);
    audit->has_orders = true;
    audit->state.is_on = is_on;
    text_copy(audit->state.address, sizeof(audit->state.address), options->address);
    (void)eventfd_write(audit->turn_fd, 1);
    pthread_mutex_unlock(&audit->lock);
    return true;
}

bool audit_is_on(const struct audit *audit) {
    return audit != NULL && atomic_load_explicit(&audit->is_on, memory_order_relaxed);
}

void audit_put(struct audit *audit, const struct audit_record *record) {
    char line[AUDIT_LINE_MAX];
    if (!audit_is_on(audit)) {
        return; // it was, when the connection came
    }
    size_t len = audit_record_render(record, line);
    if (audit_queue_put(&audit->queue, clock_wall_s(), span_of(line, len))) {
        (void)eventfd_write(audit->line_fd, 1);
    }
}

void audit_look(struct audit *audit, struct audit_view *out) {
    struct audit_queue_counts counts = audit_queue_counts(&audit->queue);
    pthread_mutex_lock(&audit->lock);
    *out = audit->state;
    pthread_mutex_unlock(&audit->lock);
    out->num_queued = counts.num_queued;
    out->num_sent = counts.num_sent;
    out->num_dropped = counts.num_dropped;
    out->held = counts.held;
}
