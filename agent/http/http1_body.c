#include "agent/http/http1_body.h"

#include <string.h>

#include "agent/http/http_chars.h"

#define SIZE_DIGITS_MAX 15 // below 2^60

void http1_body_init(struct http1_body *body, const struct http_body *kind) {
    *body = (struct http1_body){.state = HTTP1_BODY_DATA};
    switch (kind->kind) {
    case HTTP_BODY_NONE:
        body->state = HTTP1_BODY_ENDED;
        break;
    case HTTP_BODY_LENGTH:
        body->left = kind->length;
        body->state = kind->length == 0 ? HTTP1_BODY_ENDED : HTTP1_BODY_DATA;
        break;
    case HTTP_BODY_CHUNKED:
        body->state = HTTP1_BODY_SIZE;
        break;
    case HTTP_BODY_UNTIL_CLOSE:
        body->until_close = true;
        body->left = UINT64_MAX;
        break;
    }
}

void http1_body_fini(struct http1_body *body) {
    buf_fini(&body->line);
}

// "1a" or "1a;name=value": no sign, no prefix, no space.
static bool parse_size(struct span line, uint64_t *size) {
    size_t len = 0;
    *size = 0;
    while (len < line.len && http_chars_hex(line.ptr[len]) >= 0) {
        *size = *size * 16 + (uint64_t)http_chars_hex(line.ptr[len]);
        if (++len > SIZE_DIGITS_MAX) {
            return false;
        }
    }
    struct span extension = span_after(line, len);
    return len > 0 && (extension.len == 0 || extension.ptr[0] == ';') &&
           http_chars_is_field_value(extension);
}

// Collects up to and with LF. HTTP1_PIECE_DATA: the line is complete and ends with CR LF.
static enum http1_piece collect(struct http1_body *body, struct span *rest, size_t max) {
    const uint8_t *newline = memchr(rest->ptr, '\n', rest->len);
    size_t len = newline == NULL ? rest->len : (size_t)(newline - rest->ptr) + 1;
    if (len > max - body->line.len || !buf_append(&body->line, rest->ptr, len)) {
        return HTTP1_PIECE_BAD;
    }
    *rest = span_after(*rest, len);
    if (newline == NULL) {
        return HTTP1_PIECE_NONE;
    }
    struct span line = buf_span(&body->line);
    return line.len >= 2 && line.ptr[line.len - 2] == '\r' ? HTTP1_PIECE_DATA : HTTP1_PIECE_BAD;
}

static enum http1_piece take_size(struct http1_body *body, struct span *rest) {
    enum http1_piece piece = collect(body, rest, HTTP1_CHUNK_LINE_MAX);
    if (piece != HTTP1_PIECE_DATA) {
        return piece;
    }
    struct span line = buf_span(&body->line);
    if (!parse_size(span_of(line.ptr, line.len - 2), &body->left)) {
        return HTTP1_PIECE_BAD;
    }
    buf_clear(&body->line);
    body->state = body->left > 0 ? HTTP1_BODY_CHUNK : HTTP1_BODY_TRAILERS;
    return HTTP1_PIECE_NONE;
}

// The trailers end with an empty line, which is what `line` ends with or all that it is.
static bool trailers_ended(struct span lines) {
    return (lines.len == 2 || lines.ptr[lines.len - 3] == '\n') && lines.ptr[lines.len - 2] == '\r';
}

static enum http1_piece take_trailers(struct http1_body *body, struct span *rest,
                                      struct http_fields *trailers) {
    enum http1_piece piece = collect(body, rest, HTTP1_TRAILERS_MAX);
    if (piece != HTTP1_PIECE_DATA) {
        return piece;
    }
    if (!trailers_ended(buf_span(&body->line))) {
        return HTTP1_PIECE_NONE;
    }
    struct http1_problem problem;
    body->state = HTTP1_BODY_ENDED;
    bool good = http1_head_parse_trailers(buf_span(&body->line), trailers, &problem);
    buf_clear(&body->line);
    return good ? HTTP1_PIECE_END : HTTP1_PIECE_BAD;
}

static enum http1_piece take_data(struct http1_body *body, struct span *rest, struct span *data) {
    size_t len = body->left < rest->len ? (size_t)body->left : rest->len;
    *data = span_of(rest->ptr, len);
    *rest = span_after(*rest, len);
    if (!body->until_close) {
        body->left -= len;
    }
    if (body->left == 0) {
        body->state = body->state == HTTP1_BODY_CHUNK ? HTTP1_BODY_CHUNK_CR : HTTP1_BODY_ENDED;
    }
    return HTTP1_PIECE_DATA;
}

static enum http1_piece take_line_end(struct http1_body *body, struct span *rest) {
    bool cr = body->state == HTTP1_BODY_CHUNK_CR;
    if (rest->ptr[0] != (cr ? '\r' : '\n')) {
        return HTTP1_PIECE_BAD;
    }
    *rest = span_after(*rest, 1);
    body->state = cr ? HTTP1_BODY_CHUNK_LF : HTTP1_BODY_SIZE;
    return HTTP1_PIECE_NONE;
}

static enum http1_piece take_some(struct http1_body *body, struct span *rest, struct span *data,
                                  struct http_fields *trailers) {
    switch (body->state) {
    case HTTP1_BODY_DATA:
    case HTTP1_BODY_CHUNK:
        return take_data(body, rest, data);
    case HTTP1_BODY_SIZE:
        return take_size(body, rest);
    case HTTP1_BODY_CHUNK_CR:
    case HTTP1_BODY_CHUNK_LF:
        return take_line_end(body, rest);
    case HTTP1_BODY_TRAILERS:
        return take_trailers(body, rest, trailers);
    case HTTP1_BODY_ENDED:
        break;
    }
    return HTTP1_PIECE_END;
}

enum http1_piece http1_body_next(struct http1_body *body, struct span *rest, struct span *data,
                                 struct http_fields *trailers) {
    while (rest->len > 0 && body->state != HTTP1_BODY_ENDED) {
        enum http1_piece piece = take_some(body, rest, data, trailers);
        if (piece != HTTP1_PIECE_NONE) {
            return piece;
        }
    }
    return body->state == HTTP1_BODY_ENDED ? HTTP1_PIECE_END : HTTP1_PIECE_NONE;
}

bool http1_body_may_end(const struct http1_body *body) {
    return body->until_close || body->state == HTTP1_BODY_ENDED;
}
