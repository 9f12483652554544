// Direct connections to ports where TLS may end that have not shown yet who they are: a worker
// holds so many of them, and the oldest gives way, as in the tunnel listener.
#include "agent/worker/conn_internal.h"
#include "agent/worker/worker.h"

static bool is_unproven(const struct conn *conn) {
    return conn->state == CONN_ASKED || conn->state == CONN_PROXY || conn->state == CONN_SNIFF ||
           conn->state == CONN_SNIFF_TLS || conn->state == CONN_NEAR_HANDSHAKE;
}

static void make_room(struct worker *worker) {
    size_t num = worker->num_unproven;
    if (num < WORKER_HANDSHAKES_MAX && (int)num < atomic_load(&worker->shared->fds.left)) {
        return;
    }
    if (num > 0) {
        struct conn *oldest = LIST_ENTRY(worker->unproven.head.next, struct conn, unproven_node);
        conn_end_why(oldest, CLOSE_LIMIT, "too many handshakes at once; the oldest gave way");
    }
}

void conn_unproven_forget(struct conn *conn) {
    if (list_is_linked(&conn->unproven_node)) {
        list_remove(&conn->unproven_node);
        conn->worker->num_unproven--;
    }
}

void conn_unproven_note(struct conn *conn) {
    struct worker *worker = conn->worker;
    if (!is_unproven(conn)) {
        conn_unproven_forget(conn);
        return;
    }
    if (!list_is_linked(&conn->unproven_node)) {
        make_room(worker);
        list_append(&worker->unproven, &conn->unproven_node);
        worker->num_unproven++;
    }
}
