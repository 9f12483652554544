#include "agent/status/http_message.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include <http_parser.h>

#include "base/buf.h"
#include "base/check.h"

// The headers that matter to us. Everything else is counted and forgotten.
enum known_header { HEADER_OTHER, HEADER_HOST, HEADER_ORIGIN, HEADER_FETCH_SITE, HEADER_ENCODING };

#define NAME_MAX_LEN 24
#define HOST_MAX_LEN 300 // a DNS name of 253 and a port

struct http_message {
    http_parser parser;
    enum http_kind kind;
    size_t body_max;
    struct buf target;
    struct buf body;
    size_t head_len; // bytes fed while the head was incomplete
    unsigned num_headers;
    bool head_done, done, keep_alive;
    // the header that is being read
    char name[NAME_MAX_LEN + 1];
    size_t name_len; // over NAME_MAX_LEN: none of ours
    bool in_value;
    enum known_header header;
    char host[HOST_MAX_LEN + 1];
    char fetch_site[NAME_MAX_LEN + 1];
    bool has_host, has_origin, has_fetch_site;
    unsigned status;
    const char *problem; // NULL: none
};

static int refuse(struct http_message *m, unsigned status, const char *sentence) {
    m->status = status;
    m->problem = sentence;
    return -1; // makes http-parser stop
}

// RFC 9110 section 5.6.2. Debian's http-parser is built without its strict mode and lets spaces by.
static bool is_token(const char *at, size_t len) {
    static const char marks[] = "!#$%&'*+-.^_`|~";
    for (size_t i = 0; i < len; i++) {
        bool is_alnum =
            (at[i] >= '0' && at[i] <= '9') || ((at[i] | 0x20) >= 'a' && (at[i] | 0x20) <= 'z');
        if (!is_alnum && (at[i] == '\0' || strchr(marks, at[i]) == NULL)) {
            return false;
        }
    }
    return true;
}

static bool is_printable(const char *at, size_t len) {
    for (size_t i = 0; i < len; i++) {
        if (at[i] <= 0x20 || at[i] >= 0x7f) {
            return false;
        }
    }
    return true;
}

static int on_url(http_parser *parser, const char *at, size_t len) {
    struct http_message *m = parser->data;
    if (m->target.len + len > HTTP_TARGET_MAX) {
        return refuse(m, 414, "the request line is too long");
    }
    if (!is_printable(at, len)) {
        return refuse(m, 400, "the request target has characters that must be encoded");
    }
    if (!buf_append(&m->target, at, len)) {
        return refuse(m, 503, "memory is short");
    }
    return 0;
}

static int on_header_field(http_parser *parser, const char *at, size_t len) {
    struct http_message *m = parser->data;
    if (m->in_value || m->num_headers == 0) { // the first piece of a new name
        m->in_value = false;
        m->name_len = 0;
        if (++m->num_headers > HTTP_HEADERS_MAX) {
            return refuse(m, 431, "there are too many headers");
        }
    }
    if (!is_token(at, len)) {
        return refuse(m, 400, "the name of a header is malformed");
    }
    if (m->name_len + len <= NAME_MAX_LEN) {
        memcpy(m->name + m->name_len, at, len);
        m->name[m->name_len + len] = '\0';
    }
    m->name_len += len;
    return 0;
}

static enum known_header header_of(const struct http_message *m) {
    static const char *const names[] = {
        [HEADER_HOST] = "host",
        [HEADER_ORIGIN] = "origin",
        [HEADER_FETCH_SITE] = "sec-fetch-site",
        [HEADER_ENCODING] = "transfer-encoding",
    };
    if (m->name_len > NAME_MAX_LEN) {
        return HEADER_OTHER;
    }
    for (enum known_header i = HEADER_HOST; i <= HEADER_ENCODING; i++) {
        if (strcasecmp(m->name, names[i]) == 0) {
            return i;
        }
    }
    return HEADER_OTHER;
}

// The name of a header is complete. A second Host is how one request is made to look like two.
static int begin_value(struct http_message *m) {
    m->header = header_of(m);
    m->in_value = true;
    if (m->kind == HTTP_KIND_RESPONSE) {
        return 0;
    }
    switch (m->header) {
    case HEADER_HOST:
        if (m->has_host) {
            return refuse(m, 400, "there is more than one Host header");
        }
        m->has_host = true;
        return 0;
    case HEADER_ORIGIN:
        m->has_origin = true;
        return 0;
    case HEADER_FETCH_SITE:
        if (m->has_fetch_site) {
            return refuse(m, 400, "there is more than one Sec-Fetch-Site header");
        }
        m->has_fetch_site = true;
        return 0;
    case HEADER_ENCODING:
        return refuse(m, 400, "requests with Transfer-Encoding are not taken");
    case HEADER_OTHER:
        return 0;
    }
    return 0;
}

static int append_value(struct http_message *m, char *to, size_t max, struct span value) {
    size_t len = strlen(to);
    if (memchr(value.ptr, '\0', value.len) != NULL || len + value.len > max) {
        return refuse(m, 400, "a header has a value that cannot be right");
    }
    memcpy(to + len, value.ptr, value.len);
    to[len + value.len] = '\0';
    return 0;
}

static int on_header_value(http_parser *parser, const char *at, size_t len) {
    struct http_message *m = parser->data;
    if (m->head_done) {
        return 0; // trailers say nothing that we listen to
    }
    if (!m->in_value && begin_value(m) != 0) {
        return -1;
    }
    if (m->header == HEADER_HOST) {
        return append_value(m, m->host, HOST_MAX_LEN, span_of(at, len));
    }
    if (m->header == HEADER_FETCH_SITE) {
        return append_value(m, m->fetch_site, NAME_MAX_LEN, span_of(at, len));
    }
    return 0;
}

static int on_headers_complete(http_parser *parser) {
    struct http_message *m = parser->data;
    m->head_done = true;
    if (parser->http_major != 1 || parser->http_minor > 1) {
        return refuse(m, 505, "only HTTP/1.1 and HTTP/1.0 are spoken here");
    }
    if (m->kind == HTTP_KIND_RESPONSE) {
        m->status = parser->status_code;
        return 0;
    }
    struct span target = buf_span(&m->target);
    if (target.len == 0 || target.ptr[0] != '/' || memchr(target.ptr, '#', target.len) != NULL) {
        return refuse(m, 400, "the request target is not a path");
    }
    if ((parser->flags & F_CONTENTLENGTH) != 0 && parser->content_length > m->body_max) {
        return refuse(m, 413, "the request body is too large");
    }
    return 0;
}

static int on_body(http_parser *parser, const char *at, size_t len) {
    struct http_message *m = parser->data;
    if (m->body.len + len > m->body_max) {
        return refuse(m, 413, "the body is too large");
    }
    if (!buf_append(&m->body, at, len)) {
        return refuse(m, 503, "memory is short");
    }
    return 0;
}

static int on_message_complete(http_parser *parser) {
    struct http_message *m = parser->data;
    m->done = true;
    m->keep_alive = http_should_keep_alive(parser) != 0;
    http_parser_pause(parser, 1); // what follows is the next message's
    return 0;
}

static const http_parser_settings settings = {
    .on_url = on_url,
    .on_header_field = on_header_field,
    .on_header_value = on_header_value,
    .on_headers_complete = on_headers_complete,
    .on_body = on_body,
    .on_message_complete = on_message_complete,
};

struct http_message *http_message_new(enum http_kind kind, size_t body_max) {
    struct http_message *m = calloc(1, sizeof(*m));
    if (m == NULL) {
        return NULL;
    }
    m->kind = kind;
    m->body_max = body_max;
    http_message_reset(m);
    return m;
}

void http_message_free(struct http_message *message) {
    if (message == NULL) {
        return;
    }
    buf_fini(&message->target);
    buf_fini(&message->body);
    free(message);
}

void http_message_reset(struct http_message *m) {
    enum http_kind kind = m->kind;
    size_t body_max = m->body_max;
    buf_clear(&m->target);
    buf_clear(&m->body);
    memset(m, 0, sizeof(*m));
    m->kind = kind;
    m->body_max = body_max;
    http_parser_init(&m->parser, kind == HTTP_KIND_REQUEST ? HTTP_REQUEST : HTTP_RESPONSE);
    m->parser.data = m;
}

// The library's own reasons, in a sentence; a callback's refusal has set its own.
static enum http_outcome fail(struct http_message *m) {
    if (m->problem != NULL) {
        return HTTP_BAD;
    }
    switch (HTTP_PARSER_ERRNO(&m->parser)) {
    case HPE_INVALID_METHOD:
        (void)refuse(m, 501, "the method is not known");
        break;
    case HPE_INVALID_VERSION:
        (void)refuse(m, 505, "only HTTP/1.1 and HTTP/1.0 are spoken here");
        break;
    case HPE_HEADER_OVERFLOW:
        (void)refuse(m, 431, "the headers are too large");
        break;
    case HPE_INVALID_CONTENT_LENGTH:
    case HPE_UNEXPECTED_CONTENT_LENGTH:
        (void)refuse(m, 400, "the length of the body is not clear");
        break;
    default:
        (void)refuse(m, 400, "this is not an HTTP message");
        break;
    }
    return HTTP_BAD;
}

enum http_outcome http_message_feed(struct http_message *m, struct span bytes, size_t *used) {
    CHECK(!m->done && m->problem == NULL);
    *used = 0;
    while (*used < bytes.len) {
        size_t len = bytes.len - *used;
        if (!m->head_done && len > HTTP_HEAD_MAX - m->head_len) {
            len = HTTP_HEAD_MAX - m->head_len;
        }
        if (len == 0) {
            (void)refuse(m, 431, "the headers are too large");
            return HTTP_BAD;
        }
        if (!m->head_done) {
            m->head_len += len;
        }
        *used += http_parser_execute(&m->parser, &settings, (const char *)bytes.ptr + *used, len);
        if (m->problem == NULL && m->done) {
            return HTTP_DONE;
        }
        if (m->problem != NULL || HTTP_PARSER_ERRNO(&m->parser) != HPE_OK) {
            return fail(m);
        }
    }
    return HTTP_MORE;
}

enum http_outcome http_message_end(struct http_message *m) {
    if (!m->done && m->problem == NULL) {
        (void)http_parser_execute(&m->parser, &settings, "", 0);
    }
    if (m->problem == NULL && m->done) {
        return HTTP_DONE;
    }
    if (m->problem == NULL) {
        (void)refuse(m, 400, "the message ends in the middle");
    }
    return HTTP_BAD;
}

bool http_message_has_begun(const struct http_message *message) {
    return message->head_len > 0;
}

struct http_head http_message_head(const struct http_message *m) {
    struct span target = buf_span(&m->target);
    const uint8_t *mark = target.len == 0 ? NULL : memchr(target.ptr, '?', target.len);
    size_t path_len = mark == NULL ? target.len : (size_t)(mark - target.ptr);
    struct http_head head = {
        .verb = HTTP_VERB_OTHER,
        .path = span_of(target.ptr, path_len),
        .query = mark == NULL ? span_of(NULL, 0) : span_after(target, path_len + 1),
        .host = m->host,
        .has_origin = m->has_origin,
        .has_fetch_site = m->has_fetch_site,
        .fetch_site = m->fetch_site,
    };
    if (m->parser.method == HTTP_GET) {
        head.verb = HTTP_VERB_GET;
    } else if (m->parser.method == HTTP_HEAD) {
        head.verb = HTTP_VERB_HEAD;
    } else if (m->parser.method == HTTP_POST) {
        head.verb = HTTP_VERB_POST;
    }
    return head;
}

bool http_message_keep_alive(const struct http_message *message) {
    return message->keep_alive;
}

struct span http_message_body(const struct http_message *message) {
    return buf_span(&message->body);
}

unsigned http_message_status(const struct http_message *message) {
    return message->status;
}

const char *http_message_problem(const struct http_message *message) {
    return message->problem == NULL ? "" : message->problem;
}
