// The keys below `intercept`.
#include "agent/config/options_rows.h"
#include "agent/config/text_checks.h"

#define INTERCEPT_PORTS(name, member, sentence)                                                    \
    {                                                                                              \
        .key = (name), PORTS, .fallback = "[]", .meaning = (sentence),                             \
        LIST(struct config, intercept.member.items, intercept.member.num, ITEMS_MAX)               \
    }
#define INTERCEPT_NETWORKS(name, member, sentence)                                                 \
    {                                                                                              \
        .key = (name), PREFIXES, .fallback = "[]", .meaning = (sentence),                          \
        LIST(struct config, intercept.member.items, intercept.member.num, ITEMS_MAX)               \
    }

static const struct option_row intercept_inbound_rows[] = {
    INTERCEPT_PORTS("includePorts", inbound_include_ports, "Only these; empty: all."),
    INTERCEPT_PORTS("excludePorts", inbound_exclude_ports, "Never these."), END};
static const struct option_section intercept_inbound_section = {.rows = intercept_inbound_rows};

static const struct option_row intercept_outbound_rows[] = {
    INTERCEPT_PORTS("includePorts", outbound_include_ports, "Only these; empty: all."),
    INTERCEPT_PORTS("excludePorts", outbound_exclude_ports, "Never these."),
    INTERCEPT_NETWORKS("includeNetworks", outbound_include_networks, "Only these; empty: all."),
    INTERCEPT_NETWORKS("excludeNetworks", outbound_exclude_networks, "Never these."), END};
static const struct option_section intercept_outbound_section = {.rows = intercept_outbound_rows};

static const struct option_row intercept_rows[] = {
    {.key = "uid",
     .type = OPTION_NUMBER,
     VALUE(struct config, intercept.uid),
     .max = UID_MAX,
     .fallback = "1337",
     .meaning = "The agent's own uid, never captured."},
    {.key = "appUids",
     .type = OPTION_NUMBER,
     LIST(struct config, intercept.app_uids, intercept.num_app_uids, ITEMS_MAX),
     .max = UID_MAX,
     .fallback = "[]",
     .meaning = "Capture outbound connections of these users only; empty: of all."},
    SECTION("inbound", intercept_inbound_section, "Which connections to this host are captured."),
    SECTION("outbound", intercept_outbound_section, "Which of its own connections are captured."),
    {.key = "excludeInterfaces",
     TEXT(text_checks_interface, "interface names"),
     LIST(struct config, intercept.exclude_interfaces.items, intercept.exclude_interfaces.num,
          ITEMS_MAX),
     .fallback = "[]",
     .meaning = "Nothing is captured on these."},
    END};
const struct option_section options_intercept = {.rows = intercept_rows};
