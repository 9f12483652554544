// What an inbound connection to an `http` port has besides: its edge, and connections to the
// application. For the connection's files only.
#ifndef AGENT_WORKER_CONN_HTTP_H
#define AGENT_WORKER_CONN_HTTP_H

#include "agent/http/http_edge.h"
#include "agent/worker/conn.h"

struct conn_http {
    struct http_edge *edge;
    struct http_caller caller;
    struct http_fields facts; // headers about the client; empty: none
    struct netaddr to;        // the application
    struct list links;
    bool has_spare;        // the descriptor that was taken for the application is not in use
    bool near_ended;       // the client's FIN has come
    bool near_finished;    // and ours is on its way
    bool near_blocked;     // what it does not take waits
    size_t moved;          // bytes in this turn
    uint64_t counted;      // requests
    uint64_t head_counted; // when the head was begun
    int64_t head_since;    // monotonic ms; 0: no head is being read
    int64_t linger_till;   // 0: not yet
    int64_t drain_till;    // when the worker drains: idle until then, a request may still come
    int64_t idle_since;    // monotonic ms; 0: a request is there
    uint64_t idle_counted; // requests at that time: PINGs do not prolong it
    bool idle_told;        // it was asked to go
    uint64_t idle_sent;    // bytes, at that time
    int64_t read_timeout_ms, send_timeout_ms;
};

// A connection to the application, for one back of the edge.
struct app_link {
    struct list_node node; // conn_http.links
    struct conn *conn;
    struct http_back *back; // NULL: to be let go
    bool clean;             // how
    int dialling_fd;        // -1 once connected
    int errnum;             // why it could not be dialled; 0
    ev_io dial_io;
    struct leg *leg; // NULL while dialling
    union {
        struct leg_socket socket;
        struct leg_tls tls;
    } as;
    bool handshaking;
    bool probes;  // TCP keepalive is on
    bool took_fd; // from the budget; else it uses the spare one
    bool ended;   // the application's FIN has come
    bool finished;
    bool blocked;
    int64_t since; // monotonic ms: when something last moved
};

// conn_app.c
bool conn_app_dial(void *conn, struct http_back *back);
void conn_app_drop(void *conn, struct http_back *back, bool clean);
bool conn_app_step(struct app_link *link); // true: something moved
void conn_app_arm(struct app_link *link);
void conn_app_tick(struct app_link *link); // once a second
// When the link must have moved, monotonic ms; 0: never.
int64_t conn_app_deadline(const struct app_link *link);
void conn_app_on_deadline(struct app_link *link);
void conn_app_let_go(struct app_link *link); // frees it

#endif
