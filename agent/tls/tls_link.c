#include "agent/tls/tls_link.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>

#include "agent/net/socket.h"
#include "base/check.h"

void tls_link_init(struct tls_link *link, struct tls_turn *turn, struct tls_stream *stream,
                   int fd) {
    *link = (struct tls_link){.stream = stream, .fd = fd, .turn = turn};
}

static void let_input_go(struct tls_link *link) {
    link->turn->input_holder = NULL;
    if (link->displaced != NULL) {
        link->displaced(link);
    }
}

// Copies the ciphertext that the stream has not consumed out of the shared input area.
static void put_input_away(struct tls_link *link) {
    struct span rest = tls_stream_unread(link->stream);
    let_input_go(link);
    if (rest.len > 0 && !buf_append(&link->carry, rest.ptr, rest.len)) {
        link->broken = true;
    }
    tls_stream_feed(link->stream, span_of(NULL, 0));
}

static void hold_input(struct tls_link *link) {
    struct tls_turn *turn = link->turn;
    if (turn->input_holder == link) {
        return;
    }
    if (turn->input_holder != NULL) {
        put_input_away(turn->input_holder);
    }
    turn->input_holder = link;
    struct span carry = buf_span(&link->carry);
    CHECK(carry.len <= TLS_CARRY_MAX);
    if (carry.len > 0) {
        memcpy(turn->input, carry.ptr, carry.len);
    }
    tls_stream_feed(link->stream, span_of(turn->input, carry.len));
    buf_clear(&link->carry);
}

static void hold_output(struct tls_link *link) {
    struct tls_turn *turn = link->turn;
    if (turn->output_holder == link) {
        return;
    }
    tls_turn_flush(turn);
    turn->output_holder = link;
    tls_stream_attach(link->stream, &turn->output);
}

// Receives behind what is unread. False: nothing new.
static bool fill(struct tls_link *link) {
    if (link->drained || link->ended || link->broken) {
        return false;
    }
    struct tls_turn *turn = link->turn;
    struct span rest = tls_stream_unread(link->stream);
    if (rest.len > 0) {
        memmove(turn->input, rest.ptr, rest.len);
    }
    ssize_t got = recv(link->fd, turn->input + rest.len, TLS_INPUT_SIZE, 0);
    if (got > 0) {
        link->drained = got < TLS_INPUT_SIZE;
        tls_stream_feed(link->stream, span_of(turn->input, rest.len + (size_t)got));
        return true;
    }
    tls_stream_feed(link->stream, span_of(turn->input, rest.len));
    link->drained = true;
    if (got == 0) {
        link->ended = true;
        tls_stream_input_ended(link->stream);
        return true;
    }
    link->broken = errno != EAGAIN && errno != EINTR;
    return false;
}

void tls_link_wake(struct tls_link *link) {
    link->drained = false;
}

void tls_link_enough(struct tls_link *link) {
    link->drained = true;
}

// A flight that has not been sent cannot have been answered: asking would cost a call to hear so.
static bool has_unsent(const struct tls_link *link) {
    return link->turn->output_holder == link && link->turn->output.len > 0;
}

enum tls_status tls_link_handshake(struct tls_link *link) {
    hold_input(link);
    hold_output(link);
    enum tls_status status;
    do {
        status = tls_stream_handshake(link->stream);
    } while (status == TLS_AGAIN && !has_unsent(link) && fill(link));
    if (status != TLS_OK) {
        // A flight is complete when more input is wanted, and an alert should not wait either.
        (void)tls_link_flush(link);
    }
    return status == TLS_AGAIN && link->broken ? TLS_FAILED : status;
}

enum tls_status tls_link_read_runs(struct tls_link *link, struct tls_runs *out) {
    struct tls_turn *turn = link->turn;
    struct iovec room = {.iov_base = turn->plain, .iov_len = sizeof(turn->plain)};
    hold_input(link);
    hold_output(link); // for alerts
    enum tls_status status;
    do {
        status = tls_stream_read_runs(link->stream, room, out);
    } while (status == TLS_AGAIN && fill(link));
    return status == TLS_AGAIN && link->broken ? TLS_FAILED : status;
}

enum tls_status tls_link_write(struct tls_link *link, const uint8_t *bytes, size_t len, size_t *n) {
    hold_output(link);
    *n = 0;
    enum tls_status status = TLS_OK;
    while (*n < len && status == TLS_OK) {
        size_t taken = 0;
        status = tls_stream_write(link->stream, bytes + *n, len - *n, &taken);
        *n += status == TLS_OK ? taken : 0;
        if (status == TLS_AGAIN && tls_link_flush(link) == TLS_OK) {
            hold_output(link);
            status = TLS_OK;
        }
    }
    return *n > 0 && status != TLS_FAILED ? TLS_OK : status;
}

void tls_link_close_notify(struct tls_link *link) {
    hold_output(link);
    tls_stream_close_notify(link->stream);
}

// Sends the backlog, then the scratch, in one call. False: broken. `*unsent` is the scratch's rest.
static bool send_once(struct tls_link *link, struct span *unsent, bool more) {
    struct span backlog = tls_stream_backlog(link->stream);
    struct iovec run[2] = {
        {.iov_base = (void *)(uintptr_t)backlog.ptr, .iov_len = backlog.len},
        {.iov_base = (void *)(uintptr_t)unsent->ptr, .iov_len = unsent->len},
    };
    size_t first = backlog.len == 0 ? 1 : 0;
    ssize_t sent = socket_send(link->fd, run + first, 2 - first, more);
    if (sent < 0) {
        return errno == EAGAIN || errno == EINTR;
    }
    size_t from_backlog = (size_t)sent < backlog.len ? (size_t)sent : backlog.len;
    tls_stream_backlog_sent(link->stream, from_backlog);
    *unsent = span_after(*unsent, (size_t)sent - from_backlog);
    return true;
}

static enum tls_status flush(struct tls_link *link, bool more) {
    struct tls_turn *turn = link->turn;
    struct span unsent = span_of(turn->output.bytes, 0);
    if (turn->output_holder == link) {
        unsent.len = turn->output.len;
        turn->output.len = 0;
        turn->output_holder = NULL;
        tls_stream_attach(link->stream, NULL);
    }
    if (link->broken || link->unsendable) {
        return TLS_FAILED;
    }
    if (unsent.len == 0 && tls_stream_backlog(link->stream).len == 0) {
        return TLS_OK;
    }
    if (!send_once(link, &unsent, more) || !tls_stream_keep_unsent(link->stream, unsent)) {
        link->unsendable = true;
        return TLS_FAILED;
    }
    return tls_link_wants_write(link) ? TLS_AGAIN : TLS_OK;
}

enum tls_status tls_link_flush(struct tls_link *link) {
    return flush(link, false);
}

enum tls_status tls_link_flush_last(struct tls_link *link) {
    return flush(link, true);
}

bool tls_link_wants_write(const struct tls_link *link) {
    return !link->broken && !link->unsendable && tls_stream_backlog(link->stream).len > 0;
}

void tls_turn_flush(struct tls_turn *turn) {
    if (turn->output_holder != NULL) {
        tls_link_flush(turn->output_holder); // a failure shows as `broken` and wakes the owner
    }
}

static void leave_turn(struct tls_link *link) {
    if (link->turn->input_holder == link) {
        let_input_go(link);
    }
    if (link->turn->output_holder == link) {
        link->turn->output_holder = NULL;
        link->turn->output.len = 0;
        tls_stream_attach(link->stream, NULL);
    }
    buf_fini(&link->carry);
}

void tls_link_close(struct tls_link *link) {
    leave_turn(link);
    socket_close(link->fd);
    link->fd = -1;
    link->broken = true;
}

void tls_link_fini(struct tls_link *link, bool reset) {
    leave_turn(link);
    tls_stream_free(take(&link->stream));
    if (reset && link->fd >= 0) {
        socket_reset(link->fd);
    } else {
        socket_close(link->fd);
    }
    link->fd = -1;
}
