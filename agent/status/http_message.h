// One HTTP/1.x message out of bytes that come in any pieces, with every size bounded. No I/O.
// The only door to http-parser: requests for the status port, responses for `pavise status`.
#ifndef AGENT_STATUS_HTTP_MESSAGE_H
#define AGENT_STATUS_HTTP_MESSAGE_H

#include <stdbool.h>
#include <stddef.h>

#include "base/own.h"
#include "base/span.h"

#define HTTP_TARGET_MAX (8 * 1024) // bytes of path and query
#define HTTP_HEAD_MAX (16 * 1024)  // request or status line and all headers
#define HTTP_HEADERS_MAX 64
#define HTTP_REQUEST_BODY_MAX (4 * 1024)

enum http_kind { HTTP_KIND_REQUEST, HTTP_KIND_RESPONSE };
enum http_verb { HTTP_VERB_GET, HTTP_VERB_HEAD, HTTP_VERB_POST, HTTP_VERB_OTHER };

// What the headers that we look at said. Requests only.
struct http_head {
    enum http_verb verb;
    struct span path;    // begins with '/', as sent: percent signs are not decoded
    struct span query;   // after the '?'
    const char *host;    // Host, "" when there was none
    bool has_origin;     // Origin was there, whatever it said
    bool has_fetch_site; // Sec-Fetch-Site was there
    const char *fetch_site;
};

enum http_outcome {
    HTTP_MORE, // not complete yet
    HTTP_DONE, // complete; what follows belongs to the next message
    HTTP_BAD,  // not acceptable: http_message_status and http_message_problem say why
};

struct http_message;

// `body_max` bounds what http_message_body may hold; more is HTTP_BAD.
struct http_message *http_message_new(enum http_kind kind, size_t body_max) MUST_USE;
void http_message_free(struct http_message *message);
OWN_DEFINE(struct http_message, http_message_free)
// Ready for the next message of the same kind.
void http_message_reset(struct http_message *message);

// Parses; `*used` says how many bytes belong to this message. Not called again after HTTP_DONE or
// HTTP_BAD.
enum http_outcome http_message_feed(struct http_message *message, struct span bytes, size_t *used);
// The peer sent its end: completes a response whose body has no declared length.
enum http_outcome http_message_end(struct http_message *message);

bool http_message_has_begun(const struct http_message *message); // a byte of it has come
// Valid until reset, free or the next feed; after HTTP_DONE only.
struct http_head http_message_head(const struct http_message *message);
bool http_message_keep_alive(const struct http_message *message);
struct span http_message_body(const struct http_message *message);

// Responses: the status code. After HTTP_BAD of a request: the status code to answer with.
unsigned http_message_status(const struct http_message *message);
const char *http_message_problem(const struct http_message *message); // a sentence; static text

#endif
