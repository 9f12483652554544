// What the files of http_edge share; nobody else includes this.
//
// A front speaks with the client, a back with the application, an exchange is one request and its
// answer between them. Fronts call backs and backs only buffer; backs call fronts and fronts only
// buffer; so no call comes back to its caller. What dies is freed by http_edge_settle, when no
// function of a front or back is on the stack.
#ifndef AGENT_HTTP_HTTP_INTERNAL_H
#define AGENT_HTTP_HTTP_INTERNAL_H

#include "agent/http/http_exchange.h"
#include "base/buf.h"
#include "base/list.h"

#define HTTP_IDLE_BACKS_MAX 4

struct http_back_ops { // what a front or the edge asks
    bool (*submit)(struct http_back *back, struct http_exchange *ex); // false: memory is short
    size_t (*room)(const struct http_back *back, const struct http_exchange *ex);
    bool (*data)(struct http_back *back, struct http_exchange *ex, struct span bytes);
    bool (*end)(struct http_back *back, struct http_exchange *ex, struct http_fields *trailers);
    void (*cancel)(struct http_back *back, struct http_exchange *ex);  // forget it
    void (*drained)(struct http_back *back, struct http_exchange *ex); // the front has sent some
    size_t (*receive)(struct http_back *back, struct span bytes);
    bool (*wants_input)(const struct http_back *back);
    void (*ended)(struct http_back *back);
    void (*lost)(struct http_back *back, enum http_reason reason, const char *why);
    void (*fill)(struct http_back *back); // frames into `out`
    void (*sent)(struct http_back *back); // some of `out` is gone
    bool (*is_waiting)(const struct http_back *back);
    bool (*is_held)(const struct http_back *back); // by clients that do not take the answer
    bool (*is_starved)(const struct http_back *back);
    void (*free)(struct http_back *back);
};

struct http_back {
    struct list_node node; // edge->backs
    const struct http_back_ops *ops;
    struct http_edge *edge;
    void *arg;
    struct buf out;
    bool http2;
    bool idle;   // may be given another request
    bool dead;   // to be dropped
    bool clean;  // in order
    bool finish; // FIN after `out`
};

struct http1_front;
struct http2_front;

struct http_edge {
    const struct http_policy *policy;
    const struct http_caller *caller;
    enum http_version client;
    enum http_version application;
    const struct http_edge_env *env;
    void *arg;
    struct list backs;
    struct buf out;             // towards the client
    struct http1_front *front1; // one of them, once the version is known
    struct http2_front *front2;
    size_t sniffed; // bytes that begin like HTTP/2's preface
    uint64_t num_requests;
    bool settling;
    bool client_ended;
    bool finished;
    bool broken;
    bool draining;
};

// http_edge.c: the end of every call from outside: drops what is dead.
void http_edge_settle(struct http_edge *edge);
// What a client is answered when a back is lost: 408, 502 or 504.
int http_back_status_of(enum http_reason reason);
// A back for the request, idle or new; NULL when there can be none.
struct http_back *http_edge_back_for(struct http_edge *edge, const struct http_exchange *ex,
                                     bool fresh) MUST_USE;

// http1_front.c, http2_front.c
struct http1_front *http1_front_new(struct http_edge *edge) MUST_USE;
void http1_front_free(struct http1_front *front);
size_t http1_front_receive(struct http1_front *front, struct span bytes);
bool http1_front_wants_input(const struct http1_front *front);
void http1_front_ended(struct http1_front *front);
void http1_front_sent(struct http1_front *front);
bool http1_front_is_idle(const struct http1_front *front);
bool http1_front_is_reading_head(const struct http1_front *front);

struct http2_front *http2_front_new(struct http_edge *edge) MUST_USE;
void http2_front_free(struct http2_front *front);
size_t http2_front_receive(struct http2_front *front, struct span bytes);
bool http2_front_wants_input(const struct http2_front *front);
void http2_front_ended(struct http2_front *front);
void http2_front_fill(struct http2_front *front);
bool http2_front_is_idle(const struct http2_front *front);
bool http2_front_is_reading_head(const struct http2_front *front);
void http2_front_forewarn(struct http2_front *front);
void http2_front_drain(struct http2_front *front);

// http1_back.c, http2_back.c
struct http_back *http1_back_new(struct http_edge *edge) MUST_USE;
struct http_back *http2_back_new(struct http_edge *edge) MUST_USE;
bool http2_back_has_room(const struct http_back *back);

// http1_write.c: heads and bodies as text. False: memory is short.
bool http1_write_request(struct buf *out, const struct http_exchange *ex) MUST_USE;
bool http1_write_response(struct buf *out, const struct http_exchange *ex, bool chunked,
                          const char *connection) MUST_USE;
bool http1_write_data(struct buf *out, struct span bytes, bool chunked) MUST_USE;
bool http1_write_last_chunk(struct buf *out, const struct http_fields *trailers) MUST_USE;

#endif
