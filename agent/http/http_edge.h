// One client's connection to an `http` port, without I/O: the client's plaintext in, plaintext out,
// and connections to the application ("backs") that are asked for and fed by whoever has sockets.
// HTTP/1.1 and HTTP/2 towards the client; HTTP/1.1 towards the application, or HTTP/2 without TLS
// (h2c) for gRPC. Every request is judged by the policy, cleaned, and given the client's facts.
//
// Order of things: after any call, output may have changed, and so may what is wanted as input.
// A back may be gone when a call returns: `drop` told so. Not thread-safe.
#ifndef AGENT_HTTP_HTTP_EDGE_H
#define AGENT_HTTP_HTTP_EDGE_H

#include <stdbool.h>
#include <stddef.h>

#include "agent/http/http_policy.h"
#include "base/own.h"
#include "base/span.h"

// Bytes that may wait in an output before more is taken from the other side.
#define HTTP_EDGE_OUT_MAX (64 * 1024)

enum http_version { HTTP_VERSION_ANY, HTTP_VERSION_1, HTTP_VERSION_2 };

struct http_edge;
struct http_back;

struct http_edge_env {
    // A connection to the application is wanted for `back`; its bytes come and go by http_back_*,
    // called later, never from inside this. False: none can be had now.
    bool (*dial)(void *arg, struct http_back *back);
    // It is no longer wanted: close it, in order when `clean`, else with RST. `back` is freed when
    // this returns.
    void (*drop)(void *arg, struct http_back *back, bool clean);
    // A request was answered here, and not by the application; or its stream was reset, then with
    // the status that says most about it.
    void (*refused)(void *arg, enum http_reason reason, int status, const char *why);
};

struct http_edge_setup {
    const struct http_policy *policy; // both borrowed for as long as the edge lives
    const struct http_caller *caller;
    enum http_version client;      // what ALPN agreed on; ANY: by the first bytes
    enum http_version application; // ANY: HTTP/2 for gRPC over HTTP/2, else HTTP/1.1
    const struct http_edge_env *env;
    void *arg;
};

struct http_edge *http_edge_new(const struct http_edge_setup *setup) MUST_USE;
void http_edge_free(struct http_edge *edge); // drops every back
OWN_DEFINE(struct http_edge, http_edge_free)

// ---- the client's side --------------------------------------------------------------------------

// Takes from the front of `bytes`; fewer when the application has to take some first.
size_t http_edge_receive(struct http_edge *edge, struct span bytes);
bool http_edge_wants_input(const struct http_edge *edge);
void http_edge_end(struct http_edge *edge); // the client's FIN, after everything it sent
// What is to be sent, up to a bound; valid until the next call. Then how much of it was.
struct span http_edge_output(struct http_edge *edge);
void http_edge_sent(struct http_edge *edge, size_t len);

enum http_edge_state {
    HTTP_EDGE_OPEN,
    HTTP_EDGE_FINISHED, // send what is queued, then FIN; what still comes in may be thrown away
    HTTP_EDGE_OVER,     // both sides have finished: close
    HTTP_EDGE_BROKEN,   // an answer cannot be completed: send what is queued, then RST
};
enum http_edge_state http_edge_state(struct http_edge *edge);
// Waiting for the first or the rest of a request's head: a client's slowness, not the
// application's.
bool http_edge_is_reading_head(const struct http_edge *edge);
// No request is under way, or none will be answered any more.
bool http_edge_is_idle(const struct http_edge *edge);
uint64_t http_edge_num_requests(const struct http_edge *edge);
// Requests that are on their way are still answered, by HTTP/1.x with Connection: close; HTTP/2 is
// told with a first GOAWAY to open no more streams.
void http_edge_drain(struct http_edge *edge);
// As above, and a connection without a request under way ends now; the last GOAWAY.
void http_edge_close_idle(struct http_edge *edge);

// ---- the application's side ---------------------------------------------------------------------

void http_back_set_arg(struct http_back *back, void *arg);
void *http_back_arg(const struct http_back *back);
bool http_back_is_http2(const struct http_back *back); // what ALPN is to ask the application for
size_t http_back_receive(struct http_back *back, struct span bytes);
bool http_back_wants_input(const struct http_back *back);
void http_back_end(struct http_back *back); // the application's FIN
// It could not be connected, was reset, or took too long.
void http_back_lost(struct http_back *back, enum http_reason reason, const char *why);
struct span http_back_output(struct http_back *back);
void http_back_sent(struct http_back *back, size_t len);
bool http_back_wants_finish(const struct http_back *back); // FIN after the output
bool http_back_is_waiting(const struct http_back *back);   // for an answer, with all sent
// Its answers wait for clients that do not take them.
bool http_back_is_held(const struct http_back *back);
// It speaks HTTP/1.1 and has not begun to answer; the rest of the request has not come.
bool http_back_is_starved(const struct http_back *back);

#endif
