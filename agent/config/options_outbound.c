// The keys below `outbound`.
#include "agent/config/options_rows.h"
#include "agent/config/text_checks.h"
#include "certmgr/spiffe_id.h"

#define CERTIFICATES_MAX 256 // in one list
#define SUBJECTS_MAX 256
#define PROTOCOLS_MAX 16

static const struct option_row outbound_listener_rows[] = {
    {.key = "listen",
     ADDRESS,
     VALUE(struct outbound_listener, listen),
     .is_required = true,
     .meaning = "Where the application connects to."},
    {.key = "destination",
     PLACE,
     VALUE(struct outbound_listener, destination),
     .is_required = true,
     .meaning = "Where its connections go, as if it had dialled that; of a host name the addresses "
                "are tried in turn."},
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
     TEXT(text_checks_dns_name, "DNS names"),
     LIST(struct outbound_rule, hosts.items, hosts.num, ITEMS_MAX),
     HAS(struct outbound_rule, has_hosts),
     .meaning = "Destination addresses by name, looked up again as their TTL says; absent: any. "
                "Until DNS has answered, connections that the rule might be for wait, then are "
                "refused."},
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
    {"mesh", OUTBOUND_MESH, false},     {"mutual", OUTBOUND_MUTUAL, false},
    {"simple", OUTBOUND_SIMPLE, false}, {"passthrough", OUTBOUND_PASSTHROUGH, false},
    {"deny", OUTBOUND_DENY, false},     {NULL, 0, false}};

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
     .meaning = "A tunnel to the peer's sidecar; TLS to a server that speaks TLS itself, with the "
                "workload certificate or with none; untouched; or refused."},
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
         "With `tls: mutual` and `tls: simple`: the name to send and to verify; with "
         "`peers`, both must hold. Absent: where the server is not verified by SPIFFE ID, the "
         "host of `match` or of the listener, or the address that was dialled."},
    {.key = "verify",
     .type = OPTION_BOOL,
     VALUE(struct outbound_rule, verify),
     .fallback = "true",
     .meaning = "false: whoever answers is taken for the server. For tests."},
    {.key = "minVersion",
     CHOICE(options_tls_versions),
     VALUE(struct outbound_rule, min_version),
     .fallback = "'1.2'",
     .meaning = "The oldest TLS that the server may choose; a tunnel is always TLS 1.3."},
    {.key = "ciphers",
     TEXT(text_checks_resource, "cipher list"),
     .can_be_off = true,
     VALUE(struct outbound_rule, ciphers),
     .meaning = "Of TLS 1.2, instead of the default: names with `:` between them, ECDHE with AEAD "
                "only. With `simple`, or `mutual` with `serverCerts`."},
    {.key = "serverCerts",
     .type = OPTION_SECTION,
     .section = &options_certificate_ref,
     LIST(struct outbound_rule, server_certs.items, server_certs.num, CERTIFICATES_MAX),
     HAS(struct outbound_rule, has_server_certs),
     .meaning = "CAs, and servers' own certificates, which need no name; several, so that a "
                "rotation overlaps. Absent: `simple` takes trustStore.publicRoots, `mutual` the "
                "SPIFFE bundle."},
    {.key = "authorizedSubjects",
     .type = OPTION_SECTION,
     .section = &options_subject,
     LIST(struct outbound_rule, authorized_subjects, num_authorized_subjects, SUBJECTS_MAX),
     HAS(struct outbound_rule, has_subjects),
     .meaning = "The server's whole subject has to be one of them, as with `fullSubject`; instead "
                "of its name, unless `serverName` is there too."},
    {.key = "clientCert",
     TEXT(text_checks_label, "`workload` or a name"),
     VALUE(struct outbound_rule, client_cert),
     .fallback = "workload",
     .meaning = "What `mutual` shows: the workload certificate, or one of outbound.certificates, "
                "which needs `serverCerts`."},
    {.key = "alpn",
     TEXT(text_checks_label, "protocol names"),
     LIST(struct outbound_rule, alpn.items, alpn.num, PROTOCOLS_MAX),
     .meaning =
         "What the application speaks, best first, such as `h2`; empty: no ALPN is offered."},
    END};
static const struct option_section destination_section = {
    .rows = destination_rows, .line_offset = offsetof(struct outbound_rule, line)};

static const struct option_row certificate_rows[] = {
    {.key = "name",
     TEXT(text_checks_label, NULL),
     VALUE(struct edge_certificate_options, name),
     .is_required = true,
     .meaning = "What `clientCert` calls it."},
    CERTIFICATE_FILES,
    END,
};
static const struct option_section certificate_section = {
    .rows = certificate_rows, .line_offset = offsetof(struct edge_certificate_options, line)};

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
    {.key = "certificates",
     .type = OPTION_SECTION,
     .section = &certificate_section,
     LIST(struct config, outbound.certificates, outbound.num_certificates, CERTIFICATES_MAX),
     .meaning = "Certificates to show to servers; read at the start and by a reload."},
    END};
const struct option_section options_outbound = {.rows = outbound_rows};
