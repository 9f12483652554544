#include "agent/http/http_clean.h"

#include "agent/http/http_chars.h"

// Equal when letter case is ignored and all that is neither letter nor digit counts as '-': CGI and
// its heirs make one environment variable of X-Ssl-Client-S-DN, x_ssl_client_s_dn and so on.
static bool starts_alike(struct span name, const char *lead, bool whole) {
    struct span with = span_of_text(lead);
    if (name.len < with.len || (whole && name.len != with.len)) {
        return false;
    }
    for (size_t i = 0; i < with.len; i++) {
        uint8_t c = http_chars_is_alnum(name.ptr[i]) ? http_chars_lower(name.ptr[i]) : '-';
        if (c != with.ptr[i]) {
            return false;
        }
    }
    return true;
}

static bool is_identity(struct span name) {
    return starts_alike(name, "x-ssl-client-", false) ||
           starts_alike(name, "x-forwarded-client-cert", true);
}

static bool is_one_of(struct span name, const char *const *names) {
    for (; *names != NULL; names++) {
        if (http_chars_equal_nocase(name, *names)) {
            return true;
        }
    }
    return false;
}

static bool is_of_connection(struct span name) {
    static const char *const NAMES[] = {
        "connection", "keep-alive", "proxy-connection", "te", "upgrade", "http2-settings", NULL};
    return is_one_of(name, NAMES);
}

static bool is_framing(struct span name) {
    static const char *const NAMES[] = {"content-length", "transfer-encoding", "expect", "host",
                                        NULL};
    return is_one_of(name, NAMES);
}

// "Content_Length" is nothing to us and the body's length to some applications.
static bool is_nearly_framing(struct span name) {
    static const char *const NAMES[] = {"content-length", "transfer-encoding", "host", NULL};
    for (const char *const *it = NAMES; *it != NULL; it++) {
        if (starts_alike(name, *it, true) && !http_chars_equal_nocase(name, *it)) {
            return true;
        }
    }
    return false;
}

static bool is_nominated(const struct http_fields *fields, struct span name) {
    for (size_t i = 0; i < fields->num; i++) {
        if (!http_chars_equal_nocase(http_fields_name(fields, i), "connection")) {
            continue;
        }
        struct span rest = http_fields_value(fields, i);
        struct span element;
        while (http_chars_next_element(&rest, &element)) {
            if (http_chars_same_nocase(element, name)) {
                return true;
            }
        }
    }
    return false;
}

static bool nominates_framing(const struct http_fields *fields) {
    return http_fields_has_token(fields, "connection", "content-length") ||
           http_fields_has_token(fields, "connection", "transfer-encoding") ||
           http_fields_has_token(fields, "connection", "host");
}

static enum http_clean_status set_facts(struct http_fields *request,
                                        const struct http_fields *facts) {
    for (size_t i = 0; facts != NULL && i < facts->num; i++) {
        // Room was left for these: see HTTP_HEAD_FIELDS_MAX.
        if (http_fields_add(request, http_fields_name(facts, i), http_fields_value(facts, i)) !=
            HTTP_FIELDS_OK) {
            return HTTP_CLEAN_NO_MEMORY;
        }
    }
    return HTTP_CLEAN_OK;
}

enum http_clean_status http_clean_request(struct http_fields *request,
                                          const struct http_fields *facts, const char **why) {
    bool trailers = http_fields_has_token(request, "te", "trailers");
    if (nominates_framing(request)) {
        *why = "the Connection header names a field that is not the connection's";
        return HTTP_CLEAN_BAD;
    }
    for (size_t i = request->num; i > 0; i--) { // Connection last: it names others
        struct span name = http_fields_name(request, i - 1);
        if (is_nearly_framing(name)) {
            *why = "a header's name looks like the body's length or the host and is not";
            return HTTP_CLEAN_BAD;
        }
        if (is_identity(name) || is_framing(name) ||
            (name.ptr[0] != ':' && !http_chars_equal_nocase(name, "connection") &&
             (is_of_connection(name) || is_nominated(request, name)))) {
            http_fields_remove(request, i - 1);
        }
    }
    http_fields_remove_all(request, "connection");
    if (trailers && http_fields_set(request, "te", span_of_text("trailers")) != HTTP_FIELDS_OK) {
        return HTTP_CLEAN_NO_MEMORY;
    }
    return set_facts(request, facts);
}

void http_clean_response(struct http_fields *response) {
    for (size_t i = response->num; i > 0; i--) {
        struct span name = http_fields_name(response, i - 1);
        if (name.ptr[0] != ':' && !http_chars_equal_nocase(name, "connection") &&
            (is_of_connection(name) || is_nominated(response, name) ||
             http_chars_equal_nocase(name, "transfer-encoding"))) {
            http_fields_remove(response, i - 1);
        }
    }
    http_fields_remove_all(response, "connection");
}

void http_clean_trailers(struct http_fields *trailers) {
    for (size_t i = trailers->num; i > 0; i--) {
        struct span name = http_fields_name(trailers, i - 1);
        if (name.len == 0 || name.ptr[0] == ':' || is_identity(name) || is_framing(name) ||
            is_nearly_framing(name) || is_of_connection(name)) {
            http_fields_remove(trailers, i - 1);
        }
    }
}
