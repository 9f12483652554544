// nghttp2's callbacks: they note what happened in our own objects and return.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/tunnel/h2_internal.h"
#include "base/check.h"

// A peer whose applications close with RST may do so often; beyond this it is an attack (nghttp2's
// own default is a burst of 1000 and 33/s, which innocent traffic reaches).
#define RESET_BURST 20000
#define RESET_RATE 5000

static struct h2_stream *stream_of(struct h2_session *session, int32_t id) {
    return nghttp2_session_get_stream_user_data(session->ng, id);
}

// ---- receiving --------------------------------------------------------------------------------

static bool opens_request(const struct h2_session *session, const nghttp2_frame *frame) {
    return session->server && frame->headers.cat == NGHTTP2_HCAT_REQUEST;
}

static int on_begin_headers(nghttp2_session *ng, const nghttp2_frame *frame, void *user) {
    struct h2_session *session = user;
    int32_t id = frame->hd.stream_id;
    struct h2_stream *stream = stream_of(session, id);
    if (stream == NULL && opens_request(session, frame)) {
        stream = h2_dispatch_stream_new(session, NULL);
        if (stream == NULL) {
            return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
        }
        stream->id = id;
        nghttp2_session_set_stream_user_data(ng, id, stream);
        stream->blocked = nghttp2_session_get_stream_remote_window_size(ng, id) <= 0;
    }
    if (stream != NULL) {
        stream->header_len = 0;
    }
    return 0;
}

static bool keep_authority(struct h2_stream *stream, struct span value) {
    uint8_t *copy = malloc(value.len + 1);
    if (copy == NULL) {
        return false;
    }
    memcpy(copy, value.ptr, value.len);
    free(stream->authority);
    stream->authority = copy;
    stream->authority_len = value.len;
    return true;
}

// What is not a pseudo-header (baggage, traceparent, forwarded) is display data of the peer's
// making: not even kept.
static bool keep_request_field(struct h2_stream *stream, struct span name, struct span value) {
    if (span_equal_text(name, ":method")) {
        // A longer method is cut, and is not CONNECT either way.
        stream->method_len = (uint8_t)(value.len < H2_METHOD_MAX ? value.len : H2_METHOD_MAX);
        memcpy(stream->method, value.ptr, stream->method_len);
        return true;
    }
    if (span_equal_text(name, ":authority")) {
        return keep_authority(stream, value);
    }
    stream->other_pseudo = stream->other_pseudo || name.ptr[0] == ':';
    return true;
}

static int parse_status(struct span value) {
    int status = 0;
    for (size_t i = 0; i < value.len && i < 3; i++) { // nghttp2 lets three digits pass
        status = status * 10 + (value.ptr[i] - '0');
    }
    return status;
}

static int on_header(nghttp2_session *ng, const nghttp2_frame *frame, const uint8_t *name,
                     size_t name_len, const uint8_t *value, size_t value_len, uint8_t flags UNUSED,
                     void *user) {
    struct h2_session *session = user;
    struct h2_stream *stream = stream_of(session, frame->hd.stream_id);
    if (stream == NULL || name_len == 0) {
        return 0;
    }
    stream->header_len += name_len + value_len + 32;
    if (stream->header_len > H2_HEADER_LIST_MAX) {
        (void)nghttp2_submit_rst_stream(ng, NGHTTP2_FLAG_NONE, stream->id, H2_ENHANCE_YOUR_CALM);
        return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
    }
    struct span n = span_of(name, name_len);
    struct span v = span_of(value, value_len);
    if (opens_request(session, frame)) {
        bool kept = keep_request_field(stream, n, v);
        return kept ? 0 : NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
    }
    if (!session->server && span_equal_text(n, ":status")) {
        stream->status = parse_status(v);
    }
    return 0;
}

static int on_chunk(nghttp2_session *ng UNUSED, uint8_t flags UNUSED, int32_t id,
                    const uint8_t *bytes, size_t len, void *user) {
    struct h2_session *session = user;
    session->chunk_stream = stream_of(session, id);
    session->chunk = span_of(bytes, len);
    session->paused = true;
    return NGHTTP2_ERR_PAUSE;
}

// `was_blocked`: the connection's window was used up before this frame.
static void note_window(struct h2_stream *stream, bool was_blocked) {
    struct h2_session *session = stream->session;
    if (!session->server && !stream->opened) {
        return;
    }
    bool was = was_blocked || stream->blocked;
    stream->blocked = nghttp2_session_get_stream_remote_window_size(session->ng, stream->id) <= 0;
    if (was && !stream->blocked && !session->blocked) {
        h2_dispatch_raise(stream, H2_EVENT_WRITABLE);
    }
}

static void note_windows(struct h2_session *session, bool was_blocked) {
    LIST_FOR_EACH(&session->streams, it) {
        note_window(LIST_ENTRY(it, struct h2_stream, node), was_blocked);
    }
}

static void on_window_update(struct h2_session *session, int32_t id) {
    struct h2_stream *stream = id == 0 ? NULL : stream_of(session, id);
    if (stream != NULL) {
        note_window(stream, false);
        return;
    }
    bool was = session->blocked;
    session->blocked = nghttp2_session_get_remote_window_size(session->ng) <= 0;
    if (id == 0 && was && !session->blocked && !list_is_empty(&session->streams)) {
        // Whoever is told first may take it all: take turns.
        struct list_node *first = session->streams.head.next;
        list_remove(first);
        list_append(&session->streams, first);
        note_windows(session, was);
    }
}

// Requests that have not left will not leave any more, and nghttp2 would notice only when it has
// room for them.
static void on_goaway(struct h2_session *session, uint32_t error) {
    session->goaway_received = error;
    session->events |= H2_EVENT_GOAWAY;
    if (session->server) {
        return;
    }
    LIST_FOR_EACH(&session->streams, it) {
        struct h2_stream *stream = LIST_ENTRY(it, struct h2_stream, node);
        if (stream->opened || stream->gone) {
            continue;
        }
        (void)nghttp2_submit_rst_stream(session->ng, NGHTTP2_FLAG_NONE, stream->id,
                                        H2_REFUSED_STREAM);
        stream->error = H2_REFUSED_STREAM;
        h2_dispatch_raise(stream, H2_EVENT_CLOSED);
    }
}

static void on_settings(struct h2_session *session, uint8_t flags) {
    if ((flags & NGHTTP2_FLAG_ACK) != 0) {
        return;
    }
    if (!session->ready) {
        session->ready = true;
        session->events |= H2_EVENT_READY;
    }
    note_windows(session, false);
}

static void on_pong(struct h2_session *session, const nghttp2_ping *ping) {
    bool is_answer = (ping->hd.flags & NGHTTP2_FLAG_ACK) != 0 && session->ping_waits &&
                     memcmp(ping->opaque_data, &session->ping_sent, 8) == 0;
    if (is_answer) {
        session->ping_waits = false;
        session->events |= H2_EVENT_PONG;
    }
}

static void on_headers(struct h2_session *session, const nghttp2_frame *frame) {
    struct h2_stream *stream = stream_of(session, frame->hd.stream_id);
    if (stream == NULL) {
        return;
    }
    if (opens_request(session, frame)) {
        h2_dispatch_raise(stream, H2_EVENT_REQUEST);
    } else if (!session->server && !stream->final_seen && stream->status >= 200) {
        stream->final_seen = true;
        h2_dispatch_raise(stream, H2_EVENT_STATUS);
    }
}

static void on_end_stream(struct h2_session *session, int32_t id) {
    struct h2_stream *stream = stream_of(session, id);
    if (stream != NULL) {
        stream->peer_ended = true;
        h2_dispatch_raise(stream, H2_EVENT_END);
    }
}

static int on_frame(nghttp2_session *ng UNUSED, const nghttp2_frame *frame, void *user) {
    struct h2_session *session = user;
    switch (frame->hd.type) {
    case NGHTTP2_HEADERS:
        on_headers(session, frame);
        break;
    case NGHTTP2_SETTINGS:
        on_settings(session, frame->hd.flags);
        break;
    case NGHTTP2_PING:
        on_pong(session, &frame->ping);
        break;
    case NGHTTP2_GOAWAY:
        on_goaway(session, frame->goaway.error_code);
        break;
    case NGHTTP2_WINDOW_UPDATE:
        on_window_update(session, frame->hd.stream_id);
        break;
    default:
        break;
    }
    bool may_end = frame->hd.type == NGHTTP2_HEADERS || frame->hd.type == NGHTTP2_DATA;
    if (may_end && (frame->hd.flags & NGHTTP2_FLAG_END_STREAM) != 0) {
        on_end_stream(session, frame->hd.stream_id);
    }
    return 0;
}

static int on_stream_close(nghttp2_session *ng UNUSED, int32_t id, uint32_t error, void *user) {
    struct h2_session *session = user;
    struct h2_stream *stream = stream_of(session, id);
    if (stream != NULL) {
        h2_dispatch_gone(stream, error);
    }
    return 0;
}

// ---- sending ----------------------------------------------------------------------------------

static int on_send_data(nghttp2_session *ng UNUSED, nghttp2_frame *frame UNUSED,
                        const uint8_t *header, size_t len UNUSED, nghttp2_data_source *source,
                        void *user UNUSED) {
    // The frame left when its length was decided (h2_stream.c): it must have been this one.
    const struct h2_stream *stream = source->ptr;
    CHECK(memcmp(header, stream->session->frame_header, H2_FRAME_HEADER) == 0);
    return 0;
}

static void on_headers_sent(struct h2_session *session, const nghttp2_frame *frame) {
    struct h2_stream *stream = stream_of(session, frame->hd.stream_id);
    if (stream == NULL) {
        return;
    }
    if (!session->server) {
        stream->opened = true;
        stream->blocked =
            nghttp2_session_get_stream_remote_window_size(session->ng, stream->id) <= 0;
        if (stream->waits_open) {
            stream->waits_open = false;
            h2_dispatch_raise(stream, H2_EVENT_WRITABLE);
        }
        return;
    }
    if ((frame->hd.flags & NGHTTP2_FLAG_END_STREAM) == 0) {
        return;
    }
    stream->end_sent = true;
    if (!stream->peer_ended) { // RFC 9113 section 8.1: the rest of the request is not wanted
        (void)nghttp2_submit_rst_stream(session->ng, NGHTTP2_FLAG_NONE, stream->id, H2_NO_ERROR);
    }
}

static int on_frame_sent(nghttp2_session *ng UNUSED, const nghttp2_frame *frame, void *user) {
    struct h2_session *session = user;
    if (frame->hd.type == NGHTTP2_HEADERS) {
        on_headers_sent(session, frame);
    }
    if (frame->hd.type != NGHTTP2_GOAWAY) {
        return 0;
    }
    uint32_t error = frame->goaway.error_code;
    if (error != H2_NO_ERROR && error != session->goaway_sent && !session->failed) {
        // nghttp2 gave up by itself; what it tells the peer is its own text, not the peer's.
        session->failed = true;
        snprintf(session->error, sizeof(session->error), "HTTP/2 error %s%s%.*s",
                 nghttp2_http2_strerror(error), frame->goaway.opaque_data_len > 0 ? ": " : "",
                 (int)frame->goaway.opaque_data_len, (const char *)frame->goaway.opaque_data);
    }
    return 0;
}

bool h2_wire_flush(struct h2_session *session) {
    if (session->mute) {
        return false;
    }
    CHECK(!session->inside);
    session->inside = true;
    const uint8_t *bytes = NULL;
    ssize_t len = nghttp2_session_mem_send(session->ng, &bytes);
    while (len > 0 && session->on->emit(session->arg, span_of(NULL, 0), span_of(bytes, len))) {
        len = nghttp2_session_mem_send(session->ng, &bytes);
    }
    session->inside = false;
    if (len == 0) {
        return true;
    }
    session->mute = true; // a frame is lost: the connection is of no more use
    h2_session_fail(session, len > 0 ? "the connection took no more control frames"
                                     : nghttp2_strerror((int)len));
    return false;
}

void h2_wire_settle_credit(struct h2_session *session) {
    size_t owed = session->credit_owed;
    if (owed == 0 || session->held > H2_HELD_MAX) {
        return;
    }
    session->credit_owed = 0;
    if (nghttp2_session_consume_connection(session->ng, owed) != 0) {
        h2_session_fail(session, "memory is short");
    }
}

// ---- construction -----------------------------------------------------------------------------

static bool submit_settings(struct h2_session *session) {
    nghttp2_settings_entry entries[] = {
        {NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, H2_STREAM_WINDOW},
        {NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE, H2_HEADER_LIST_MAX},
        {NGHTTP2_SETTINGS_ENABLE_PUSH, 0},
    };
    if (session->server) {
        entries[2] =
            (nghttp2_settings_entry){NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, H2_MAX_STREAMS};
    }
    size_t num = sizeof(entries) / sizeof(entries[0]);
    nghttp2_session *ng = session->ng;
    return nghttp2_submit_settings(ng, NGHTTP2_FLAG_NONE, entries, num) == 0 &&
           nghttp2_session_set_local_window_size(ng, NGHTTP2_FLAG_NONE, 0, H2_SESSION_WINDOW) == 0;
}

static nghttp2_session_callbacks *new_callbacks(void) {
    nghttp2_session_callbacks *callbacks = NULL;
    if (nghttp2_session_callbacks_new(&callbacks) != 0) {
        return NULL;
    }
    nghttp2_session_callbacks_set_on_begin_headers_callback(callbacks, on_begin_headers);
    nghttp2_session_callbacks_set_on_header_callback(callbacks, on_header);
    nghttp2_session_callbacks_set_on_data_chunk_recv_callback(callbacks, on_chunk);
    nghttp2_session_callbacks_set_on_frame_recv_callback(callbacks, on_frame);
    nghttp2_session_callbacks_set_on_frame_send_callback(callbacks, on_frame_sent);
    nghttp2_session_callbacks_set_on_stream_close_callback(callbacks, on_stream_close);
    nghttp2_session_callbacks_set_send_data_callback(callbacks, on_send_data);
    return callbacks;
}

bool h2_wire_open(struct h2_session *session) {
    nghttp2_option *option = NULL;
    nghttp2_session_callbacks *callbacks = new_callbacks();
    if (callbacks != NULL && nghttp2_option_new(&option) == 0) {
        nghttp2_option_set_no_auto_window_update(option, 1);
        nghttp2_option_set_no_closed_streams(option, 1);
        nghttp2_option_set_stream_reset_rate_limit(option, RESET_BURST, RESET_RATE);
        int failed = session->server
                         ? nghttp2_session_server_new2(&session->ng, callbacks, session, option)
                         : nghttp2_session_client_new2(&session->ng, callbacks, session, option);
        session->ng = failed == 0 ? session->ng : NULL;
    }
    nghttp2_option_del(option);
    nghttp2_session_callbacks_del(callbacks);
    return session->ng != NULL && submit_settings(session);
}
