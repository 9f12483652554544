// The addresses of Kubernetes Services. Outbound: which pod's sidecar is behind one, asked on a
// connection of its own, by the way that the application's own would take. Inbound: the answer.
#include <stdlib.h>
#include <string.h>

#include "agent/mesh/whereabouts.h"
#include "agent/net/socket.h"
#include "agent/worker/conn_internal.h"
#include "agent/worker/worker.h"
#include "base/clock.h"

// --- asking

// What has come of an answer.
struct pod_answer {
    size_t len;
    uint8_t bytes[WHEREABOUTS_ANSWER_MAX];
};

static void stop_asking(struct conn *conn) {
    conn_stop_dial(conn);
    free(take(&conn->pod_answer));
}

enum conn_state conn_start_locate(struct conn *conn) {
    conn->pod_answer = calloc(1, sizeof(*conn->pod_answer));
    if (conn->pod_answer == NULL) {
        conn_end(conn, CLOSE_NO_MEMORY);
        return CONN_DEAD;
    }
    return conn_start_dial(conn, &conn->destination);
}

enum conn_state conn_locate_failed(struct conn *conn, const char *why) {
    struct destinations *known = conn->worker->shared->destinations;
    char text[NETADDR_TEXT_MAX];
    stop_asking(conn);
    if (destinations_look_up(known, &conn->destination, clock_wall_ms()) != DESTINATION_SERVICE) {
        return conn_not_in_mesh(conn, CLOSE_TUNNEL_UNREACHABLE, why);
    }
    conn_end_why(conn, CLOSE_TUNNEL_UNREACHABLE,
                 "sidecars are behind %s, but which one could not be asked: %s",
                 netaddr_format(&conn->destination, text), why);
    return CONN_DEAD;
}

void conn_on_locate_timeout(struct conn *conn) {
    enum conn_state next = conn_locate_failed(
        conn, "neither its tunnel port nor a sidecar at the port itself answers");
    if (next != CONN_DEAD) {
        conn->state = next;
        conn_step(conn);
    }
}

enum conn_state conn_ask(struct conn *conn) {
    if (!socket_send_whole(conn->dialling_fd, whereabouts_question())) {
        return conn_locate_failed(conn, "the question could not be sent");
    }
    ev_io_set(&conn->dial_io, conn->dialling_fd, EV_READ);
    ev_io_start(conn->worker->loop, &conn->dial_io);
    return CONN_LOCATE;
}

// The pod is where peers may be, and of the same family: whoever answers sends us nowhere else.
static enum conn_state take_pod(struct conn *conn, const struct netaddr *pod) {
    const struct config_outbound *outbound = &conn->snapshot->config->outbound;
    struct destinations *known = conn->worker->shared->destinations;
    char text[NETADDR_TEXT_MAX];
    stop_asking(conn);
    if (pod->family != conn->destination.family ||
        !prefix_list_contains(&outbound->mesh_networks, pod)) {
        conn_end_why(conn, CLOSE_TUNNEL_UNREACHABLE,
                     "the sidecar behind it says that it is %s, which is not in "
                     "outbound.mesh.networks",
                     netaddr_format(pod, text));
        return CONN_DEAD;
    }
    destinations_note_service(known, &conn->destination, clock_wall_ms(),
                              outbound->mesh_pin_for_ms);
    conn->service = conn->destination;
    conn->destination = *pod;
    conn->tries = 0;
    return CONN_NEW;
}

enum conn_state conn_step_locate(struct conn *conn) {
    struct pod_answer *answer = conn->pod_answer;
    for (;;) {
        size_t got = 0;
        struct netaddr pod;
        switch (socket_read(conn->dialling_fd, answer->bytes + answer->len,
                            sizeof answer->bytes - answer->len, &got)) {
        case SOCKET_OK:
            answer->len += got;
            break;
        case SOCKET_AGAIN:
            return CONN_LOCATE;
        default:
            return conn_locate_failed(conn, "neither its tunnel port nor a sidecar at the port "
                                            "itself answers");
        }
        switch (whereabouts_parse(span_of(answer->bytes, answer->len), &pod)) {
        case WHEREABOUTS_INCOMPLETE:
            break;
        case WHEREABOUTS_KNOWN:
            return take_pod(conn, &pod);
        case WHEREABOUTS_NONSENSE:
            return conn_locate_failed(conn, "its tunnel port does not answer, and what answers at "
                                            "the port itself is no sidecar");
        }
    }
}

// --- answering

enum conn_state conn_start_asked(struct conn *conn) {
    conn->near->ops->arm(conn->near, true, false);
    return CONN_ASKED;
}

static enum conn_state tell(struct conn *conn) {
    int fd = conn->near_leg.socket.fd;
    size_t question = WHEREABOUTS_QUESTION_LEN;
    char answer[WHEREABOUTS_ANSWER_MAX];
    size_t len = whereabouts_answer(&conn->destination, answer);
    (void)socket_drop(fd, &question); // unread bytes would make a reset of the end
    conn->has_lingered = socket_send_whole(fd, span_of((uint8_t *)answer, len));
    conn_end(conn, CLOSE_TOLD);
    return CONN_DEAD;
}

enum conn_state conn_step_asked(struct conn *conn) {
    uint8_t bytes[WHEREABOUTS_QUESTION_LEN];
    size_t got = 0;
    enum socket_outcome outcome =
        socket_peek_many(conn->near_leg.socket.fd, bytes, sizeof bytes, &got);
    if (outcome == SOCKET_AGAIN) {
        return CONN_ASKED;
    }
    bool asks = outcome == SOCKET_OK && whereabouts_is_question(span_of(bytes, got));
    return asks ? tell(conn) : conn_admit_direct(conn);
}

void conn_on_asked_timeout(struct conn *conn) {
    enum conn_state next = conn_admit_direct(conn);
    if (conn->state != CONN_DEAD) {
        conn->state = next;
        conn_step(conn);
    }
}
