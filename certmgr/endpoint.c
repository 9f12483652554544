#include "certmgr/endpoint.h"

#include <sys/un.h>

#include "base/netaddr.h"

static const char unix_scheme[] = "unix:";
static const char tcp_scheme[] = "tcp://";

static bool starts_with(struct span text, const char *start) {
    size_t len = strlen(start);
    return text.len >= len && memcmp(text.ptr, start, len) == 0;
}

static bool check_unix(struct span rest, struct err *err) {
    if (!starts_with(rest, "///")) {
        return ERR_SET(err, ERR_INPUT,
                       "it has to be unix:///PATH, with an absolute path and no host");
    }
    struct span path = span_after(rest, 2);
    for (size_t i = 0; i < path.len; i++) {
        uint8_t c = path.ptr[i];
        if (c <= ' ' || c == 0x7f || c == '?' || c == '#' || c == '%') {
            return ERR_SET(err, ERR_INPUT, "it holds a space, a query, a fragment or an escape");
        }
    }
    size_t path_max = sizeof((struct sockaddr_un *)0)->sun_path - 1;
    if (path.len < 2 || path.ptr[path.len - 1] == '/') {
        return ERR_SET(err, ERR_INPUT, "it names no socket");
    }
    return path.len <= path_max ||
           ERR_SET(err, ERR_INPUT, "it has a path of %zu bytes; a socket's has at most %zu",
                   path.len, path_max);
}

bool endpoint_check(struct span endpoint, struct err *err) {
    if (starts_with(endpoint, tcp_scheme)) {
        struct netaddr addr;
        return netaddr_parse(&addr, span_after(endpoint, strlen(tcp_scheme)), err) ||
               err_wrap(err, "after tcp:// there has to be IP:PORT and nothing else");
    }
    if (starts_with(endpoint, unix_scheme)) {
        return check_unix(span_after(endpoint, strlen(unix_scheme)), err);
    }
    return ERR_SET(err, ERR_INPUT, "it has to be unix:///PATH or tcp://IP:PORT");
}
