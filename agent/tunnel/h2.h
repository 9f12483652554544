// HTTP/2 for the tunnel (RFC 9113, CONNECT of section 8.5), without I/O: plaintext in, frames out.
// The only door to nghttp2. A session carries streams; a stream is one application connection.
// Callbacks run inside h2_session_receive and h2_session_send, `emit` also inside h2_stream_write.
// They may call any function of streams and h2_session_send, but must not free the session; `emit`
// only takes bytes. Not thread-safe.
#ifndef AGENT_TUNNEL_H2_H
#define AGENT_TUNNEL_H2_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/own.h"
#include "base/span.h"

#define H2_FRAME_HEADER 9
#define H2_DATA_MAX (16384 - H2_FRAME_HEADER)   // one DATA frame fills one TLS record
#define H2_STREAM_WINDOW (1024 * 1024)          // receive windows that we announce
#define H2_STREAM_WINDOW_BULK (4 * 1024 * 1024) // to a stream whose reader keeps up with much
#define H2_SESSION_WINDOW (16 * 1024 * 1024)
#define H2_MAX_STREAMS 1024 // concurrent streams that we allow a peer
#define H2_HEADER_LIST_MAX (16 * 1024)

enum h2_error { // RFC 9113 section 7
    H2_NO_ERROR = 0x0,
    H2_PROTOCOL_ERROR = 0x1,
    H2_INTERNAL_ERROR = 0x2,
    H2_REFUSED_STREAM = 0x7,
    H2_CANCEL = 0x8,
    H2_CONNECT_ERROR = 0xa,
    H2_ENHANCE_YOUR_CALM = 0xb,
};

struct h2_session;
struct h2_stream;

// A request as a server sees it; spans are valid during the callback.
struct h2_request {
    bool is_connect; // method is CONNECT, without :protocol, :scheme, :path
    struct span method;
    struct span authority;
};

struct h2_events {
    // Frames to send: `header` is H2_FRAME_HEADER bytes of a DATA frame followed by `payload`, or
    // `header` is empty and `payload` holds any other frames whole. The H2_FRAME_HEADER bytes
    // before a DATA payload belong to the caller of h2_stream_write and may be overwritten. False:
    // no room now. DATA that was refused was not sent, h2_stream_write is short by it; the empty
    // frame of h2_stream_end is offered again by the next h2_session_send. Other frames must be
    // taken: a refusal breaks the session.
    bool (*emit)(void *arg, struct span header, struct span payload);
    void (*ready)(void *arg);                  // the peer's first SETTINGS arrived
    void (*goaway)(void *arg, uint32_t error); // the peer takes no new streams
    void (*pong)(void *arg);                   // our PING was answered
    // Server: a request with complete headers. `stream` has no argument yet: set it by
    // h2_stream_set_arg, or answer at once.
    void (*request)(void *arg, struct h2_stream *stream, const struct h2_request *request);
    // The rest has the argument of the stream; a stream without one (NULL) gets no such call.
    void (*status)(void *stream_arg, int status);      // client: the final response
    void (*data)(void *stream_arg, struct span bytes); // part of what was received
    void (*end)(void *stream_arg);                     // END_STREAM: the peer's FIN
    void (*writable)(void *stream_arg);                // h2_stream_window grew from zero
    // The stream is gone: RST_STREAM came (`error`), GOAWAY excluded it (H2_REFUSED_STREAM), or
    // both sides have ended (H2_NO_ERROR with `clean`). `stream` is freed when this returns.
    void (*closed)(void *stream_arg, uint32_t error, bool clean);
};

// `events` is borrowed and outlives the session. The preface and SETTINGS are queued.
struct h2_session *h2_session_new(bool server, const struct h2_events *events, void *arg) MUST_USE;
// Frees the session and its streams without further callbacks.
void h2_session_free(struct h2_session *session);
OWN_DEFINE(struct h2_session, h2_session_free)

// Takes plaintext. False: the session is broken (h2_session_error says why); send what is queued
// (a GOAWAY may be), then close.
bool h2_session_receive(struct h2_session *session, struct span bytes);
// Emits whatever is queued and may be sent. False as above.
bool h2_session_send(struct h2_session *session);
bool h2_session_wants_send(const struct h2_session *session);
const char *h2_session_error(const struct h2_session *session);

void h2_session_ping(struct h2_session *session);
// Graceful end: tells the peer to open no more streams, but still takes those on their way
// (RFC 9113 section 6.8). h2_session_goaway then names the last stream for good.
void h2_session_shutdown_notice(struct h2_session *session);
void h2_session_goaway(struct h2_session *session, uint32_t error);

size_t h2_session_num_streams(const struct h2_session *session);
// Client: another stream may be opened now (peer's SETTINGS_MAX_CONCURRENT_STREAMS, GOAWAY, ids).
bool h2_session_has_room(const struct h2_session *session);

// Client: opens a stream with CONNECT `authority` ("ip:port") and a `forwarded` header when
// `forwarded` is not NULL. The HEADERS leave with the next send. NULL when memory is short or the
// session takes no streams.
struct h2_stream *h2_session_connect(struct h2_session *session, const char *authority,
                                     const char *forwarded, void *stream_arg) MUST_USE;

void h2_stream_set_arg(struct h2_stream *stream, void *stream_arg);
// Server: answers with `status`; anything but 200 ends the stream.
bool h2_stream_respond(struct h2_stream *stream, int status) MUST_USE;
// Bytes that may be written now by both windows.
size_t h2_stream_window(const struct h2_stream *stream);
// What h2_stream_write will take: 0 only when `writable` will be called, SIZE_MAX when unknown.
size_t h2_stream_room(const struct h2_stream *stream);
// Frames and emits up to `len` bytes of `bytes` at once; the number taken is the result (short when
// a window or emit stops it). The H2_FRAME_HEADER bytes before `bytes` and those taken may be
// overwritten.
size_t h2_stream_write(struct h2_stream *stream, uint8_t *bytes, size_t len);
// Our FIN: END_STREAM after what was written.
void h2_stream_end(struct h2_stream *stream);
// RST_STREAM. No further callback for this stream; it is freed by the session.
void h2_stream_reset(struct h2_stream *stream, uint32_t error);
// The application took `len` bytes of this stream: gives stream credit back. The connection's
// credit is given back when the bytes arrive, so that one slow reader does not stop the others
// (until 64 MiB in all are not consumed). Every byte of `data` is to be consumed once, or the
// stream reset.
void h2_stream_consumed(struct h2_stream *stream, size_t len);

#endif
