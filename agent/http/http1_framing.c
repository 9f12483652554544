#include "agent/http/http1_framing.h"

#include "agent/http/http_chars.h"

#define LENGTH_MAX (UINT64_C(1) << 62)

static bool bad(struct http1_problem *problem, int status, const char *why) {
    *problem = (struct http1_problem){.status = status, .why = why};
    return false;
}

// One field, one number. "5, 5" and a second equal field are refused as well.
static bool length_of(const struct http_fields *fields, uint64_t *out) {
    struct span value = http_fields_get(fields, "content-length");
    return http_fields_count(fields, "content-length") == 1 && http_chars_decimal(value, out) &&
           *out <= LENGTH_MAX;
}

// Exactly one field that says exactly "chunked".
static bool is_chunked(const struct http_fields *fields) {
    return http_fields_count(fields, "transfer-encoding") == 1 &&
           http_chars_equal_nocase(http_fields_get(fields, "transfer-encoding"), "chunked");
}

static bool read_body(const struct http_fields *fields, struct http1_info *info,
                      struct http1_problem *problem) {
    bool encoded = http_fields_find(fields, "transfer-encoding") >= 0;
    bool measured = http_fields_find(fields, "content-length") >= 0;
    if (encoded && measured) {
        return bad(problem, 400, "the body has both a Transfer-Encoding and a Content-Length");
    }
    if (encoded && info->version_10) {
        return bad(problem, 400, "HTTP/1.0 has no Transfer-Encoding");
    }
    if (encoded) {
        info->body.kind = HTTP_BODY_CHUNKED;
        return is_chunked(fields) || bad(problem, 400, "the Transfer-Encoding is not \"chunked\"");
    }
    if (measured) {
        info->body.kind = HTTP_BODY_LENGTH;
        return length_of(fields, &info->body.length) ||
               bad(problem, 400, "the Content-Length is not one number");
    }
    return true;
}

static bool keeps_alive(const struct http_fields *fields, bool version_10) {
    if (version_10) {
        return http_fields_has_token(fields, "connection", "keep-alive");
    }
    return !http_fields_has_token(fields, "connection", "close");
}

// "h2c" would open a second way to the application, past every rule; "TLS/1.0" likewise.
static bool may_upgrade(const struct http_fields *fields) {
    struct span value = http_fields_get(fields, "upgrade");
    return http_fields_count(fields, "upgrade") == 1 &&
           http_fields_has_token(fields, "connection", "upgrade") && http_chars_is_token(value) &&
           !http_chars_equal_nocase(value, "h2c") && !http_chars_equal_nocase(value, "h2") &&
           !http_chars_equal_nocase(value, "http");
}

bool http1_framing_of_request(const struct http_fields *fields, struct http1_info *info,
                              struct http1_problem *problem) {
    if (!read_body(fields, info, problem)) {
        return false;
    }
    info->keep_alive = keeps_alive(fields, info->version_10);
    info->upgrade = !info->version_10 && info->body.kind == HTTP_BODY_NONE && may_upgrade(fields);
    size_t expectations = http_fields_count(fields, "expect");
    info->expects_continue = expectations > 0 && !info->version_10;
    if (expectations > 1 ||
        (expectations == 1 &&
         !http_chars_equal_nocase(http_fields_get(fields, "expect"), "100-continue"))) {
        return bad(problem, 417, "only 100-continue can be expected");
    }
    return true;
}

bool http1_framing_of_response(const struct http_fields *fields, bool to_head,
                               struct http1_info *info, struct http1_problem *problem) {
    if (!read_body(fields, info, problem)) {
        return bad(problem, 502, "the length of the application's answer is not clear");
    }
    info->keep_alive = keeps_alive(fields, info->version_10);
    int status = info->status;
    if (to_head || status < 200 || status == 204 || status == 304) {
        info->body = (struct http_body){.kind = HTTP_BODY_NONE};
    } else if (info->body.kind == HTTP_BODY_NONE) {
        info->body.kind = HTTP_BODY_UNTIL_CLOSE;
        info->keep_alive = false;
    }
    return true;
}
