// What the files of h2 share; nobody else includes this. The only include of nghttp2 is here.
//
// No callback of ours but `emit` runs inside nghttp2 (it forbids nested receive and send): what it
// reports is kept as bits in the stream and told when it has returned; a chunk of data pauses it.
// So callbacks may write, answer and reset at will, and pending events need no memory.
#ifndef AGENT_TUNNEL_H2_INTERNAL_H
#define AGENT_TUNNEL_H2_INTERNAL_H

#include <nghttp2/nghttp2.h>

#include "agent/tunnel/h2.h"
#include "base/list.h"

// Frames waiting to be sent besides DATA: a peer that does not read may not let them grow.
#define H2_CONTROL_QUEUE_MAX (8 * H2_MAX_STREAMS)
// Bytes held unconsumed by all streams before the connection's credit is kept back as well: a
// tunnel can make us buffer this plus H2_SESSION_WINDOW.
#define H2_HELD_MAX (64 * 1024 * 1024)
#define H2_METHOD_MAX 16

enum h2_stream_event { // told in this order, lowest bit first
    H2_EVENT_REQUEST = 1 << 0,
    H2_EVENT_STATUS = 1 << 1,
    H2_EVENT_END = 1 << 2,
    H2_EVENT_WRITABLE = 1 << 3,
    H2_EVENT_CLOSED = 1 << 4,
};

enum h2_session_event { H2_EVENT_READY = 1 << 0, H2_EVENT_GOAWAY = 1 << 1, H2_EVENT_PONG = 1 << 2 };

struct h2_stream {
    struct list_node node;       // in session->streams, ->zombies or ->graveyard
    struct list_node event_node; // in session->eventful
    struct list_node end_node;   // in session->ends
    struct h2_session *session;
    void *arg;
    uint8_t *out; // during h2_stream_write: what is left to send
    size_t out_len;
    size_t held, consumed; // received and not consumed; consumed, counted until the window grew
    size_t header_len;     // of the header block being received, RFC 9113 section 6.5.2
    uint8_t *authority;
    size_t authority_len;
    int32_t id;
    int status; // client: of the last header block
    uint32_t error;
    unsigned events;
    uint8_t method_len;
    char method[H2_METHOD_MAX];
    bool gone : 1;     // nghttp2 has forgotten it
    bool detached : 1; // the caller has forgotten it
    bool clean : 1;
    bool requested : 1;    // server: the caller knows it
    bool other_pseudo : 1; // :scheme, :path or :protocol came
    bool answered : 1;     // server: a response is queued
    bool refused : 1;      // the response was not 200
    bool opened : 1;       // client: HEADERS left
    bool final_seen : 1;   // client: the final response came
    bool peer_ended : 1;
    bool end_wanted : 1;
    bool end_sent : 1;
    bool blocked : 1;     // its own window is used up
    bool waits_open : 1;  // client: a write came before HEADERS could leave
    bool out_refused : 1; // emit had no room during this write
    bool grown : 1;       // the large receive window
};

struct h2_session {
    nghttp2_session *ng;
    const struct h2_events *on;
    void *arg;
    struct list streams;   // known to the caller, or about to be
    struct list zombies;   // forgotten by the caller, not yet by nghttp2
    struct list graveyard; // freed when no callback is on the stack
    struct list eventful;
    struct list ends; // END_STREAM to be offered by the next send
    size_t num_streams, num_zombies;
    size_t held;                    // sum over the streams
    size_t credit_owed;             // connection credit kept back
    struct h2_stream *chunk_stream; // the chunk that paused nghttp2
    struct span chunk;
    uint64_t ping_sent;
    uint32_t goaway_sent, goaway_received; // errors
    unsigned events;
    bool server : 1, ready : 1;
    bool failed : 1;      // broken; a GOAWAY may still be sent
    bool mute : 1;        // broken; nothing may be sent
    bool inside : 1;      // nghttp2 is on the stack
    bool dispatching : 1; // a callback may be on the stack
    bool paused : 1;
    bool closing : 1; // our GOAWAY is queued
    bool blocked : 1; // the connection's window is used up
    bool ping_wanted : 1;
    bool ping_waits : 1; // an answer is owed
    uint8_t frame_header[H2_FRAME_HEADER];
    uint8_t end_frame[H2_FRAME_HEADER]; // headroom of the empty payload of END_STREAM
    char error[160];
};

// h2_dispatch.c
struct h2_stream *h2_dispatch_stream_new(struct h2_session *session, void *stream_arg) MUST_USE;
void h2_dispatch_raise(struct h2_stream *stream, enum h2_stream_event event);
void h2_dispatch_detach(struct h2_stream *stream);               // the caller hears no more of it
void h2_dispatch_gone(struct h2_stream *stream, uint32_t error); // nghttp2 knows it no more
// Tells what is pending (not when a callback is on the stack), then frees what nobody knows.
void h2_dispatch_run(struct h2_session *session);
void h2_dispatch_chunk(struct h2_session *session);
void h2_dispatch_free_all(struct h2_session *session);

// h2_wire.c
bool h2_wire_open(struct h2_session *session) MUST_USE;
bool h2_wire_flush(struct h2_session *session); // false: nothing may be sent any more
void h2_wire_settle_credit(struct h2_session *session);

// h2_session.c: the session is broken; the first reason stays.
void h2_session_fail(struct h2_session *session, const char *reason);

// h2_stream.c: offers the bytes of h2_stream_write to emit.
nghttp2_data_provider h2_stream_provider(struct h2_stream *stream);

#endif
