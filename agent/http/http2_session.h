// HTTP/2 messages (RFC 9113 section 8) without I/O, as a server towards clients and as a client
// towards the application. The door to nghttp2 for HTTP (the tunnel's CONNECT has its own, in
// agent/tunnel/h2.h). A session carries streams; a stream is one request and its answer.
//
// Events run inside http2_session_receive and http2_session_fill. They may call every function of
// streams, but not these two, and must not free the session. Not thread-safe.
#ifndef AGENT_HTTP_HTTP2_SESSION_H
#define AGENT_HTTP_HTTP2_SESSION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "agent/http/http_fields.h"
#include "base/buf.h"
#include "base/own.h"
#include "base/span.h"

#define HTTP2_STREAMS_MAX 100
#define HTTP2_STREAM_WINDOW (128 * 1024) // what a stream may make us hold

enum http2_error { // RFC 9113 section 7
    HTTP2_NO_ERROR = 0x0,
    HTTP2_PROTOCOL_ERROR = 0x1,
    HTTP2_INTERNAL_ERROR = 0x2,
    HTTP2_REFUSED_STREAM = 0x7,
    HTTP2_CANCEL = 0x8,
    HTTP2_ENHANCE_YOUR_CALM = 0xb,
};

struct http2_session;
struct http2_stream;

struct http2_events {
    // A head is complete: a request (server), an interim or final answer (client). The fields are
    // the callee's to take or change during the call.
    void (*head)(void *arg, struct http2_stream *stream, struct http_fields *fields, bool end);
    void (*data)(void *arg, struct http2_stream *stream, struct span bytes);
    // The other side has finished the stream; `trailers` may be empty.
    void (*end)(void *arg, struct http2_stream *stream, struct http_fields *trailers);
    // Some of what was written has left.
    void (*drained)(void *arg, struct http2_stream *stream);
    // The stream is gone, by an error or because both sides have finished. It is freed afterwards.
    void (*closed)(void *arg, struct http2_stream *stream, uint32_t error);
};

// `events` is borrowed and outlives the session. Our SETTINGS are queued.
struct http2_session *http2_session_new(bool server, const struct http2_events *events,
                                        void *arg) MUST_USE;
void http2_session_free(struct http2_session *session); // no further events
OWN_DEFINE(struct http2_session, http2_session_free)

// Takes all of `bytes`. False: the session is broken; send what fill gives (a GOAWAY), then close.
bool http2_session_receive(struct http2_session *session, struct span bytes);
// Appends frames to `out` until it holds `max` bytes. False as above, or memory is short.
bool http2_session_fill(struct http2_session *session, struct buf *out, size_t max);
// Neither side has anything more to say.
bool http2_session_is_over(const struct http2_session *session);
// Server: a request's head has begun, and has not ended.
bool http2_session_is_reading_head(const struct http2_session *session);
size_t http2_session_num_streams(const struct http2_session *session);
// The streams one by one, from NULL to NULL.
struct http2_stream *http2_session_next(const struct http2_session *session,
                                        const struct http2_stream *after);
// Any stream that has an argument, or NULL.
struct http2_stream *http2_session_with_arg(const struct http2_session *session);
// Client: another stream may be opened.
bool http2_session_has_room(const struct http2_session *session);
// Server: asks the client to open no new streams; those that it opens before it has read that are
// taken (RFC 9113, 6.8).
void http2_session_forewarn(struct http2_session *session);
// Server: takes no new streams, finishes those that are open.
void http2_session_drain(struct http2_session *session);

// Client: opens a stream. `fields` has the pseudo-fields of a request; `end`: there is no body.
struct http2_stream *http2_session_request(struct http2_session *session,
                                           const struct http_fields *fields, bool end,
                                           void *stream_arg) MUST_USE;

void http2_stream_set_arg(struct http2_stream *stream, void *stream_arg);
void *http2_stream_arg(const struct http2_stream *stream);
// Of a head or trailers that came: what is there of them has been cut short.
bool http2_stream_fields_were_too_large(const struct http2_stream *stream);
// Server: the head of an answer. `end`: there is no body. Interim answers have neither.
bool http2_stream_respond(struct http2_stream *stream, const struct http_fields *fields,
                          bool end) MUST_USE;
bool http2_stream_interim(struct http2_stream *stream, const struct http_fields *fields) MUST_USE;
// Queues bytes of the body; the room is advisory.
size_t http2_stream_room(const struct http2_stream *stream);
bool http2_stream_write(struct http2_stream *stream, struct span bytes) MUST_USE;
// END_STREAM after what was written, with trailers unless there are none.
bool http2_stream_end(struct http2_stream *stream, const struct http_fields *trailers) MUST_USE;
void http2_stream_reset(struct http2_stream *stream, uint32_t error);
// All bytes of this stream's data that were given have been passed on: credit for as many.
void http2_stream_consumed(struct http2_stream *stream);

#endif
