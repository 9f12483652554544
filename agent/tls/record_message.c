#include "agent/tls/record_message.h"

void record_message_fini(struct record_message *self) {
    buf_clear_secret(&self->part);
}

void record_message_done(struct record_message *self) {
    buf_clear_secret(&self->part);
}

bool record_message_is_partial(const struct record_message *self) {
    return self->part.len > 0;
}

static bool keep(struct record_message *self, struct span *bytes, size_t wanted) {
    size_t len = wanted < bytes->len ? wanted : bytes->len;
    if (len > 0 && !buf_append(&self->part, bytes->ptr, len)) {
        return false;
    }
    *bytes = span_after(*bytes, len);
    return true;
}

static size_t body_len(struct span header) {
    return (size_t)header.ptr[1] << 16 | (size_t)header.ptr[2] << 8 | header.ptr[3];
}

// Goes on with an incomplete message: its header first, which says how long it is.
static enum record_message_status go_on(struct record_message *self, struct span *bytes,
                                        size_t max_body, struct span *out) {
    size_t wanted = RECORD_MESSAGE_HEADER;
    for (int i = 0; i < 2; i++) {
        if (self->part.len < wanted && !keep(self, bytes, wanted - self->part.len)) {
            return RECORD_MESSAGE_NO_MEMORY;
        }
        *out = buf_span(&self->part);
        if (out->len < wanted) {
            return RECORD_MESSAGE_PARTIAL;
        }
        wanted = RECORD_MESSAGE_HEADER + body_len(*out);
        if (wanted > RECORD_MESSAGE_HEADER + max_body) {
            return RECORD_MESSAGE_TOO_LARGE;
        }
    }
    return out->len == wanted ? RECORD_MESSAGE_WHOLE : RECORD_MESSAGE_PARTIAL;
}

enum record_message_status record_message_next(struct record_message *self, struct span *bytes,
                                               bool is_client, struct span *out) {
    size_t max_body = is_client ? RECORD_MESSAGE_MAX_CLIENT : RECORD_MESSAGE_MAX_SERVER;
    if (self->part.len > 0 || bytes->len < RECORD_MESSAGE_HEADER) {
        return go_on(self, bytes, max_body, out);
    }
    size_t len = RECORD_MESSAGE_HEADER + body_len(*bytes);
    if (len > RECORD_MESSAGE_HEADER + max_body) {
        return RECORD_MESSAGE_TOO_LARGE;
    }
    if (len > bytes->len) {
        return go_on(self, bytes, max_body, out);
    }
    *out = span_of(bytes->ptr, len);
    *bytes = span_after(*bytes, len);
    return RECORD_MESSAGE_WHOLE;
}
