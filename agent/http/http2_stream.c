// Streams: heads and bodies on their way out.
#include <stdlib.h>
#include <string.h>

#include "agent/http/http2_internal.h"
#include "agent/http/http_chars.h"

struct http2_stream *http2_stream_new(struct http2_session *session) {
    struct http2_stream *stream = calloc(1, sizeof(*stream));
    if (stream != NULL) {
        stream->session = session;
        list_append(&session->streams, &stream->node);
        session->num_streams++;
    }
    return stream;
}

void http2_stream_free(struct http2_stream *stream) {
    list_remove(&stream->node);
    stream->session->num_streams--;
    if (stream->session->reading == stream) {
        stream->session->reading = NULL;
    }
    http_fields_fini(&stream->fields);
    http_fields_fini(&stream->trailers);
    buf_fini(&stream->out);
    free(stream);
}

void http2_stream_set_arg(struct http2_stream *stream, void *stream_arg) {
    stream->arg = stream_arg;
}

void *http2_stream_arg(const struct http2_stream *stream) {
    return stream->arg;
}

bool http2_stream_fields_were_too_large(const struct http2_stream *stream) {
    return stream->too_large;
}

// ---- heads --------------------------------------------------------------------------------------

// nghttp2 copies names and values; a name has to be in lower case already.
struct block {
    struct buf names;
    size_t num;
    nghttp2_nv field[HTTP_FIELDS_MAX];
};

static bool lower_names(struct block *block, const struct http_fields *fields) {
    size_t len = 0;
    for (size_t i = 0; i < fields->num; i++) {
        len += http_fields_name(fields, i).len;
    }
    uint8_t *to = buf_reserve(&block->names, len + 1);
    for (size_t i = 0; to != NULL && i < fields->num; i++) {
        struct span name = http_fields_name(fields, i);
        for (size_t at = 0; at < name.len; at++) {
            *to++ = http_chars_lower(name.ptr[at]);
        }
    }
    if (to != NULL) {
        buf_commit(&block->names, len);
    }
    return to != NULL;
}

static bool is_reason(struct span name) {
    return span_equal_text(name, ":reason"); // HTTP/2 has none
}

// Pseudo-fields first (RFC 9113 section 8.3).
static void add_fields(struct block *block, const struct http_fields *fields, bool pseudo) {
    const uint8_t *name_at = buf_span(&block->names).ptr;
    for (size_t i = 0; i < fields->num; i++) {
        struct span name = span_of(name_at, http_fields_name(fields, i).len);
        struct span value = http_fields_value(fields, i);
        name_at += name.len;
        if ((name.ptr[0] == ':') != pseudo || is_reason(name)) {
            continue;
        }
        block->field[block->num++] = (nghttp2_nv){
            .name = (uint8_t *)(uintptr_t)name.ptr,
            .namelen = name.len,
            .value = (uint8_t *)(uintptr_t)value.ptr,
            .valuelen = value.len,
        };
    }
}

static bool block_init(struct block *block, const struct http_fields *fields) {
    block->names = (struct buf){0};
    block->num = 0;
    if (!lower_names(block, fields)) {
        return false;
    }
    add_fields(block, fields, true);
    add_fields(block, fields, false);
    return true;
}

bool http2_stream_respond(struct http2_stream *stream, const struct http_fields *fields, bool end) {
    struct block block;
    nghttp2_session *ng = stream->session->ng;
    nghttp2_data_provider provider = http2_stream_provider(stream);
    bool sent = block_init(&block, fields) &&
                nghttp2_submit_response(ng, stream->id, block.field, block.num,
                                        end ? NULL : &provider) == 0;
    stream->answered = true;
    stream->end_wanted = end;
    buf_fini(&block.names);
    return sent;
}

bool http2_stream_interim(struct http2_stream *stream, const struct http_fields *fields) {
    struct block block;
    bool sent = block_init(&block, fields) &&
                nghttp2_submit_headers(stream->session->ng, NGHTTP2_FLAG_NONE, stream->id, NULL,
                                       block.field, block.num, NULL) == 0;
    buf_fini(&block.names);
    return sent;
}

struct http2_stream *http2_session_request(struct http2_session *session,
                                           const struct http_fields *fields, bool end,
                                           void *stream_arg) {
    struct block block;
    struct http2_stream *stream = http2_stream_new(session);
    if (stream == NULL) {
        return NULL;
    }
    stream->arg = stream_arg;
    nghttp2_data_provider provider = http2_stream_provider(stream);
    stream->id = !block_init(&block, fields)
                     ? NGHTTP2_ERR_NOMEM
                     : nghttp2_submit_request(session->ng, NULL, block.field, block.num,
                                              end ? NULL : &provider, stream);
    buf_fini(&block.names);
    if (stream->id < 0) {
        http2_stream_free(stream);
        return NULL;
    }
    stream->end_wanted = end;
    return stream;
}

// ---- bodies -------------------------------------------------------------------------------------

static int submit_trailers(struct http2_stream *stream) {
    struct block block;
    int failed = !block_init(&block, &stream->trailers);
    if (!failed) {
        failed = nghttp2_submit_trailer(stream->session->ng, stream->id, block.field, block.num);
    }
    buf_fini(&block.names);
    return failed;
}

static ssize_t offer_data(nghttp2_session *ng UNUSED, int32_t id UNUSED, uint8_t *to, size_t max,
                          uint32_t *flags, nghttp2_data_source *source, void *user UNUSED) {
    struct http2_stream *stream = source->ptr;
    struct span out = buf_span(&stream->out);
    size_t len = out.len < max ? out.len : max;
    if (len == 0 && !stream->end_wanted) {
        return NGHTTP2_ERR_DEFERRED;
    }
    if (len > 0) {
        memcpy(to, out.ptr, len);
        buf_consume(&stream->out, len);
        stream->session->on->drained(stream->session->arg, stream);
    }
    if (stream->out.len == 0 && stream->end_wanted) {
        *flags |= NGHTTP2_DATA_FLAG_EOF;
        stream->end_sent = true;
        if (stream->trailers.num > 0) {
            *flags |= NGHTTP2_DATA_FLAG_NO_END_STREAM;
            if (submit_trailers(stream) != 0) {
                return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
            }
        }
    }
    return (ssize_t)len;
}

nghttp2_data_provider http2_stream_provider(struct http2_stream *stream) {
    return (nghttp2_data_provider){.source = {.ptr = stream}, .read_callback = offer_data};
}

size_t http2_stream_room(const struct http2_stream *stream) {
    return stream->out.len < HTTP2_OUT_MAX ? HTTP2_OUT_MAX - stream->out.len : 0;
}

static void resume(struct http2_stream *stream) {
    // An error means that the stream is not deferred: it is on its way anyway.
    (void)nghttp2_session_resume_data(stream->session->ng, stream->id);
}

bool http2_stream_write(struct http2_stream *stream, struct span bytes) {
    if (bytes.len == 0) {
        return true;
    }
    if (!buf_append(&stream->out, bytes.ptr, bytes.len)) {
        return false;
    }
    resume(stream);
    return true;
}

bool http2_stream_end(struct http2_stream *stream, const struct http_fields *trailers) {
    for (size_t i = 0; trailers != NULL && i < trailers->num; i++) {
        if (http_fields_add(&stream->trailers, http_fields_name(trailers, i),
                            http_fields_value(trailers, i)) != HTTP_FIELDS_OK) {
            return false;
        }
    }
    stream->end_wanted = true;
    resume(stream);
    return true;
}

void http2_stream_reset(struct http2_stream *stream, uint32_t error) {
    (void)nghttp2_submit_rst_stream(stream->session->ng, NGHTTP2_FLAG_NONE, stream->id, error);
}

bool http2_stream_credit_connection(struct http2_session *session) {
    if (session->owed == 0 || session->held > HTTP2_HELD_MAX) {
        return true;
    }
    size_t len = session->owed;
    session->owed = 0;
    return nghttp2_session_consume_connection(session->ng, len) == 0;
}

void http2_stream_consumed(struct http2_stream *stream) {
    struct http2_session *session = stream->session;
    size_t len = stream->unconsumed;
    stream->unconsumed = 0;
    session->held -= len;
    if (len > 0) {
        (void)nghttp2_session_consume_stream(session->ng, stream->id, len);
        session->failed = session->failed || !http2_stream_credit_connection(session);
    }
}
