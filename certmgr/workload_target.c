#include "certmgr/workload_target.h"

#include <stdio.h>
#include <string.h>

#include "base/netaddr.h"
#include "base/span.h"
#include "certmgr/endpoint.h"

#define TCP_SCHEME "tcp://"

static bool is_kept(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           (c != '\0' && strchr("-._~!$&'()*+,;=:@/", c) != NULL);
}

// gRPC reads a target as a URI and takes one that is not well formed for a host name to be looked
// up. So whatever a URI's path cannot hold is percent-encoded.
static bool append_encoded(struct workload_target *out, const char *text, struct err *err) {
    size_t len = strlen(out->text);
    for (const char *c = text; *c != '\0'; c++) {
        if (sizeof(out->text) - len < sizeof("%00")) {
            return ERR_SET(err, ERR_INPUT, "the endpoint is too long");
        }
        int num = snprintf(out->text + len, sizeof(out->text) - len, is_kept(*c) ? "%c" : "%%%02X",
                           (unsigned char)*c);
        len += (size_t)num;
    }
    return true;
}

bool workload_target_parse(struct workload_target *out, const char *endpoint, struct err *err) {
    if (!endpoint_check(span_of_text(endpoint), err)) {
        return err_wrap(err, "the endpoint \"%s\"", endpoint);
    }
    struct workload_target target = {.is_local = true};
    const char *rest = endpoint;
    char address[NETADDR_TEXT_MAX];
    if (strncmp(endpoint, TCP_SCHEME, strlen(TCP_SCHEME)) == 0) {
        struct netaddr addr;
        if (!netaddr_parse(&addr, span_of_text(endpoint + strlen(TCP_SCHEME)), err)) {
            return false;
        }
        target.is_local = netaddr_is_loopback(&addr);
        snprintf(target.text, sizeof(target.text),
                 "%s:", addr.family == NETADDR_V4 ? "ipv4" : "ipv6");
        rest = netaddr_format(&addr, address);
    }
    if (!append_encoded(&target, rest, err)) {
        return false;
    }
    *out = target;
    return true;
}
