#include "agent/http/http2_session.h"

#include <stdlib.h>

#include "agent/http/http2_internal.h"

struct http2_session *http2_session_new(bool server, const struct http2_events *events, void *arg) {
    OWNED(http2_session_free) struct http2_session *session = calloc(1, sizeof(*session));
    if (session == NULL) {
        return NULL;
    }
    session->server = server;
    session->on = events;
    session->arg = arg;
    list_init(&session->streams);
    return http2_callbacks_open(session) ? take(&session) : NULL;
}

void http2_session_free(struct http2_session *session) {
    if (session == NULL) {
        return;
    }
    nghttp2_session_del(session->ng); // calls nothing back
    while (!list_is_empty(&session->streams)) {
        http2_stream_free(LIST_ENTRY(session->streams.head.next, struct http2_stream, node));
    }
    free(session);
}

static void fail(struct http2_session *session, uint32_t error) {
    if (!session->failed) {
        session->failed = true;
        (void)nghttp2_session_terminate_session(session->ng, error);
    }
}

bool http2_session_receive(struct http2_session *session, struct span bytes) {
    if (session->failed) {
        return false;
    }
    ssize_t taken = nghttp2_session_mem_recv(session->ng, bytes.ptr, bytes.len);
    if (taken < 0) {
        fail(session,
             taken == NGHTTP2_ERR_FLOODED ? HTTP2_ENHANCE_YOUR_CALM : HTTP2_PROTOCOL_ERROR);
    } else if (nghttp2_session_get_outbound_queue_size(session->ng) > HTTP2_QUEUE_MAX) {
        fail(session, HTTP2_ENHANCE_YOUR_CALM);
    }
    return !session->failed;
}

bool http2_session_fill(struct http2_session *session, struct buf *out, size_t max) {
    while (out->len < max) {
        const uint8_t *bytes = NULL;
        ssize_t len = nghttp2_session_mem_send(session->ng, &bytes);
        if (len < 0 || (len > 0 && !buf_append(out, bytes, (size_t)len))) {
            session->failed = true;
            return false;
        }
        if (len == 0) {
            break;
        }
    }
    return !session->failed;
}

bool http2_session_is_over(const struct http2_session *session) {
    return !nghttp2_session_want_read(session->ng) && !nghttp2_session_want_write(session->ng);
}

bool http2_session_is_reading_head(const struct http2_session *session) {
    return session->reading != NULL;
}

size_t http2_session_num_streams(const struct http2_session *session) {
    return session->num_streams;
}

struct http2_stream *http2_session_with_arg(const struct http2_session *session) {
    LIST_FOR_EACH(&session->streams, it) {
        struct http2_stream *stream = LIST_ENTRY(it, struct http2_stream, node);
        if (stream->arg != NULL) {
            return stream;
        }
    }
    return NULL;
}

struct http2_stream *http2_session_next(const struct http2_session *session,
                                        const struct http2_stream *after) {
    const struct list_node *next = after == NULL ? session->streams.head.next : after->node.next;
    return next == &session->streams.head ? NULL : LIST_ENTRY(next, struct http2_stream, node);
}

// What is over the server's own limit would wait in nghttp2 for another's end, perhaps for good.
static size_t streams_max(const struct http2_session *session) {
    uint32_t theirs =
        nghttp2_session_get_remote_settings(session->ng, NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS);
    return theirs < HTTP2_STREAMS_MAX ? theirs : HTTP2_STREAMS_MAX;
}

bool http2_session_has_room(const struct http2_session *session) {
    return !session->failed && !session->going_away &&
           session->num_streams < streams_max(session) &&
           nghttp2_session_check_request_allowed(session->ng) != 0;
}

void http2_session_forewarn(struct http2_session *session) {
    if (session->failed || session->going_away || session->forewarned) {
        return;
    }
    session->forewarned = true;
    (void)nghttp2_submit_shutdown_notice(session->ng);
}

void http2_session_drain(struct http2_session *session) {
    if (session->failed || session->going_away) {
        return;
    }
    session->going_away = true;
    int32_t last = nghttp2_session_get_last_proc_stream_id(session->ng);
    (void)nghttp2_submit_goaway(session->ng, NGHTTP2_FLAG_NONE, last, HTTP2_NO_ERROR, NULL, 0);
}
