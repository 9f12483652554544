// What the files of http2_session share. nghttp2 is included by them and by nobody else here.
#ifndef AGENT_HTTP_HTTP2_INTERNAL_H
#define AGENT_HTTP_HTTP2_INTERNAL_H

#include <nghttp2/nghttp2.h>

#include "agent/http/http2_session.h"
#include "base/list.h"

#define HTTP2_OUT_MAX (64 * 1024) // per stream, before the other side is kept from sending more
// What all streams together may hold of bytes that nobody has taken, before the connection gets no
// further credit; what is on its way then, as much again, comes on top.
#define HTTP2_HELD_MAX (8 * HTTP2_STREAM_WINDOW)
// Frames waiting besides DATA: a peer that causes answers and does not read them.
#define HTTP2_QUEUE_MAX 1000

struct http2_stream {
    struct list_node node; // session->streams
    struct http2_session *session;
    void *arg;
    int32_t id;
    struct http_fields fields; // of the block that is being received
    struct buf out;
    struct http_fields trailers;
    size_t unconsumed;
    bool too_large;
    bool had_head; // the final one: what comes now are trailers
    bool peer_ended;
    bool end_wanted;
    bool end_sent;
    bool answered; // server
};

struct http2_session {
    nghttp2_session *ng;
    const struct http2_events *on;
    void *arg;
    struct list streams;
    size_t num_streams;
    size_t held;                        // sum of the streams' `unconsumed`
    size_t owed;                        // credit for the connection, held back
    const struct http2_stream *reading; // server: whose head has begun and not ended; NULL: none's
    bool server;
    bool failed;
    bool forewarned; // the client has been asked to open no further ones
    bool going_away; // no further streams, by either side's wish
};

// http2_callbacks.c
bool http2_callbacks_open(struct http2_session *session) MUST_USE;

// http2_stream.c
// Gives the connection its credit unless too much is held. False: memory is short.
bool http2_stream_credit_connection(struct http2_session *session) MUST_USE;
struct http2_stream *http2_stream_new(struct http2_session *session) MUST_USE;
void http2_stream_free(struct http2_stream *stream);
nghttp2_data_provider http2_stream_provider(struct http2_stream *stream);

#endif
