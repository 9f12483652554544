// How the legs of a connection are set up: its sockets, and TLS over them.
#include "agent/worker/conn_internal.h"
#include "agent/worker/worker.h"

struct leg *conn_leg_tls(struct conn *conn, struct leg_tls *leg, struct tls_stream *stream,
                         int fd) {
    struct leg_tls_setup setup = {
        .loop = conn->worker->loop,
        .turn = &conn->worker->scratch->turn,
        .stream = stream,
        .fd = fd,
        .wake = conn_wake,
        .arg = conn,
    };
    leg_tls_init(leg, &setup);
    return &leg->leg;
}

struct leg *conn_leg_socket(struct conn *conn, struct leg_socket *leg, int fd, bool dialled) {
    // Outbound, the application is near; inbound, it is far.
    bool is_application = dialled != (conn->kind == CONN_OUTBOUND);
    struct leg_socket_setup setup = {
        .loop = conn->worker->loop,
        .scratch = &conn->worker->scratch->socket,
        .fd = fd,
        .dialled = dialled,
        .reset_reason = is_application ? CLOSE_APP_RESET : CLOSE_PEER_RESET,
        .wake = conn_wake,
        .arg = conn,
    };
    leg_socket_init(leg, &setup);
    return &leg->leg;
}
