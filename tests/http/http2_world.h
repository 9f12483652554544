// A client that speaks HTTP/2 in front of an edge, and behind it an application that speaks
// HTTP/1.1 (the rig's) or HTTP/2.
#ifndef TESTS_HTTP_HTTP2_WORLD_H
#define TESTS_HTTP_HTTP2_WORLD_H

#include "agent/http/http2_session.h"
#include "tests/http/edge_rig.h"

#define HTTP2_FLOWS_MAX 200

#define GRPC "application/grpc"

// The fields of a request to the authority "h": REQUEST("GET", "/", "name", "value", ).
#define REQUEST(method, path, ...)                                                                 \
    (const char *const[]) {                                                                        \
        ":method", method, ":scheme", "https", ":path", path, ":authority", "h", __VA_ARGS__ NULL  \
    }

struct flow { // a stream as one end sees it
    struct http2_stream *stream;
    struct http_fields head;
    struct http_fields trailers;
    struct buf body;
    int num_heads, num_ends, num_closed;
    uint32_t error;
    bool no_credit; // does not consume
};

struct end {
    struct http2_session *session;
    struct flow flows[HTTP2_FLOWS_MAX];
    size_t num_flows;
};

struct http2_world {
    struct rig *rig;
    struct end *client; // NULL: it speaks HTTP/1.1, by the rig
    struct end *app;    // HTTP/2, on the rig's first connection; NULL
};

void http2_world_init(struct http2_world *world, const struct rig_setup *setup, bool http2_app);
void http2_world_fini(struct http2_world *world);
// Moves frames until nothing moves any more.
void http2_world_settle(struct http2_world *world);
// Opens a stream with these names and values (NULL at the end; REQUEST), and settles.
struct flow *http2_world_ask(struct http2_world *world, const char *const *fields, bool end);

bool fields_have(const struct http_fields *fields, const char *name, const char *value);

#endif
