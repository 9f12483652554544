// The deadlines of a connection to an `http` port: of a request's head, of a client without
// requests, of the application's silence, and of the end.
#include "agent/worker/conn_http.h"
#include "agent/worker/conn_internal.h"
#include "agent/worker/worker.h"
#include "base/clock.h"

#define HEAD_MS 30000  // for a request's head, once it has begun
#define LINGER_MS 2000 // for a client to close after the last answer

static void sooner(int64_t *deadline, int64_t other) {
    if (other != 0 && (*deadline == 0 || other < *deadline)) {
        *deadline = other;
    }
}

static void note_times(struct conn_http *http, int64_t now) {
    if (!http_edge_is_reading_head(http->edge)) {
        http->head_since = 0;
    } else if (http->head_since == 0 || http->head_counted != http->counted) {
        http->head_since = now; // another one's
        http->head_counted = http->counted;
    }
    bool waits = http_edge_is_idle(http->edge) && http->head_since == 0 && !http->near_finished;
    if (!waits) {
        http->idle_since = 0;
    } else if (http->idle_since == 0 || http->idle_counted != http->counted) {
        http->idle_since = now;
        http->idle_counted = http->counted;
    }
    bool lingers = http->near_finished && http_edge_is_idle(http->edge);
    if (lingers && http->linger_till == 0) {
        http->linger_till = now + LINGER_MS;
    }
}

void conn_http_tick(struct conn *conn) {
    LIST_FOR_EACH(&conn->http->links, it) {
        conn_app_tick(LIST_ENTRY(it, struct app_link, node));
    }
}

void conn_http_arm(struct conn *conn) {
    struct conn_http *http = conn->http;
    int64_t now = clock_mono_ms();
    int64_t deadline = 0;
    note_times(http, now);
    sooner(&deadline, http->head_since == 0 ? 0 : http->head_since + HEAD_MS);
    sooner(&deadline, http->linger_till);
    sooner(&deadline, http->drain_till > now ? http->drain_till : 0);
    sooner(&deadline, http->idle_since == 0 ? 0 : http->idle_since + http->read_timeout_ms);
    LIST_FOR_EACH(&http->links, it) {
        struct app_link *link = LIST_ENTRY(it, struct app_link, node);
        conn_app_arm(link);
        sooner(&deadline, conn_app_deadline(link));
    }
    bool reads = !http->near_ended && http_edge_wants_input(http->edge);
    conn->near->ops->arm(conn->near, reads, http->near_blocked);
    int64_t wait = deadline - now > 0 ? deadline - now : 1;
    conn->timer.repeat = deadline == 0 ? 0 : (double)wait / 1e3;
    ev_timer_again(conn->worker->loop, &conn->timer);
}

// GOAWAY, or the connection's end between two requests. False: what was answered before that is
// not taken, and the connection is at its end.
static bool let_go_of_idle(struct conn *conn, int64_t now) {
    struct conn_http *http = conn->http;
    uint64_t sent = conn->relay.down.bytes;
    if (http->idle_told && http->idle_sent == sent) {
        conn_end_why(conn, CLOSE_HTTP_REFUSED,
                     "port %u: the client took nothing of its answers for readTimeout",
                     conn->destination.port);
        return false;
    }
    http->idle_told = true;
    http->idle_sent = sent;
    http->idle_since = now;
    http_edge_close_idle(http->edge);
    return true;
}

void conn_http_on_timer(struct conn *conn) {
    struct conn_http *http = conn->http;
    int64_t now = clock_mono_ms();
    if (http->linger_till != 0 && now >= http->linger_till) {
        conn_end(conn, CLOSE_DONE);
        return;
    }
    if (http->head_since != 0 && now >= http->head_since + HEAD_MS) {
        conn_end_why(conn, CLOSE_HTTP_REFUSED, "port %u: a request's head took longer than %d s",
                     conn->destination.port, HEAD_MS / 1000);
        return;
    }
    if (http->idle_since != 0 && now >= http->idle_since + http->read_timeout_ms &&
        !let_go_of_idle(conn, now)) {
        return;
    }
    LIST_FOR_EACH(&http->links, it) {
        struct app_link *link = LIST_ENTRY(it, struct app_link, node);
        int64_t deadline = link->back == NULL ? 0 : conn_app_deadline(link);
        if (deadline != 0 && now >= deadline) {
            conn_app_on_deadline(link);
        }
    }
    conn_step(conn);
}
