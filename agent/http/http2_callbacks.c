// nghttp2's callbacks: collect fields, then tell.

#include "agent/http/http2_internal.h"

// Clients that cancel often are normal, more than this is an attack (CVE-2023-44487).
#define RESET_BURST 1000
#define RESET_RATE 100

static struct http2_stream *stream_of(struct http2_session *session, int32_t id) {
    return nghttp2_session_get_stream_user_data(session->ng, id);
}

static int on_begin_headers(nghttp2_session *ng, const nghttp2_frame *frame, void *user) {
    struct http2_session *session = user;
    struct http2_stream *stream = stream_of(session, frame->hd.stream_id);
    if (stream == NULL && session->server && frame->headers.cat == NGHTTP2_HCAT_REQUEST) {
        stream = http2_stream_new(session);
        if (stream == NULL) {
            return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
        }
        stream->id = frame->hd.stream_id;
        session->reading = stream; // one at a time: nothing may come between (RFC 9113 section 4.3)
        nghttp2_session_set_stream_user_data(ng, stream->id, stream);
    }
    if (stream != NULL) {
        http_fields_fini(&stream->fields);
    }
    return 0;
}

static int on_header(nghttp2_session *ng UNUSED, const nghttp2_frame *frame, const uint8_t *name,
                     size_t name_len, const uint8_t *value, size_t value_len, uint8_t flags UNUSED,
                     void *user) {
    struct http2_stream *stream = stream_of(user, frame->hd.stream_id);
    if (stream == NULL || stream->too_large) {
        return 0;
    }
    struct http_fields *fields = &stream->fields;
    if (fields->num >= HTTP_HEAD_FIELDS_MAX ||
        fields->text.len + name_len + value_len > HTTP_HEAD_BYTES_MAX) {
        stream->too_large = true; // goes on decoding, because the compression has a state
        return 0;
    }
    return http_fields_add(fields, span_of(name, name_len), span_of(value, value_len)) ==
                   HTTP_FIELDS_OK
               ? 0
               : NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
}

static bool is_interim(const struct http_fields *fields) {
    struct span status = http_fields_get(fields, ":status");
    return status.len == 3 && status.ptr[0] == '1';
}

static void tell_head(struct http2_stream *stream, bool end) {
    struct http2_session *session = stream->session;
    stream->had_head = session->server || !is_interim(&stream->fields);
    session->reading = NULL;
    session->on->head(session->arg, stream, &stream->fields, end);
}

static int on_frame(nghttp2_session *ng UNUSED, const nghttp2_frame *frame, void *user) {
    struct http2_session *session = user;
    struct http2_stream *stream = stream_of(session, frame->hd.stream_id);
    if (frame->hd.type == NGHTTP2_GOAWAY) {
        session->going_away = session->going_away || !session->server;
    }
    bool carries = frame->hd.type == NGHTTP2_HEADERS || frame->hd.type == NGHTTP2_DATA;
    if (stream == NULL || !carries) {
        return 0;
    }
    bool end = (frame->hd.flags & NGHTTP2_FLAG_END_STREAM) != 0;
    stream->peer_ended = stream->peer_ended || end;
    bool trailers = frame->hd.type == NGHTTP2_HEADERS && stream->had_head;
    if (frame->hd.type == NGHTTP2_HEADERS && !trailers) {
        tell_head(stream, end);
    } else if (end) {
        if (!trailers) {
            http_fields_fini(&stream->fields); // of the head
        }
        session->on->end(session->arg, stream, &stream->fields);
    }
    return 0;
}

// An answer that is complete before the request is: the rest of that is not wanted (RFC 9113
// section 8.1). Not sooner, or nghttp2 drops what it has not sent.
static int on_frame_sent(nghttp2_session *ng UNUSED, const nghttp2_frame *frame, void *user) {
    struct http2_session *session = user;
    bool carries = frame->hd.type == NGHTTP2_HEADERS || frame->hd.type == NGHTTP2_DATA;
    if (!session->server || !carries || (frame->hd.flags & NGHTTP2_FLAG_END_STREAM) == 0) {
        return 0;
    }
    struct http2_stream *stream = stream_of(session, frame->hd.stream_id);
    if (stream != NULL && !stream->peer_ended) {
        http2_stream_reset(stream, HTTP2_NO_ERROR);
    }
    return 0;
}

// The connection's credit is given back at once, so that one slow reader stops nobody else; many of
// them stop the connection.
static int on_chunk(nghttp2_session *ng UNUSED, uint8_t flags UNUSED, int32_t id,
                    const uint8_t *bytes, size_t len, void *user) {
    struct http2_session *session = user;
    struct http2_stream *stream = stream_of(session, id);
    session->owed += len;
    if (stream != NULL) {
        stream->unconsumed += len;
        session->held += len;
        session->on->data(session->arg, stream, span_of(bytes, len));
    }
    return http2_stream_credit_connection(session) ? 0 : NGHTTP2_ERR_CALLBACK_FAILURE;
}

static int on_stream_close(nghttp2_session *ng, int32_t id, uint32_t error, void *user) {
    struct http2_session *session = user;
    struct http2_stream *stream = stream_of(session, id);
    if (stream != NULL) {
        nghttp2_session_set_stream_user_data(ng, id, NULL);
        session->on->closed(session->arg, stream, error);
        session->held -= stream->unconsumed;
        http2_stream_free(stream);
    }
    return http2_stream_credit_connection(session) ? 0 : NGHTTP2_ERR_CALLBACK_FAILURE;
}

static nghttp2_session_callbacks *new_callbacks(void) {
    nghttp2_session_callbacks *callbacks = NULL;
    if (nghttp2_session_callbacks_new(&callbacks) != 0) {
        return NULL;
    }
    nghttp2_session_callbacks_set_on_begin_headers_callback(callbacks, on_begin_headers);
    nghttp2_session_callbacks_set_on_header_callback(callbacks, on_header);
    nghttp2_session_callbacks_set_on_frame_recv_callback(callbacks, on_frame);
    nghttp2_session_callbacks_set_on_frame_send_callback(callbacks, on_frame_sent);
    nghttp2_session_callbacks_set_on_data_chunk_recv_callback(callbacks, on_chunk);
    nghttp2_session_callbacks_set_on_stream_close_callback(callbacks, on_stream_close);
    return callbacks;
}

static bool submit_settings(struct http2_session *session) {
    nghttp2_settings_entry entries[] = {
        {NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, HTTP2_STREAM_WINDOW},
        {NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE, HTTP_HEAD_BYTES_MAX},
        {NGHTTP2_SETTINGS_ENABLE_PUSH, 0},
    };
    if (session->server) {
        entries[2] =
            (nghttp2_settings_entry){NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, HTTP2_STREAMS_MAX};
    }
    size_t num = sizeof(entries) / sizeof(entries[0]);
    return nghttp2_submit_settings(session->ng, NGHTTP2_FLAG_NONE, entries, num) == 0 &&
           nghttp2_session_set_local_window_size(session->ng, NGHTTP2_FLAG_NONE, 0,
                                                 8 * HTTP2_STREAM_WINDOW) == 0;
}

bool http2_callbacks_open(struct http2_session *session) {
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
