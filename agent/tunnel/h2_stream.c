#include <stdio.h>

#include "agent/tunnel/h2_internal.h"
#include "base/check.h"

#define FRAME_DATA 0x0
#define FLAG_END_STREAM 0x1

void h2_stream_set_arg(struct h2_stream *stream, void *stream_arg) {
    if (!stream->detached) {
        stream->arg = stream_arg;
    }
}

static void put_data_header(uint8_t out[H2_FRAME_HEADER], size_t len, bool end, int32_t id) {
    out[0] = (uint8_t)(len >> 16);
    out[1] = (uint8_t)(len >> 8);
    out[2] = (uint8_t)len;
    out[3] = FRAME_DATA;
    out[4] = end ? FLAG_END_STREAM : 0;
    out[5] = (uint8_t)((uint32_t)id >> 24);
    out[6] = (uint8_t)((uint32_t)id >> 16);
    out[7] = (uint8_t)((uint32_t)id >> 8);
    out[8] = (uint8_t)id;
}

// The frame is offered to `emit` here and not in send_data_callback: nghttp2 cannot take a length
// back once it knows it, and would block the whole session on that frame. Here a refusal only
// defers the stream, and the caller may come again with the same bytes, more, or none. Everything
// before this frame has been emitted, and nothing comes between (h2_wire.c checks).
static ssize_t offer_data(nghttp2_session *ng UNUSED, int32_t id, uint8_t *buf UNUSED,
                          size_t max_len, uint32_t *flags, nghttp2_data_source *source,
                          void *user UNUSED) {
    struct h2_stream *stream = source->ptr;
    struct h2_session *session = stream->session;
    size_t len = stream->out_len < max_len ? stream->out_len : max_len;
    len = len < H2_DATA_MAX ? len : H2_DATA_MAX;
    bool end = stream->out_len == 0 && stream->end_wanted;
    if (stream->detached || (len == 0 && !end)) {
        return NGHTTP2_ERR_DEFERRED;
    }
    put_data_header(session->frame_header, len, end, id);
    struct span header = span_of(session->frame_header, H2_FRAME_HEADER);
    struct span payload =
        end ? span_of(session->end_frame + H2_FRAME_HEADER, 0) : span_of(stream->out, len);
    if (!session->on->emit(session->arg, header, payload)) {
        stream->out_refused = true;
        if (end && !list_is_linked(&stream->end_node)) {
            list_append(&session->ends, &stream->end_node);
        }
        return NGHTTP2_ERR_DEFERRED;
    }
    *flags |= NGHTTP2_DATA_FLAG_NO_COPY;
    if (end) {
        *flags |= NGHTTP2_DATA_FLAG_EOF;
        stream->end_sent = true;
        return 0;
    }
    stream->out += len;
    stream->out_len -= len;
    return (ssize_t)len;
}

nghttp2_data_provider h2_stream_provider(struct h2_stream *stream) {
    return (nghttp2_data_provider){.source = {.ptr = stream}, .read_callback = offer_data};
}

bool h2_stream_respond(struct h2_stream *stream, int status) {
    struct h2_session *session = stream->session;
    CHECK(session->server && status >= 200 && status <= 999);
    if (stream->gone || stream->detached || stream->answered || session->failed) {
        return false;
    }
    uint8_t text[4];
    snprintf((char *)text, sizeof(text), "%d", status);
    static const uint8_t NAME[] = ":status";
    nghttp2_nv field = {
        .name = (uint8_t *)(uintptr_t)NAME,
        .namelen = sizeof(NAME) - 1,
        .value = text,
        .valuelen = 3,
        .flags = NGHTTP2_NV_FLAG_NO_COPY_NAME,
    };
    nghttp2_data_provider data = h2_stream_provider(stream);
    bool opens = status == 200;
    if (nghttp2_submit_response(session->ng, stream->id, &field, 1, opens ? &data : NULL) != 0) {
        return false;
    }
    stream->answered = true;
    stream->refused = !opens;
    return true;
}

static bool may_write(const struct h2_stream *stream) {
    const struct h2_session *session = stream->session;
    return !stream->gone && !stream->detached && !session->mute && !session->failed &&
           !stream->refused && (!session->server || stream->answered);
}

size_t h2_stream_window(const struct h2_stream *stream) {
    if (!may_write(stream) || stream->end_wanted || stream->waits_open) {
        return 0;
    }
    nghttp2_session *ng = stream->session->ng;
    int64_t own = nghttp2_session_get_stream_remote_window_size(ng, stream->id);
    if (!stream->session->server && !stream->opened) { // nghttp2 opens it when HEADERS leave
        own = nghttp2_session_get_remote_settings(ng, NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE);
    }
    int64_t all = nghttp2_session_get_remote_window_size(ng);
    int64_t window = own < all ? own : all;
    return window > 0 ? (size_t)window : 0;
}

size_t h2_stream_room(const struct h2_stream *stream) {
    if (!may_write(stream) || stream->end_wanted) {
        return SIZE_MAX;
    }
    // Before it is open only a stream that has tried to write is told of its opening.
    bool is_known = stream->session->server || stream->opened;
    if (stream->waits_open || (is_known && (stream->blocked || stream->session->blocked))) {
        return 0;
    }
    size_t window = h2_stream_window(stream);
    return window > 0 ? window : SIZE_MAX;
}

size_t h2_stream_write(struct h2_stream *stream, uint8_t *bytes, size_t len) {
    struct h2_session *session = stream->session;
    CHECK(!stream->end_wanted || stream->gone || stream->detached);
    if (len == 0 || session->inside || !may_write(stream)) {
        return 0;
    }
    stream->out = bytes;
    stream->out_len = len;
    stream->out_refused = false;
    // An error means that the stream is not deferred: its first frame is on its way anyway.
    (void)nghttp2_session_resume_data(session->ng, stream->id);
    (void)h2_wire_flush(session);
    size_t taken = len - stream->out_len;
    stream->out = NULL;
    stream->out_len = 0;
    if (stream->gone) {
        return taken;
    }
    if (!session->server && !stream->opened) {
        stream->waits_open = true;
    }
    session->blocked = nghttp2_session_get_remote_window_size(session->ng) <= 0;
    stream->blocked = nghttp2_session_get_stream_remote_window_size(session->ng, stream->id) <= 0;
    return taken;
}

void h2_stream_end(struct h2_stream *stream) {
    if (stream->end_wanted || stream->gone || stream->detached || stream->refused) {
        return;
    }
    stream->end_wanted = true;
    list_append(&stream->session->ends, &stream->end_node);
}

void h2_stream_reset(struct h2_stream *stream, uint32_t error) {
    if (stream->detached) {
        return;
    }
    if (!stream->gone) {
        // Only memory can be short; then the session breaks at its next allocation as well.
        (void)nghttp2_submit_rst_stream(stream->session->ng, NGHTTP2_FLAG_NONE, stream->id, error);
    }
    h2_dispatch_detach(stream);
}

// A reader that has taken much and keeps little waiting gets a larger window: at 1 MiB bulk waits
// for updates. What all streams may make us hold is bounded as before (H2_HELD_MAX).
static void grow_window(struct h2_stream *stream, size_t len) {
    stream->consumed += len;
    if (stream->grown || stream->consumed < 2 * H2_STREAM_WINDOW ||
        stream->held > H2_STREAM_WINDOW / 4) {
        return;
    }
    stream->grown = true;
    if (nghttp2_session_set_local_window_size(stream->session->ng, NGHTTP2_FLAG_NONE, stream->id,
                                              H2_STREAM_WINDOW_BULK) != 0) {
        h2_session_fail(stream->session, "memory is short");
    }
}

void h2_stream_consumed(struct h2_stream *stream, size_t len) {
    struct h2_session *session = stream->session;
    if (stream->detached) {
        return;
    }
    CHECK(len <= stream->held);
    stream->held -= len;
    session->held -= len;
    h2_wire_settle_credit(session);
    if (stream->gone) {
        return;
    }
    if (nghttp2_session_consume_stream(session->ng, stream->id, len) != 0) {
        h2_session_fail(session, "memory is short");
        return;
    }
    grow_window(stream, len);
}
