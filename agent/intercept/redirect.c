#include "agent/intercept/redirect.h"

#include <stddef.h>

#include "agent/config/config.h"
#include "base/netaddr.h"

#define SSH_PORT 22

// True when connections that were redirected to the listener's port reach it.
typedef bool takes_fn(const struct netaddr *listener);

// OUTPUT redirects to the loopback address of the family.
static bool takes_outbound(const struct netaddr *listener) {
    struct netaddr home = {.family = listener->family};
    if (listener->family == NETADDR_V4) {
        home.ip[0] = 127;
        home.ip[3] = 1;
    } else {
        home.ip[15] = 1;
    }
    return netaddr_is_any(listener) || netaddr_ip_equal(listener, &home);
}

// PREROUTING redirects to an address of the interface, which is never a loopback one.
static bool takes_inbound(const struct netaddr *listener) {
    return !netaddr_is_loopback(listener);
}

static const struct netaddr *find(const struct address_list *list, uint8_t family,
                                  takes_fn *takes) {
    for (size_t i = 0; i < list->num; i++) {
        if (list->items[i].family == family && takes(&list->items[i])) {
            return &list->items[i];
        }
    }
    return NULL;
}

static struct redirect derive(const struct address_list *list, takes_fn *takes) {
    if (list->num == 0) {
        return (struct redirect){.is_on = false};
    }
    const struct netaddr *v4 = find(list, NETADDR_V4, takes);
    const struct netaddr *v6 = find(list, NETADDR_V6, takes);
    const struct netaddr *other = v4 != NULL ? v4 : v6 != NULL ? v6 : &list->items[0];
    return (struct redirect){
        .is_on = true,
        .port_v4 = v4 != NULL ? v4->port : other->port,
        .port_v6 = v6 != NULL ? v6->port : other->port,
        .has_v4 = v4 != NULL,
        .has_v6 = v6 != NULL,
    };
}

struct redirect redirect_outbound(const struct config_outbound *outbound) {
    return derive(&outbound->listen, takes_outbound);
}

struct redirect redirect_inbound(const struct config_inbound *inbound) {
    return derive(&inbound->listen, takes_inbound);
}

static bool warn_missing(struct buf *out, const char *key, const char *family,
                         const char *addresses) {
    return buf_printf(out,
                      "%s has no listener on %s: %s connections are captured and then refused\n",
                      key, addresses, family);
}

// A listener on one address takes only what arrives on the interface whose first address it is.
static bool warn_specific(const struct address_list *listen, struct buf *out) {
    for (size_t i = 0; i < listen->num; i++) {
        const struct netaddr *addr = &listen->items[i];
        char text[NETADDR_TEXT_MAX];
        if (!netaddr_is_any(addr) && takes_inbound(addr) &&
            !buf_printf(out,
                        "inbound.listen: %s takes only connections that come in on the interface "
                        "with this address\n",
                        netaddr_format(addr, text))) {
            return false;
        }
    }
    return true;
}

// With appUids this is a whole host, and hosts are administered over ssh.
static bool warn_ssh(const struct config *config, struct buf *out) {
    const struct config_intercept *intercept = &config->intercept;
    if (config->inbound.listen.num == 0 || intercept->num_app_uids == 0 ||
        intercept->inbound_include_ports.num > 0 ||
        port_list_contains(&intercept->inbound_exclude_ports, SSH_PORT)) {
        return true;
    }
    return buf_printf(out,
                      "intercept.inbound: connections to every port of this host are captured, "
                      "port %d (ssh) too; includePorts or excludePorts limits that\n",
                      SSH_PORT);
}

bool redirect_render_warnings(const struct config *config, struct buf *out) {
    struct redirect outbound = redirect_outbound(&config->outbound);
    struct redirect inbound = redirect_inbound(&config->inbound);
    bool ok = true;
    if (!outbound.is_on && !inbound.is_on) {
        ok = buf_append_text(
            out, "outbound.listen and inbound.listen are empty: nothing is redirected\n");
    }
    if (ok && outbound.is_on && !outbound.has_v4) {
        ok = warn_missing(out, "outbound.listen", "IPv4", "127.0.0.1");
    }
    if (ok && outbound.is_on && !outbound.has_v6) {
        ok = warn_missing(out, "outbound.listen", "IPv6", "[::1]");
    }
    if (ok && inbound.is_on && !inbound.has_v4) {
        ok = warn_missing(out, "inbound.listen", "IPv4", "0.0.0.0");
    }
    if (ok && inbound.is_on && !inbound.has_v6) {
        ok = warn_missing(out, "inbound.listen", "IPv6", "[::]");
    }
    return ok && warn_specific(&config->inbound.listen, out) && warn_ssh(config, out);
}
