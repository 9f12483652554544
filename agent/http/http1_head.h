// The head of an HTTP/1.x message (RFC 9112): bytes in any pieces in, fields and framing out. It is
// strict where others are kind, because a kindness that the next parser does not share is how one
// request becomes two: CRLF only, no obs-fold, no space before a colon, one Host, one unambiguous
// length. No I/O.
#ifndef AGENT_HTTP_HTTP1_HEAD_H
#define AGENT_HTTP_HTTP1_HEAD_H

#include "agent/http/http_fields.h"
#include "base/buf.h"

#define HTTP1_TARGET_MAX (8 * 1024)
#define HTTP1_METHOD_MAX 32

// A head that is being received. Zeroed is ready; holds memory only while bytes are in it.
struct http1_head {
    struct buf raw;
    size_t line; // where the current line begins
    bool blank;  // one empty line before the request was passed over (RFC 9112 section 2.2)
};

enum http1_outcome { HTTP1_MORE, HTTP1_DONE, HTTP1_BAD };

struct http1_problem {
    int status;      // to answer with
    const char *why; // a static sentence
};

enum http_body_kind { HTTP_BODY_NONE, HTTP_BODY_LENGTH, HTTP_BODY_CHUNKED, HTTP_BODY_UNTIL_CLOSE };

struct http_body {
    enum http_body_kind kind;
    uint64_t length; // HTTP_BODY_LENGTH
};

struct http1_info {
    struct http_body body;
    bool version_10;
    bool keep_alive;       // what the sender is ready for
    bool expects_continue; // requests
    bool upgrade;          // requests: to a protocol that may be passed on
    int status;            // responses
};

void http1_head_fini(struct http1_head *head);

// Takes bytes up to the end of the head; `*used` of them. After HTTP1_DONE: parse, then _fini.
enum http1_outcome http1_head_feed(struct http1_head *head, struct span bytes, size_t *used,
                                   struct http1_problem *problem);
bool http1_head_has_begun(const struct http1_head *head);

// A complete head into fields (:method, :path, :authority) and what they say about framing.
bool http1_head_parse_request(const struct http1_head *head, struct http_fields *out,
                              struct http1_info *info, struct http1_problem *problem) MUST_USE;
// The same for a response (:status). `to_head`: it answers HEAD, and has no body whatever it says.
bool http1_head_parse_response(const struct http1_head *head, bool to_head, struct http_fields *out,
                               struct http1_info *info, struct http1_problem *problem) MUST_USE;
// Trailers: lines without a first one.
bool http1_head_parse_trailers(struct span lines, struct http_fields *out,
                               struct http1_problem *problem) MUST_USE;

#endif
