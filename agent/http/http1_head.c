#include "agent/http/http1_head.h"

#include <string.h>

#include "agent/http/http1_framing.h"
#include "agent/http/http_chars.h"

void http1_head_fini(struct http1_head *head) {
    buf_fini(&head->raw);
    *head = (struct http1_head){.line = 0};
}

bool http1_head_has_begun(const struct http1_head *head) {
    return head->raw.len > 0;
}

static bool bad(struct http1_problem *problem, int status, const char *why) {
    *problem = (struct http1_problem){.status = status, .why = why};
    return false;
}

static enum http1_outcome refuse(struct http1_problem *problem, int status, const char *why) {
    (void)bad(problem, status, why);
    return HTTP1_BAD;
}

// ---- where the head ends ------------------------------------------------------------------------

// A line is complete in `raw`. HTTP1_MORE: it was not the last one.
static enum http1_outcome end_line(struct http1_head *head, struct http1_problem *problem) {
    struct span raw = buf_span(&head->raw);
    size_t len = raw.len - head->line;
    if (len < 2 || raw.ptr[raw.len - 2] != '\r') {
        return refuse(problem, 400, "a line ends without CR LF");
    }
    if (len > 2) {
        head->line = raw.len;
        return HTTP1_MORE;
    }
    if (head->line > 0) {
        return HTTP1_DONE;
    }
    if (head->blank) {
        return refuse(problem, 400, "there are empty lines instead of a message");
    }
    head->blank = true;
    buf_clear(&head->raw);
    return HTTP1_MORE;
}

// TLS, or anything else that has no lines, would otherwise wait for one.
static bool begins_well(const struct http1_head *head) {
    struct span raw = buf_span(&head->raw);
    return raw.ptr[0] == '\r' || raw.ptr[0] == '\n' || http_chars_is_token(span_of(raw.ptr, 1));
}

enum http1_outcome http1_head_feed(struct http1_head *head, struct span bytes, size_t *used,
                                   struct http1_problem *problem) {
    *used = 0;
    while (*used < bytes.len) {
        struct span rest = span_after(bytes, *used);
        const uint8_t *newline = memchr(rest.ptr, '\n', rest.len);
        size_t len = newline == NULL ? rest.len : (size_t)(newline - rest.ptr) + 1;
        if (len > HTTP_HEAD_BYTES_MAX - head->raw.len) {
            bool first = head->line == 0;
            return refuse(problem, first ? 414 : 431,
                          first ? "the first line is too long" : "the headers are too large");
        }
        if (!buf_append(&head->raw, rest.ptr, len)) {
            return refuse(problem, 503, "memory is short");
        }
        *used += len;
        if (!begins_well(head)) {
            return refuse(problem, 400, "this is not an HTTP message");
        }
        enum http1_outcome outcome = newline == NULL ? HTTP1_MORE : end_line(head, problem);
        if (outcome != HTTP1_MORE) {
            return outcome;
        }
    }
    return HTTP1_MORE;
}

// ---- what is in it ------------------------------------------------------------------------------

// Takes a line without its CR LF off `rest`. False at the empty last one.
static bool next_line(struct span *rest, struct span *line) {
    const uint8_t *newline = rest->len == 0 ? NULL : memchr(rest->ptr, '\n', rest->len);
    if (newline == NULL) {
        return false;
    }
    size_t len = (size_t)(newline - rest->ptr) + 1;
    *line = span_of(rest->ptr, len - 2);
    *rest = span_after(*rest, len);
    return line->len > 0;
}

static bool add(struct http_fields *out, const char *name, struct span value,
                struct http1_problem *problem) {
    switch (http_fields_add(out, span_of_text(name), value)) {
    case HTTP_FIELDS_OK:
        return true;
    case HTTP_FIELDS_TOO_LARGE:
        return bad(problem, 431, "the headers are too large");
    case HTTP_FIELDS_NO_MEMORY:
        break;
    }
    return bad(problem, 503, "memory is short");
}

static bool parse_field(struct span line, struct http_fields *out, struct http1_problem *problem) {
    const uint8_t *colon = memchr(line.ptr, ':', line.len);
    if (line.ptr[0] == ' ' || line.ptr[0] == '\t') {
        return bad(problem, 400, "a header is folded over several lines");
    }
    if (colon == NULL) {
        return bad(problem, 400, "a header has no colon");
    }
    struct span name = span_of(line.ptr, (size_t)(colon - line.ptr));
    struct span value = http_chars_trim(span_after(line, name.len + 1));
    if (!http_chars_is_token(name)) {
        return bad(problem, 400, "the name of a header is malformed");
    }
    if (!http_chars_is_field_value(value)) {
        return bad(problem, 400, "the value of a header has a control character");
    }
    if (out->num >= HTTP_HEAD_FIELDS_MAX) {
        return bad(problem, 431, "there are too many headers");
    }
    enum http_fields_status status = http_fields_add(out, name, value);
    return status == HTTP_FIELDS_OK || bad(problem, 503, "memory is short");
}

static bool parse_fields(struct span rest, struct http_fields *out, struct http1_problem *problem) {
    struct span line;
    while (next_line(&rest, &line)) {
        if (!parse_field(line, out, problem)) {
            return false;
        }
    }
    return true;
}

bool http1_head_parse_trailers(struct span lines, struct http_fields *out,
                               struct http1_problem *problem) {
    return parse_fields(lines, out, problem);
}

static bool parse_version(struct span text, bool *version_10, struct http1_problem *problem) {
    *version_10 = span_equal_text(text, "HTTP/1.0");
    if (*version_10 || span_equal_text(text, "HTTP/1.1")) {
        return true;
    }
    bool http = text.len == 8 && memcmp(text.ptr, "HTTP/", 5) == 0;
    return http ? bad(problem, 505, "only HTTP/1.1 and HTTP/1.0 are spoken here")
                : bad(problem, 400, "the first line is malformed");
}

// Takes up to the next single space, which is dropped.
static bool next_word(struct span *rest, struct span *word) {
    const uint8_t *space = rest->len == 0 ? NULL : memchr(rest->ptr, ' ', rest->len);
    if (space == NULL) {
        return false;
    }
    *word = span_of(rest->ptr, (size_t)(space - rest->ptr));
    *rest = span_after(*rest, word->len + 1);
    return word->len > 0;
}

static bool parse_request_line(struct span line, struct http_fields *out, bool *version_10,
                               struct http1_problem *problem) {
    struct span rest = line, method, target;
    if (!next_word(&rest, &method) || !next_word(&rest, &target)) {
        return bad(problem, 400, "the first line is malformed");
    }
    if (!parse_version(rest, version_10, problem)) {
        return false;
    }
    if (!http_chars_is_token(method) || method.len > HTTP1_METHOD_MAX) {
        return bad(problem, 400, "the method is malformed");
    }
    if (target.len > HTTP1_TARGET_MAX) {
        return bad(problem, 414, "the request target is too long");
    }
    if (!http_chars_is_target(target)) {
        return bad(problem, 400, "the request target has characters that must be encoded");
    }
    if (target.ptr[0] != '/') { // absolute-form names a second host; CONNECT asks for a proxy
        return bad(problem, 400, "the request target is not a path");
    }
    return add(out, ":method", method, problem) && add(out, ":path", target, problem);
}

// The host becomes :authority, so that there is one place to look for it.
static bool take_host(struct http_fields *out, bool version_10, struct http1_problem *problem) {
    size_t num = http_fields_count(out, "host");
    if (num > 1) {
        return bad(problem, 400, "there is more than one Host header");
    }
    if (num == 0) {
        return version_10 || bad(problem, 400, "there is no Host header");
    }
    int i = http_fields_find(out, "host");
    struct http_field host = out->item[i];
    http_fields_remove(out, (size_t)i);
    if (!add(out, ":authority", span_of(NULL, 0), problem)) {
        return false;
    }
    out->item[out->num - 1].value = host.value;
    out->item[out->num - 1].value_len = host.value_len;
    return host.value_len > 0 || version_10 || bad(problem, 400, "the Host header is empty");
}

bool http1_head_parse_request(const struct http1_head *head, struct http_fields *out,
                              struct http1_info *info, struct http1_problem *problem) {
    struct span rest = buf_span(&head->raw), line;
    *info = (struct http1_info){.status = 0};
    return next_line(&rest, &line) && parse_request_line(line, out, &info->version_10, problem) &&
           parse_fields(rest, out, problem) && take_host(out, info->version_10, problem) &&
           http1_framing_of_request(out, info, problem);
}

static bool parse_status_line(struct span line, struct http_fields *out, struct http1_info *info,
                              struct http1_problem *problem) {
    struct span rest = line, version;
    if (!next_word(&rest, &version) || !parse_version(version, &info->version_10, problem)) {
        return bad(problem, 502, "the application's answer is not HTTP/1.1");
    }
    uint64_t status = 0;
    bool spaced = rest.len == 3 || (rest.len > 3 && rest.ptr[3] == ' ');
    if (!spaced || !http_chars_decimal(span_of(rest.ptr, 3), &status) || status < 100 ||
        !http_chars_is_field_value(rest)) {
        return bad(problem, 502, "the application's answer has no status");
    }
    info->status = (int)status;
    struct span reason = rest.len > 4 ? span_after(rest, 4) : span_of(NULL, 0);
    return add(out, ":status", span_of(rest.ptr, 3), problem) &&
           add(out, ":reason", reason, problem);
}

bool http1_head_parse_response(const struct http1_head *head, bool to_head, struct http_fields *out,
                               struct http1_info *info, struct http1_problem *problem) {
    struct span rest = buf_span(&head->raw), line;
    *info = (struct http1_info){.status = 0};
    return next_line(&rest, &line) && parse_status_line(line, out, info, problem) &&
           parse_fields(rest, out, problem) &&
           http1_framing_of_response(out, to_head, info, problem);
}
