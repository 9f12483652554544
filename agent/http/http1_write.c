// Heads and bodies of HTTP/1.1 as text (RFC 9112), in one canonical spelling: what was dubious in a
// head has no way to be repeated.

#include "agent/http/http_internal.h"

static bool write_span(struct buf *out, struct span bytes) {
    return buf_append(out, bytes.ptr, bytes.len);
}

static bool write_fields(struct buf *out, const struct http_fields *fields) {
    for (size_t i = 0; i < fields->num; i++) {
        struct span name = http_fields_name(fields, i);
        if (name.ptr[0] == ':') {
            continue;
        }
        if (!write_span(out, name) || !buf_append_text(out, ": ") ||
            !write_span(out, http_fields_value(fields, i)) || !buf_append_text(out, "\r\n")) {
            return false;
        }
    }
    return true;
}

static bool write_framing(struct buf *out, const struct http_body *body) {
    switch (body->kind) {
    case HTTP_BODY_LENGTH:
        return buf_printf(out, "Content-Length: %llu\r\n", (unsigned long long)body->length);
    case HTTP_BODY_CHUNKED:
        return buf_append_text(out, "Transfer-Encoding: chunked\r\n");
    case HTTP_BODY_NONE:
    case HTTP_BODY_UNTIL_CLOSE:
        break;
    }
    return true;
}

bool http1_write_request(struct buf *out, const struct http_exchange *ex) {
    const struct http_fields *request = &ex->request;
    return write_span(out, http_fields_get(request, ":method")) && buf_append_text(out, " ") &&
           write_span(out, http_fields_get(request, ":path")) &&
           buf_append_text(out, " HTTP/1.1\r\nHost: ") &&
           write_span(out, http_fields_get(request, ":authority")) &&
           buf_append_text(out, "\r\n") && write_fields(out, request) &&
           write_framing(out, &ex->request_body) &&
           (ex->upgrade[0] == '\0' ||
            buf_printf(out, "Connection: Upgrade\r\nUpgrade: %s\r\n", ex->upgrade)) &&
           (!ex->expects_continue || buf_append_text(out, "Expect: 100-continue\r\n")) &&
           buf_append_text(out, "\r\n");
}

bool http1_write_response(struct buf *out, const struct http_exchange *ex, bool chunked,
                          const char *connection) {
    const struct http_fields *response = &ex->response;
    return buf_append_text(out, "HTTP/1.1 ") &&
           write_span(out, http_fields_get(response, ":status")) && buf_append_text(out, " ") &&
           write_span(out, http_fields_get(response, ":reason")) && buf_append_text(out, "\r\n") &&
           write_fields(out, response) &&
           (!chunked || buf_append_text(out, "Transfer-Encoding: chunked\r\n")) &&
           (connection == NULL || buf_printf(out, "Connection: %s\r\n", connection)) &&
           buf_append_text(out, "\r\n");
}

bool http1_write_data(struct buf *out, struct span bytes, bool chunked) {
    if (bytes.len == 0) {
        return true; // an empty chunk would be the last one
    }
    return (!chunked || buf_printf(out, "%zx\r\n", bytes.len)) && write_span(out, bytes) &&
           (!chunked || buf_append_text(out, "\r\n"));
}

bool http1_write_last_chunk(struct buf *out, const struct http_fields *trailers) {
    return buf_append_text(out, "0\r\n") && (trailers == NULL || write_fields(out, trailers)) &&
           buf_append_text(out, "\r\n");
}
