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

static const struct option_choice tls_mode_choices[] = {{"disabled", INBOUND_DISABLED, false},
                                                        {"tunnelOnly", INBOUND_TUNNEL_ONLY, false},
                                                        {"permissive", 0, true},
                                                        {"required", 0, true},
                                                        {"peersOnly", 0, true},
                                                        {NULL, 0, false}};

static const struct option_row port_rows[] = {
    {.key = "port",
     PORT,
     VALUE(struct inbound_port, port),
     .is_required = true,
     .meaning = "The application's port."},
    {.key = "deliver",
     ADDRESS,
     VALUE(struct inbound_port, deliver),
     HAS(struct inbound_port, has_deliver),
     .meaning = "Where the application listens, if not at the address that was asked for."},
    {.key = "listen",
     ADDRESS,
     VALUE(struct inbound_port, listen),
     HAS(struct inbound_port, has_listen),
     .meaning = "The agent itself takes direct connections "
                "here, for use without redirection; needs `deliver`."},
    {.key = "tlsMode",
     CHOICE(tls_mode_choices),
     VALUE(struct inbound_port, tls_mode),
     .meaning = "Direct connections to the port: passed, or refused; absent: inbound.mode."},
    NOT_YET("clientAuth"),
    NOT_YET("onClientAuthFailure"),
    NOT_YET("clientCerts"),
    NOT_YET("peerCerts"),
    NOT_YET("clientDepth"),
    NOT_YET("subjectValidation"),
    NOT_YET("authorizedSubjects"),
    NOT_YET("allowOutdatedClientCerts"),
    NOT_YET("allowWeakClientCerts"),
    NOT_YET("skipMtlsUriRegex"),
    NOT_YET("certificates"),
    NOT_YET("fallbackServerName"),
    NOT_YET("checkHostMatchesSni"),
    NOT_YET("minVersion"),
    NOT_YET("maxVersion"),
    NOT_YET("ciphers"),
    NOT_YET("tls13CipherSuites"),
    NOT_YET("resumption"),
    NOT_YET("redirectToHttps"),
    NOT_YET("appTls"),
    NOT_YET("httpRules"),
    NOT_YET("readTimeout"),
    NOT_YET("sendTimeout"),
    NOT_YET("protocol"),
    NOT_YET("acceptProxy"),
    NOT_YET("proxyFrom"),
    NOT_YET("sendProxy"),
    NOT_YET("forwardClientCert"),
    END};
static const struct option_section port_section = {
    .rows = port_rows, .line_offset = offsetof(struct inbound_port, line)};

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
     .section = &port_section,
     LIST(struct config, inbound.ports, inbound.num_ports, ITEMS_MAX),
     .meaning = "What differs for single ports of the application."},
    END};
const struct option_section options_inbound = {.rows = inbound_rows};
