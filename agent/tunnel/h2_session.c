#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/tunnel/h2_internal.h"
#include "base/check.h"

struct h2_session *h2_session_new(bool server, const struct h2_events *events, void *arg) {
    OWNED(h2_session_free) struct h2_session *session = calloc(1, sizeof(*session));
    if (session == NULL) {
        return NULL;
    }
    session->server = server;
    session->on = events;
    session->arg = arg;
    list_init(&session->streams);
    list_init(&session->zombies);
    list_init(&session->graveyard);
    list_init(&session->eventful);
    list_init(&session->ends);
    if (!h2_wire_open(session)) {
        return NULL;
    }
    return take(&session);
}

void h2_session_free(struct h2_session *session) {
    if (session == NULL) {
        return;
    }
    CHECK(!session->inside && !session->dispatching);
    nghttp2_session_del(session->ng); // calls nothing back
    h2_dispatch_free_all(session);
    free(session);
}

void h2_session_fail(struct h2_session *session, const char *reason) {
    if (!session->failed) {
        session->failed = true;
        snprintf(session->error, sizeof(session->error), "HTTP/2: %s", reason);
    }
}

// Ends the session with a word to the peer.
static void fail_with(struct h2_session *session, uint32_t error, const char *reason) {
    if (!session->failed) {
        h2_session_fail(session, reason);
        session->goaway_sent = error;
        (void)nghttp2_session_terminate_session(session->ng, error);
    }
}

const char *h2_session_error(const struct h2_session *session) {
    return session->error;
}

// Up to the next chunk of data, or to the end of `bytes`; returns the number taken.
static size_t receive_some(struct h2_session *session, struct span bytes) {
    session->paused = false;
    session->inside = true;
    ssize_t taken = nghttp2_session_mem_recv(session->ng, bytes.ptr, bytes.len);
    session->inside = false;
    if (taken < 0) {
        uint32_t error = taken == NGHTTP2_ERR_FLOODED ? H2_ENHANCE_YOUR_CALM : H2_PROTOCOL_ERROR;
        fail_with(session, error, nghttp2_strerror((int)taken));
        return bytes.len;
    }
    if (nghttp2_session_get_outbound_queue_size(session->ng) > H2_CONTROL_QUEUE_MAX) {
        fail_with(session, H2_ENHANCE_YOUR_CALM,
                  "the peer causes more answers than it reads: too many frames are waiting");
    }
    return (size_t)taken;
}

bool h2_session_receive(struct h2_session *session, struct span bytes) {
    CHECK(!session->inside && !session->dispatching);
    static const uint8_t NOTHING[1] = {0};
    if (bytes.len == 0) {
        bytes.ptr = NOTHING;
    }
    do {
        if (session->failed) {
            return false;
        }
        bytes = span_after(bytes, receive_some(session, bytes));
        h2_dispatch_run(session);
        if (session->paused) { // the end of the frame is told by another round, also without bytes
            h2_dispatch_chunk(session);
        }
    } while (session->paused); // nghttp2 takes everything otherwise
    return !session->failed;
}

static void offer_ends(struct h2_session *session) {
    // A refused one comes back to the list while it is walked: take as many as there are now.
    struct list ends;
    list_init(&ends);
    LIST_FOR_EACH(&session->ends, it) {
        list_remove(it);
        list_append(&ends, it);
    }
    LIST_FOR_EACH(&ends, it) {
        const struct h2_stream *stream = LIST_ENTRY(it, struct h2_stream, end_node);
        list_remove(it);
        (void)nghttp2_session_resume_data(session->ng, stream->id);
    }
}

// PING overtakes other frames in nghttp2's queues. Ours follows what was asked for before it, so
// that its answer proves that a GOAWAY has arrived.
static bool send_ping(struct h2_session *session) {
    session->ping_wanted = false;
    session->ping_sent++;
    session->ping_waits = true;
    uint8_t opaque[8];
    memcpy(opaque, &session->ping_sent, sizeof(opaque));
    if (nghttp2_submit_ping(session->ng, NGHTTP2_FLAG_NONE, opaque) != 0) {
        h2_session_fail(session, "memory is short");
    }
    return h2_wire_flush(session);
}

bool h2_session_send(struct h2_session *session) {
    if (session->inside) {
        return !session->failed;
    }
    offer_ends(session);
    if (h2_wire_flush(session) && session->ping_wanted) {
        (void)send_ping(session);
    }
    h2_dispatch_run(session);
    return !session->failed;
}

bool h2_session_wants_send(const struct h2_session *session) {
    if (session->mute) {
        return false;
    }
    return session->ping_wanted || session->events != 0 || !list_is_empty(&session->eventful) ||
           !list_is_empty(&session->ends) || nghttp2_session_want_write(session->ng) != 0;
}

void h2_session_ping(struct h2_session *session) {
    session->ping_wanted = true;
}

void h2_session_shutdown_notice(struct h2_session *session) {
    if (session->server && !session->closing && !session->failed) { // a client's peer opens none
        (void)nghttp2_submit_shutdown_notice(session->ng);
    }
}

void h2_session_goaway(struct h2_session *session, uint32_t error) {
    if (session->failed) {
        return;
    }
    session->closing = true;
    session->goaway_sent = error;
    int32_t last = nghttp2_session_get_last_proc_stream_id(session->ng);
    if (nghttp2_submit_goaway(session->ng, NGHTTP2_FLAG_NONE, last, error, NULL, 0) != 0) {
        h2_session_fail(session, "memory is short");
    }
}

size_t h2_session_num_streams(const struct h2_session *session) {
    return session->num_streams;
}

bool h2_session_has_room(const struct h2_session *session) {
    if (session->server || session->failed || session->closing ||
        !nghttp2_session_check_request_allowed(session->ng)) {
        return false;
    }
    size_t limit =
        nghttp2_session_get_remote_settings(session->ng, NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS);
    limit = limit < H2_MAX_STREAMS ? limit : H2_MAX_STREAMS;
    return session->num_streams + session->num_zombies < limit;
}

static nghttp2_nv field_of(const char *name, const char *value, uint8_t flags) {
    return (nghttp2_nv){
        .name = (uint8_t *)(uintptr_t)name,
        .namelen = strlen(name),
        .value = (uint8_t *)(uintptr_t)value,
        .valuelen = strlen(value),
        .flags = flags,
    };
}

struct h2_stream *h2_session_connect(struct h2_session *session, const char *authority,
                                     const char *forwarded, void *stream_arg) {
    CHECK(!session->server);
    if (session->failed || session->closing ||
        !nghttp2_session_check_request_allowed(session->ng)) {
        return NULL;
    }
    struct h2_stream *stream = h2_dispatch_stream_new(session, stream_arg);
    if (stream == NULL) {
        return NULL;
    }
    const uint8_t fixed = NGHTTP2_NV_FLAG_NO_COPY_NAME;
    // `forwarded` differs in every request: it would only push others out of the HPACK table.
    nghttp2_nv fields[] = {
        field_of(":method", "CONNECT", fixed | NGHTTP2_NV_FLAG_NO_COPY_VALUE),
        field_of(":authority", authority, fixed),
        field_of("forwarded", forwarded == NULL ? "" : forwarded, fixed | NGHTTP2_NV_FLAG_NO_INDEX),
    };
    size_t num = forwarded == NULL ? 2 : 3;
    nghttp2_data_provider data = h2_stream_provider(stream);
    int32_t id = nghttp2_submit_request(session->ng, NULL, fields, num, &data, stream);
    if (id <= 0) {
        stream->gone = true;
        h2_dispatch_detach(stream);
        return NULL;
    }
    stream->id = id;
    return stream;
}
