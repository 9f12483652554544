// The body of an HTTP/1.x message: takes the framing off (RFC 9112 sections 6 and 7), in any
// pieces, strictly. No I/O; holds at most a line of a chunk's size, or the trailers.
#ifndef AGENT_HTTP_HTTP1_BODY_H
#define AGENT_HTTP_HTTP1_BODY_H

#include "agent/http/http1_head.h"

#define HTTP1_CHUNK_LINE_MAX 256 // a chunk's size and its extensions, which are dropped
#define HTTP1_TRAILERS_MAX (8 * 1024)

enum http1_body_state {
    HTTP1_BODY_DATA,
    HTTP1_BODY_SIZE,     // of a chunk
    HTTP1_BODY_CHUNK,    // its bytes
    HTTP1_BODY_CHUNK_CR, // the line end after them
    HTTP1_BODY_CHUNK_LF,
    HTTP1_BODY_TRAILERS,
    HTTP1_BODY_ENDED,
};

struct http1_body {
    enum http1_body_state state;
    bool until_close;
    uint64_t left;   // of the body or the chunk
    struct buf line; // the line, or the trailers
};

enum http1_piece {
    HTTP1_PIECE_NONE, // more bytes are needed
    HTTP1_PIECE_DATA, // `*data` is a part of the body
    HTTP1_PIECE_END,
    HTTP1_PIECE_BAD,
};

void http1_body_init(struct http1_body *body, const struct http_body *kind);
void http1_body_fini(struct http1_body *body);

// Takes from the front of `rest` until there is a piece to give. With HTTP1_PIECE_END the trailers
// are in `trailers`. Not called again after END or BAD.
enum http1_piece http1_body_next(struct http1_body *body, struct span *rest, struct span *data,
                                 struct http_fields *trailers);
// The sender has closed: whether the body was complete.
bool http1_body_may_end(const struct http1_body *body);

#endif
