// The keys below `inbound`.
#include "agent/config/options_rows.h"
#include "certmgr/spiffe_id.h"

static const struct option_choice action_choices[] = {
    {"allow", true, false}, {"deny", false, false}, {NULL, 0, false}};

static const struct option_row authorization_rows[] = {
    {.key = "action",
     CHOICE(action_choices),
     VALUE(struct authorization_rule, allow),
     .is_required = true,
     .meaning = "What the rule does."},
    {.key = "peers",
     PATTERNS,
     LIST(struct authorization_rule, peers.items, peers.num, ITEMS_MAX),
     HAS(struct authorization_rule, has_peers),
     .meaning = "Who calls; absent: anyone."},
    {.key = "networks",
     PREFIXES,
     LIST(struct authorization_rule, networks.items, networks.num, ITEMS_MAX),
     HAS(struct authorization_rule, has_networks),
     .meaning = "Addresses of the peer; absent: any."},
    {.key = "ports",
     PORTS,
     LIST(struct authorization_rule, ports.items, ports.num, ITEMS_MAX),
     HAS(struct authorization_rule, has_ports),
     .meaning = "The application's ports that are called; absent: any."},
    END};
static const struct option_section authorization_section = {
    .rows = authorization_rows, .line_offset = offsetof(struct authorization_rule, line)};

static const struct option_choice mode_choices[] = {
    {"strict", true, false}, {"permissive", false, false}, {NULL, 0, false}};

static const struct option_row inbound_rows[] = {
    {.key = "listen",
     ADDRESS,
     LIST(struct config, inbound.listen.items, inbound.listen.num, ADDRESSES_MAX),
     .fallback = "['0.0.0.0:15006', '[::]:15006']",
     .meaning = "Where redirected connections to the application arrive; [] for none."},
    {.key = "tunnel",
     ADDRESS,
     LIST(struct config, inbound.tunnel.items, inbound.tunnel.num, ADDRESSES_MAX),
     .fallback = "['0.0.0.0:15008', '[::]:15008']",
     .meaning = "Where peers' sidecars connect, with mutual TLS; [] for none."},
    {.key = "mode",
     CHOICE(mode_choices),
     VALUE(struct config, inbound.strict),
     .fallback = "strict",
     .meaning = "Direct connections to the application's ports: refused, or passed untouched."},
    {.key = "authorization",
     .type = OPTION_SECTION,
     .section = &authorization_section,
     LIST(struct config, inbound.authorization, inbound.num_authorization, ITEMS_MAX),
     HAS(struct config, inbound.has_authorization),
     .meaning = "Who may call what through the "
                "tunnel: the first rule that matches decides, none refuses. Absent: the own trust "
                "domain."},
    {.key = "ports",
     .type = OPTION_SECTION,
     .section = &options_port,
     LIST(struct config, inbound.ports, inbound.num_ports, ITEMS_MAX),
     .meaning = "What differs for single ports of the application."},
    END};
const struct option_section options_inbound = {.rows = inbound_rows};
