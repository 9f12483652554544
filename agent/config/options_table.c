// The tables. Offsets of sections that occur once are into struct config, those of a list's items
// into the item. The sentences are for the reference page, docs/configuration.md.
#include "agent/config/config_types.h"
#include "agent/config/options.h"
#include "agent/config/text_checks.h"
#include "certmgr/endpoint.h"
#include "certmgr/spiffe_id.h"

#define HOUR_MS INT64_C(3600000)
#define YEAR_MS (365 * 24 * HOUR_MS)
#define PORT_MAX 65535
#define UID_MAX INT64_C(4294967294) // the value above it means "no uid" to the kernel
#define ADDRESSES_MAX 16            // of one kind of listener
#define ITEMS_MAX 1024

#define VALUE(T, member) .offset = offsetof(T, member), .size = sizeof(((T *)0)->member)
#define LIST(T, items_, num_, max_)                                                                \
    .is_list = true, .offset = offsetof(T, items_), .size = sizeof(*((T *)0)->items_),             \
    .num_offset = offsetof(T, num_), .list_max = (max_)
#define HAS(T, member) .has_offset = offsetof(T, member)

// clang-format off: a row is a paragraph of its own shape
#define ADDRESS .type = OPTION_ADDRESS
#define PREFIXES .type = OPTION_PREFIX
#define PORTS .type = OPTION_PORTS, .min = 1, .max = PORT_MAX
#define PORT .type = OPTION_NUMBER, .min = 1, .max = PORT_MAX
#define PATTERNS .type = OPTION_TEXT, .check = spiffe_pattern_check, .form = "SPIFFE patterns"
#define TEXT(check_, form_) .type = OPTION_TEXT, .check = (check_), .form = (form_)
#define CHOICE(choices_) .type = OPTION_CHOICE, .choices = (choices_)
#define NOT_YET(name)                                                                              \
    { .key = (name), .type = OPTION_NOT_YET }
#define SECTION(name, section_, sentence)                                                          \
    { .key = (name), .type = OPTION_SECTION, .section = &(section_), .meaning = (sentence) }
#define END                                                                                        \
    { .key = NULL }

static const struct option_choice identity_sources[] = {
    {"workloadApi", IDENTITY_WORKLOAD_API, false},
    {"sds", 0, true},
    {"istioCa", 0, true},
    {"files", 0, true},
    {NULL, 0, false}};

static const struct option_row identity_rows[] = {
    {.key = "source",
     CHOICE(identity_sources),
     VALUE(struct config, identity.source),
     .fallback = "workloadApi",
     .meaning = "Where certificates come from."},
    {.key = "endpoint",
     TEXT(endpoint_check, "`unix:///path` or `tcp://IP:port`"),
     VALUE(struct config, identity.endpoint),
     .meaning = "The SPIFFE Workload API; without it, $SPIFFE_ENDPOINT_SOCKET says where."},
    {.key = "hint",
     TEXT(text_checks_label, NULL),
     VALUE(struct config, identity.hint),
     .meaning = "Of several identities, take the one with this hint."},
    {.key = "spiffeId",
     TEXT(text_checks_spiffe_id, "SPIFFE ID"),
     VALUE(struct config, identity.spiffe_id),
     .meaning = "Of several identities, take this one."},
    {.key = "closeAtExpiry",
     .type = OPTION_BOOL,
     VALUE(struct config, identity.close_at_expiry),
     .fallback = "false",
     .meaning = "Close open connections when a certificate they were made with ends."},
    NOT_YET("stateDirectory"),
    NOT_YET("lifetime"),
    NOT_YET("rotateAt"),
    NOT_YET("rotateJitter"),
    NOT_YET("sds"),
    NOT_YET("istioCa"),
    NOT_YET("files"),
    END};
static const struct option_section identity_section = {.rows = identity_rows};

static const struct option_row outbound_listener_rows[] = {
    {.key = "listen",
     ADDRESS,
     VALUE(struct outbound_listener, listen),
     .is_required = true,
     .meaning = "Where the application connects to."},
    {.key = "destination",
     ADDRESS,
     VALUE(struct outbound_listener, destination),
     .is_required = true,
     .meaning = "Where its connections go, as if it had dialled that."},
    END};
static const struct option_section outbound_listener_section = {.rows = outbound_listener_rows};

static const struct option_choice unreachable_choices[] = {
    {"deny", false, false}, {"plaintext", true, false}, {NULL, 0, false}};

static const struct option_row mesh_rows[] = {
    {.key = "networks",
     PREFIXES,
     LIST(struct config, outbound.mesh_networks.items, outbound.mesh_networks.num, ITEMS_MAX),
     .fallback = "[10.0.0.0/8, 172.16.0.0/12, 192.168.0.0/16, fc00::/7]",
     .meaning = "Where peers may be: the tunnel port is tried before anything is sent."},
    {.key = "port",
     PORT,
     VALUE(struct config, outbound.mesh_port),
     .fallback = "15008",
     .meaning = "The peers' tunnel port."},
    {.key = "onUnreachable",
     CHOICE(unreachable_choices),
     VALUE(struct config, outbound.mesh_plaintext_when_unreachable),
     .fallback = "deny",
     .meaning = "What happens to destinations never seen in the mesh."},
    {.key = "pinFor",
     .type = OPTION_DURATION,
     VALUE(struct config, outbound.mesh_pin_for_ms),
     .min = 1000,
     .max = YEAR_MS,
     .fallback = "24h",
     .meaning = "How long an address stays pinned to the mesh after its last handshake."},
    {.key = "peers",
     PATTERNS,
     LIST(struct config, outbound.mesh_peers.items, outbound.mesh_peers.num, ITEMS_MAX),
     .fallback = "[]",
     .meaning = "Identities accepted where no rule names any; empty: the own trust domain."},
    END};
static const struct option_section mesh_section = {.rows = mesh_rows};

static const struct option_row match_rows[] = {
    {.key = "hosts",
     .type = OPTION_NOT_YET,
     .meaning = "host names in rules are not supported yet"},
    {.key = "networks",
     PREFIXES,
     LIST(struct outbound_rule, networks.items, networks.num, ITEMS_MAX),
     HAS(struct outbound_rule, has_networks),
     .meaning = "Destination addresses; absent: any."},
    {.key = "ports",
     PORTS,
     LIST(struct outbound_rule, ports.items, ports.num, ITEMS_MAX),
     HAS(struct outbound_rule, has_ports),
     .meaning = "Destination ports; absent: any."},
    END};
static const struct option_section match_section = {.rows = match_rows};

static const struct option_choice outbound_tls_choices[] = {
    {"mesh", OUTBOUND_MESH, false},
    {"mutual", OUTBOUND_MUTUAL, false},
    {"passthrough", OUTBOUND_PASSTHROUGH, false},
    {"deny", OUTBOUND_DENY, false},
    {"simple", 0, true},
    {NULL, 0, false}};

static const struct option_row destination_rows[] = {
    {.key = "name",
     TEXT(text_checks_label, NULL),
     VALUE(struct outbound_rule, name),
     .meaning = "For logs and the status port."},
    SECTION("match", match_section, "What the rule is for; absent: everything."),
    {.key = "tls",
     CHOICE(outbound_tls_choices),
     VALUE(struct outbound_rule, tls),
     .fallback = "mesh",
     .meaning = "A tunnel to the peer's sidecar; TLS with the workload "
                "certificate to a server that speaks TLS itself; untouched; or refused."},
    {.key = "peers",
     PATTERNS,
     LIST(struct outbound_rule, peers.items, peers.num, ITEMS_MAX),
     .fallback = "[]",
     .meaning = "Identities accepted at the other end; empty: outbound.mesh.peers"
                " for a tunnel, else the own trust domain."},
    {.key = "serverName",
     TEXT(text_checks_dns_name, "DNS name"),
     .can_be_off = true,
     VALUE(struct outbound_rule, server_name),
     .meaning =
         "With `tls: mutual`: the name to send and to verify; with `peers`, both must hold."},
    NOT_YET("verify"),
    NOT_YET("minVersion"),
    NOT_YET("ciphers"),
    NOT_YET("serverCerts"),
    NOT_YET("clientCert"),
    END};
static const struct option_section destination_section = {
    .rows = destination_rows, .line_offset = offsetof(struct outbound_rule, line)};

static const struct option_row outbound_rows[] = {
    {.key = "listen",
     ADDRESS,
     LIST(struct config, outbound.listen.items, outbound.listen.num, ADDRESSES_MAX),
     .fallback = "['127.0.0.1:15001', '[::1]:15001']",
     .meaning = "Where redirected connections of the application arrive; [] for none."},
    {.key = "listeners",
     .type = OPTION_SECTION,
     .section = &outbound_listener_section,
     LIST(struct config, outbound.listeners, outbound.num_listeners, ITEMS_MAX),
     .meaning = "Explicit listeners, for use without redirection."},
    SECTION("mesh", mesh_section, "Destinations that no rule names."),
    {.key = "destinations",
     .type = OPTION_SECTION,
     .section = &destination_section,
     LIST(struct config, outbound.rules, outbound.num_rules, ITEMS_MAX),
     .meaning = "Rules by destination; the first that matches decides."},
    END};
static const struct option_section outbound_section = {.rows = outbound_rows};

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
static const struct option_section inbound_section = {.rows = inbound_rows};

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
static const struct option_section intercept_section = {.rows = intercept_rows};

static const struct option_row drain_rows[] = {
    {.key = "deadline",
     .type = OPTION_DURATION,
     VALUE(struct config, drain_deadline_ms),
     .max = HOUR_MS,
     .fallback = "25s",
     .meaning = "How long SIGTERM waits for open connections to end."},
    END};
static const struct option_section drain_section = {.rows = drain_rows};

static const struct option_row trust_store_rows[] = {
    {.key = "sources",
     TEXT(text_checks_path, "absolute paths"),
     LIST(struct config, trust_store.sources.items, trust_store.sources.num, ITEMS_MAX),
     .meaning = "Files and directories of certificates."},
    {.key = "output",
     TEXT(text_checks_path, "absolute path"),
     VALUE(struct config, trust_store.output),
     .meaning = "The directory to write."},
    NOT_YET("java"),
    NOT_YET("certificates"),
    END};
static const struct option_section trust_store_section = {.rows = trust_store_rows};

static const struct option_row status_rows[] = {
    {.key = "listen",
     ADDRESS,
     VALUE(struct config, status.listen),
     .can_be_off = true,
     HAS(struct config, status.has_listen),
     .fallback = "'127.0.0.1:15020'",
     .meaning = "The status port, on a loopback address; \"\" for none."},
    {.key = "health",
     ADDRESS,
     VALUE(struct config, status.health),
     .can_be_off = true,
     HAS(struct config, status.has_health),
     .meaning = "A second listener for probes and scrapers from outside the host."},
    {.key = "quit",
     .type = OPTION_BOOL,
     VALUE(struct config, status.quit),
     .fallback = "false",
     .meaning = "Allow POST /quitquitquit."},
    NOT_YET("probes"),
    NOT_YET("expiryAlertDays"),
    NOT_YET("audit"),
    END};
static const struct option_section status_section = {.rows = status_rows};

static const struct option_choice level_choices[] = {{"debug", LOG_DEBUG, false},
                                                     {"info", LOG_INFO, false},
                                                     {"warn", LOG_WARN, false},
                                                     {"error", LOG_ERROR, false},
                                                     {NULL, 0, false}};
static const struct option_choice format_choices[] = {
    {"logfmt", LOG_LOGFMT, false}, {"json", LOG_JSON, false}, {NULL, 0, false}};

static const struct option_row log_rows[] = {{.key = "level",
                                              CHOICE(level_choices),
                                              VALUE(struct config, log_level),
                                              .fallback = "info",
                                              .meaning = "What is logged: this and worse."},
                                             {.key = "format",
                                              CHOICE(format_choices),
                                              VALUE(struct config, log_format),
                                              .fallback = "logfmt",
                                              .meaning = "How a line looks."},
                                             END};
static const struct option_section log_section = {.rows = log_rows};

static const struct option_choice workers_choices[] = {{"auto", 0, false}, {NULL, 0, false}};

static const struct option_row root_rows[] = {
    SECTION("identity", identity_section, "Who this application is."),
    SECTION("outbound", outbound_section, "What the application connects to."),
    SECTION("inbound", inbound_section, "Who connects to the application."),
    SECTION("intercept", intercept_section, "What `pavise intercept up` redirects."),
    SECTION("drain", drain_section, "How the agent ends."),
    {.key = "trustStore",
     .type = OPTION_SECTION,
     .section = &trust_store_section,
     HAS(struct config, trust_store.is_set),
     .meaning = "The user's public certificates; read, but not written by this version."},
    SECTION("status", status_section, "Where the agent can be asked."),
    SECTION("log", log_section, "What the agent writes on standard error."),
    {.key = "workers",
     .type = OPTION_NUMBER,
     .choices = workers_choices,
     .min = 1,
     .max = 64,
     VALUE(struct config, workers),
     .fallback = "auto",
     .meaning = "Event loops; auto follows the CPU quota."},
    END};
const struct option_section options_root = {.rows = root_rows};
// clang-format on
