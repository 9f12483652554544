// Order within a chain: what must never be captured (the agent, the loopback device, its own
// ports), then the exclusions, then the inclusions, then the redirect. So an exclusion wins over
// an inclusion.
#include "agent/intercept/rules.h"

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "agent/config/text_checks.h"
#include "agent/intercept/redirect.h"
#include "base/netaddr.h"
#include "base/span.h"

#define SET_NAME_MAX 32

// Text under way; nothing more is appended once memory was short.
struct text {
    struct buf *out;
    bool ok;
};

#define PUT(text, ...) ((text)->ok = (text)->ok && buf_printf((text)->out, __VA_ARGS__))

// How nft speaks of an address family.
struct family {
    uint8_t id;
    const char *keyword;
    const char *set_type;
    const char *suffix; // of the names of sets
};

static const struct family FAMILIES[] = {
    {NETADDR_V4, "ip", "ipv4_addr", "v4"},
    {NETADDR_V6, "ip6", "ipv6_addr", "v6"},
};
#define NUM_FAMILIES (sizeof(FAMILIES) / sizeof(FAMILIES[0]))

static const struct family *family_of(const struct netaddr *addr) {
    return addr->family == NETADDR_V4 ? &FAMILIES[0] : &FAMILIES[1];
}

static const char *comma(size_t index) {
    return index == 0 ? "" : ", ";
}

// --- sets --------------------------------------------------------------------------------------

// auto-merge makes overlapping elements legal.
static void open_interval_set(struct text *text, const char *name, const char *type) {
    PUT(text,
        "    set %s {\n"
        "        type %s\n"
        "        flags interval\n"
        "        auto-merge\n"
        "        elements = { ",
        name, type);
}

static void close_set(struct text *text) {
    PUT(text, " }\n    }\n");
}

static void put_port_set(struct text *text, const char *name, const struct port_list *ports) {
    if (ports->num == 0) {
        return;
    }
    open_interval_set(text, name, "inet_service");
    for (size_t i = 0; i < ports->num; i++) {
        const struct port_range *range = &ports->items[i];
        PUT(text, "%s%u", comma(i), range->first);
        if (range->last != range->first) {
            PUT(text, "-%u", range->last);
        }
    }
    close_set(text);
}

static bool has_family(const struct prefix_list *list, uint8_t family) {
    for (size_t i = 0; i < list->num; i++) {
        if (list->items[i].base.family == family) {
            return true;
        }
    }
    return false;
}

static void put_network_set(struct text *text, const char *stem, const struct prefix_list *list,
                            const struct family *family) {
    if (!has_family(list, family->id)) {
        return;
    }
    char name[SET_NAME_MAX];
    snprintf(name, sizeof name, "%s_%s", stem, family->suffix);
    open_interval_set(text, name, family->set_type);
    size_t num = 0;
    for (size_t i = 0; i < list->num; i++) {
        char prefix[NETADDR_TEXT_MAX];
        if (list->items[i].base.family == family->id) {
            PUT(text, "%s%s", comma(num++), netaddr_prefix_format(&list->items[i], prefix));
        }
    }
    close_set(text);
}

static void put_network_sets(struct text *text, const char *stem, const struct prefix_list *list) {
    for (size_t i = 0; i < NUM_FAMILIES; i++) {
        put_network_set(text, stem, list, &FAMILIES[i]);
    }
}

static void put_uid_set(struct text *text, const struct config_intercept *intercept) {
    if (intercept->num_app_uids == 0) {
        return;
    }
    PUT(text, "    set app_uids {\n        type uid\n        elements = { ");
    for (size_t i = 0; i < intercept->num_app_uids; i++) {
        PUT(text, "%s%u", comma(i), intercept->app_uids[i]);
    }
    close_set(text);
}

static void put_interface_set(struct text *text, const struct string_list *names) {
    if (names->num == 0) {
        return;
    }
    PUT(text, "    set skip_interfaces {\n        type ifname\n        elements = { ");
    for (size_t i = 0; i < names->num; i++) {
        PUT(text, "%s\"%s\"", comma(i), names->items[i]);
    }
    close_set(text);
}

static bool is_port_before(const struct address_list *list, size_t index) {
    for (size_t i = 0; i < index; i++) {
        if (list->items[i].port == list->items[index].port) {
            return true;
        }
    }
    return false;
}

// The IPv4 and the IPv6 listener mostly share a port: it is written once.
static void put_listener_ports(struct text *text, const struct address_list *list, size_t *num) {
    for (size_t i = 0; i < list->num; i++) {
        if (!is_port_before(list, i)) {
            PUT(text, "%s%u", comma((*num)++), list->items[i].port);
        }
    }
}

// What a direct connection from outside reaches unredirected; the agent knows what to do with it.
static void put_own_port_set(struct text *text, const struct config *config) {
    size_t num = 0;
    open_interval_set(text, "own_ports", "inet_service");
    put_listener_ports(text, &config->outbound.listen, &num);
    put_listener_ports(text, &config->inbound.listen, &num);
    put_listener_ports(text, &config->inbound.tunnel, &num);
    if (config->status.has_listen) {
        PUT(text, "%s%u", comma(num++), config->status.listen.port);
    }
    if (config->status.has_health) {
        PUT(text, "%s%u", comma(num++), config->status.health.port);
    }
    close_set(text);
}

// --- rules -------------------------------------------------------------------------------------

// A rule that lets `match` pass uncaptured.
#define PUT_PASS(text, match, why)                                                                 \
    PUT(text, "        " match " counter return comment \"" why "\"\n")

static void put_skipped_networks(struct text *text, const struct prefix_list *skip) {
    for (size_t i = 0; i < NUM_FAMILIES; i++) {
        if (has_family(skip, FAMILIES[i].id)) {
            PUT(text,
                "        %s daddr @outbound_skip_%s counter return comment "
                "\"outbound.excludeNetworks\"\n",
                FAMILIES[i].keyword, FAMILIES[i].suffix);
        }
    }
}

static void put_only_networks(struct text *text, const struct prefix_list *only) {
    for (size_t i = 0; only->num > 0 && i < NUM_FAMILIES; i++) {
        if (has_family(only, FAMILIES[i].id)) {
            PUT(text,
                "        %s daddr != @outbound_only_%s counter return comment "
                "\"outbound.includeNetworks\"\n",
                FAMILIES[i].keyword, FAMILIES[i].suffix);
        } else {
            PUT(text,
                "        meta nfproto ip%s counter return comment \"outbound.includeNetworks\"\n",
                FAMILIES[i].suffix);
        }
    }
}

static void put_redirect(struct text *text, const struct redirect *redirect) {
    if (redirect->port_v4 == redirect->port_v6) {
        PUT(text, "        meta l4proto tcp counter redirect to :%u\n", redirect->port_v4);
        return;
    }
    PUT(text, "        meta nfproto ipv4 meta l4proto tcp counter redirect to :%u\n",
        redirect->port_v4);
    PUT(text, "        meta nfproto ipv6 meta l4proto tcp counter redirect to :%u\n",
        redirect->port_v6);
}

// nft 1.0.6 refuses the name of the priority (dstnat) in the output hook.
static void open_chain(struct text *text, const char *hook) {
    PUT(text,
        "    chain %s {\n"
        "        type nat hook %s priority -100; policy accept;\n"
        "        meta l4proto != tcp return\n",
        hook, hook);
}

static void put_output_chain(struct text *text, const struct config *config,
                             const struct redirect *redirect) {
    const struct config_intercept *intercept = &config->intercept;
    open_chain(text, "output");
    PUT(text, "        meta skuid %u counter return comment \"the agent itself\"\n",
        intercept->uid);
    PUT_PASS(text, "oifname \"lo\"", "to this host");
    if (intercept->exclude_interfaces.num > 0) {
        PUT_PASS(text, "oifname @skip_interfaces", "excludeInterfaces");
    }
    if (intercept->outbound_exclude_ports.num > 0) {
        PUT_PASS(text, "tcp dport @outbound_skip_ports", "outbound.excludePorts");
    }
    put_skipped_networks(text, &intercept->outbound_exclude_networks);
    if (intercept->num_app_uids > 0) {
        PUT_PASS(text, "meta skuid != @app_uids", "appUids");
    }
    if (intercept->outbound_include_ports.num > 0) {
        PUT_PASS(text, "tcp dport != @outbound_only_ports", "outbound.includePorts");
    }
    put_only_networks(text, &intercept->outbound_include_networks);
    put_redirect(text, redirect);
    PUT(text, "    }\n");
}

// An explicit listener that other hosts reach: its address and port alone, since another address
// may have an application on that port.
static void put_listener_pass(struct text *text, const struct netaddr *listener) {
    const struct family *family = family_of(listener);
    struct netaddr addr = *listener;
    addr.scope = 0;
    char ip[NETADDR_TEXT_MAX];
    if (netaddr_is_loopback(&addr)) {
        return;
    }
    if (netaddr_is_any(&addr)) {
        PUT(text, "        meta nfproto ip%s", family->suffix);
    } else {
        PUT(text, "        %s daddr %s", family->keyword, netaddr_format_ip(&addr, ip));
    }
    PUT(text, " tcp dport %u counter return comment \"explicit listener\"\n", addr.port);
}

static void put_listener_passes(struct text *text, const struct config *config) {
    for (size_t i = 0; i < config->outbound.num_listeners; i++) {
        put_listener_pass(text, &config->outbound.listeners[i].listen);
    }
    for (size_t i = 0; i < config->inbound.num_ports; i++) {
        if (config->inbound.ports[i].has_listen) {
            put_listener_pass(text, &config->inbound.ports[i].listen);
        }
    }
}

static void put_prerouting_chain(struct text *text, const struct config *config,
                                 const struct redirect *redirect) {
    const struct config_intercept *intercept = &config->intercept;
    open_chain(text, "prerouting");
    PUT_PASS(text, "iifname \"lo\"", "from this host");
    if (intercept->exclude_interfaces.num > 0) {
        PUT_PASS(text, "iifname @skip_interfaces", "excludeInterfaces");
    }
    // The agent refuses what is not addressed to this host, which would cut off guests and
    // containers that this host routes for.
    PUT_PASS(text, "fib daddr type != local", "routed through this host");
    PUT_PASS(text, "tcp dport @own_ports", "the agent's own ports");
    put_listener_passes(text, config);
    if (intercept->inbound_exclude_ports.num > 0) {
        PUT_PASS(text, "tcp dport @inbound_skip_ports", "inbound.excludePorts");
    }
    if (intercept->inbound_include_ports.num > 0) {
        PUT_PASS(text, "tcp dport != @inbound_only_ports", "inbound.includePorts");
    }
    put_redirect(text, redirect);
    PUT(text, "    }\n");
}

// --- the whole ---------------------------------------------------------------------------------

// The configuration has checked them; what is quoted in a rule is checked where it is quoted too.
static bool check_interfaces(const struct string_list *names, struct err *err) {
    for (size_t i = 0; i < names->num; i++) {
        if (!text_checks_interface(span_of_text(names->items[i]), err)) {
            return err_wrap(err, "intercept.excludeInterfaces[%zu]", i);
        }
    }
    return true;
}

static void put_removal(struct text *text) {
    PUT(text, "add table " RULES_TABLE "\ndelete table " RULES_TABLE "\n");
}

bool rules_render(const struct config *config, struct buf *out, struct err *err) {
    const struct config_intercept *intercept = &config->intercept;
    if (!check_interfaces(&intercept->exclude_interfaces, err)) {
        return false;
    }
    struct redirect outbound = redirect_outbound(&config->outbound);
    struct redirect inbound = redirect_inbound(&config->inbound);
    struct text text = {.out = out, .ok = true};
    put_removal(&text);
    PUT(&text, "table " RULES_TABLE " {\n");
    if (outbound.is_on || inbound.is_on) {
        put_interface_set(&text, &intercept->exclude_interfaces);
    }
    if (outbound.is_on) {
        put_uid_set(&text, intercept);
        put_port_set(&text, "outbound_skip_ports", &intercept->outbound_exclude_ports);
        put_port_set(&text, "outbound_only_ports", &intercept->outbound_include_ports);
        put_network_sets(&text, "outbound_skip", &intercept->outbound_exclude_networks);
        put_network_sets(&text, "outbound_only", &intercept->outbound_include_networks);
        put_output_chain(&text, config, &outbound);
    }
    if (inbound.is_on) {
        put_own_port_set(&text, config);
        put_port_set(&text, "inbound_skip_ports", &intercept->inbound_exclude_ports);
        put_port_set(&text, "inbound_only_ports", &intercept->inbound_include_ports);
        put_prerouting_chain(&text, config, &inbound);
    }
    PUT(&text, "}\n");
    return text.ok || ERR_NO_MEMORY(err, "writing the redirect rules");
}

bool rules_render_removal(struct buf *out, struct err *err) {
    struct text text = {.out = out, .ok = true};
    put_removal(&text);
    return text.ok || ERR_NO_MEMORY(err, "writing the redirect rules");
}
