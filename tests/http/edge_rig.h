// An edge with a client and an application made of buffers. What the client sends arrives in pieces
// of `piece` bytes; everything that can move is moved after each.
#ifndef TESTS_HTTP_EDGE_RIG_H
#define TESTS_HTTP_EDGE_RIG_H

#include "agent/http/http_edge.h"
#include "base/buf.h"

#define RIG_BACKS_MAX 256

struct rig;

struct rig_back {
    struct rig *rig;
    struct http_back *back; // NULL once dropped
    bool clean;             // how it was dropped
    bool finished;          // the edge has sent FIN
    struct buf got;         // by the application, in all
    size_t answered;        // of `got`, by the automatic application
};

struct rig {
    struct http_policy *policy;
    struct http_caller caller;
    struct http_edge *edge;
    struct rig_back backs[RIG_BACKS_MAX];
    size_t num_backs;
    struct buf client; // what the client got, in all
    size_t piece;
    size_t app_takes; // bytes that the application takes at a time; SIZE_MAX: all
    bool no_dial;
    bool unconnected; // dialled, and nothing moves yet
    size_t stuck;     // bytes that the edge did not take
    enum http_reason reason;
    int status;
    size_t num_refused;
    char why[HTTP_WHY_MAX];
    // Called when the application has got bytes; NULL: the test answers by rig_app.
    void (*app)(struct rig_back *back);
};

struct rig_setup {
    const struct http_policy_setup *policy; // NULL: none of the rules
    const struct http_caller *caller;       // NULL: encrypted, verified, without facts
    enum http_version client;
    enum http_version application;
};

struct rig *rig_new(const struct rig_setup *setup);
void rig_free(struct rig *rig);
OWN_DEFINE(struct rig, rig_free)

// The client sends; what the edge does not take at once it is offered again, while it takes any.
// The result is what was left.
size_t rig_send(struct rig *rig, struct span bytes);
size_t rig_send_text(struct rig *rig, const char *text);
void rig_pump(struct rig *rig);
// The application sends on its n-th connection.
void rig_app(struct rig *rig, size_t n, struct span bytes);
void rig_app_text(struct rig *rig, size_t n, const char *text);
void rig_app_end(struct rig *rig, size_t n);

// An application that answers each HTTP/1.1 request with 200 and the body "ok" at once.
void rig_app_ok(struct rig_back *back);

// Compares everything that a side has got so far, and forgets it.
bool rig_client_got(struct rig *rig, const char *text);
bool rig_app_got(struct rig *rig, size_t n, const char *text);

#endif
