#include "agent/http/http_path.h"

#include <string.h>

#include "agent/http/http_chars.h"

static struct span path_of(struct span target) {
    const uint8_t *mark = memchr(target.ptr, '?', target.len);
    return span_of(target.ptr, mark == NULL ? target.len : (size_t)(mark - target.ptr));
}

static enum http_path_status bad(const char **why, const char *sentence) {
    *why = sentence;
    return HTTP_PATH_BAD;
}

// Percent signs, once. What a decoded character means to the application is judged afterwards.
static enum http_path_status decode(struct span path, struct buf *out, const char **why) {
    uint8_t *to = buf_reserve(out, path.len);
    if (to == NULL) {
        return HTTP_PATH_NO_MEMORY;
    }
    size_t len = 0;
    for (size_t i = 0; i < path.len; i++) {
        uint8_t c = path.ptr[i];
        if (c == '%') {
            int high = i + 2 < path.len ? http_chars_hex(path.ptr[i + 1]) : -1;
            int low = high >= 0 ? http_chars_hex(path.ptr[i + 2]) : -1;
            if (low < 0) {
                return bad(why, "the path has a percent sign without two hexadecimal digits");
            }
            c = (uint8_t)(high * 16 + low);
            i += 2;
        }
        if (c == '\0' || c == '\\') {
            return bad(why, "the path has a character that servers disagree about");
        }
        to[len++] = c;
    }
    buf_commit(out, len);
    return HTTP_PATH_OK;
}

static bool is_dots(struct span segment, size_t num) {
    return segment.len == num && (num < 1 || segment.ptr[0] == '.') &&
           (num < 2 || segment.ptr[1] == '.');
}

// ".;x" and "..;x": a servlet container takes the parameter away and then sees the dots.
static bool is_disguised(struct span segment) {
    const uint8_t *mark = segment.len == 0 ? NULL : memchr(segment.ptr, ';', segment.len);
    if (mark == NULL) {
        return false;
    }
    struct span name = span_of(segment.ptr, (size_t)(mark - segment.ptr));
    return name.len == 0 || is_dots(name, 1) || is_dots(name, 2);
}

// Resolves in place: the write position never passes the read position. `path` begins with '/'.
static enum http_path_status resolve(uint8_t *path, size_t *len, const char **why) {
    size_t to = 0;
    for (size_t at = 0; at < *len;) {
        const uint8_t *slash = memchr(path + at + 1, '/', *len - at - 1);
        size_t end = slash == NULL ? *len : (size_t)(slash - path);
        struct span segment = span_of(path + at + 1, end - at - 1);
        bool last = slash == NULL;
        if (is_disguised(segment)) {
            return bad(why, "the path has dots with a parameter, which servers read differently");
        }
        if (is_dots(segment, 2)) {
            if (to == 0) {
                return bad(why, "the path leads above the root");
            }
            do {
                to--;
            } while (path[to] != '/');
        } else if (!is_dots(segment, 1) && (segment.len > 0 || last)) {
            memmove(path + to, path + at, end - at);
            to += end - at;
            at = end;
            continue;
        }
        if (last) { // "/a/." and "/a/.." end as "/a/" and "/"
            path[to++] = '/';
        }
        at = end;
    }
    *len = to;
    return HTTP_PATH_OK;
}

enum http_path_status http_path_normalise(struct span target, struct buf *decoded,
                                          const char **why) {
    struct span path = path_of(target);
    if (path.len == 0 || path.ptr[0] != '/') {
        return bad(why, "the request target is not a path");
    }
    struct buf raw = {0};
    enum http_path_status status = decode(path, &raw, why);
    size_t len = raw.len;
    if (status == HTTP_PATH_OK) {
        status = resolve(raw.mem + raw.start, &len, why);
    }
    if (status == HTTP_PATH_OK) {
        buf_clear(decoded);
        status = buf_append(decoded, buf_span(&raw).ptr, len) ? HTTP_PATH_OK : HTTP_PATH_NO_MEMORY;
    }
    buf_fini(&raw);
    return status;
}

// pchar of RFC 3986 section 3.3, and the slash.
static bool is_path_char(uint8_t c) {
    return http_chars_is_alnum(c) || (c != '\0' && strchr("-._~!$&'()*+,;=:@/", c) != NULL);
}

bool http_path_render(struct span decoded, struct span target, struct buf *out) {
    static const char HEX[] = "0123456789ABCDEF";
    struct span path = path_of(target);
    struct span query = span_after(target, path.len);
    uint8_t *to = buf_reserve(out, decoded.len * 3 + query.len);
    if (to == NULL) {
        return false;
    }
    size_t len = 0;
    for (size_t i = 0; i < decoded.len; i++) {
        uint8_t c = decoded.ptr[i];
        if (is_path_char(c)) {
            to[len++] = c;
            continue;
        }
        to[len++] = '%';
        to[len++] = (uint8_t)HEX[c >> 4];
        to[len++] = (uint8_t)HEX[c & 15];
    }
    if (query.len > 0) {
        memcpy(to + len, query.ptr, query.len);
    }
    buf_commit(out, len + query.len);
    return true;
}
