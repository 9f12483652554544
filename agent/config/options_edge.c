// The keys of an item of inbound.ports: TLS on the application's own ports.
#include "agent/config/options_rows.h"
#include "agent/config/text_checks.h"

#define CERTIFICATES_MAX 256 // in one list
#define SUBJECTS_MAX 256
#define NAMES_MAX 256
#define DEPTH_MAX 10
#define PATTERNS_MAX 64
#define RULES_MAX 1024
#define SECOND_MS 1000
#define HTTP_TIMEOUT_MAX_MS (1800 * SECOND_MS)

static const struct option_row ref_rows[] = {
    {.key = "name",
     TEXT(text_checks_label, "name"),
     VALUE(struct certificate_ref, name),
     .meaning = "Of trustStore.certificates; the item may be just this name."},
    {.key = "file",
     TEXT(text_checks_path, "absolute path"),
     VALUE(struct certificate_ref, file),
     .meaning = "PEM or DER, one certificate or several."},
    END};
const struct option_section options_certificate_ref = {
    .rows = ref_rows, .line_offset = offsetof(struct certificate_ref, line), .scalar_key = "name"};

static const struct option_choice tls_mode_choices[] = {
    {"disabled", INBOUND_DISABLED, false},     {"tunnelOnly", INBOUND_TUNNEL_ONLY, false},
    {"permissive", INBOUND_PERMISSIVE, false}, {"required", INBOUND_REQUIRED, false},
    {"peersOnly", INBOUND_PEERS_ONLY, false},  {NULL, 0, false}};
static const struct option_choice client_auth_choices[] = {
    {"none", CLIENT_AUTH_NONE, false},
    {"optional", CLIENT_AUTH_OPTIONAL, false},
    {"required", CLIENT_AUTH_REQUIRED, false},
    {NULL, 0, false}};
static const struct option_choice own_failure_choices[] = {
    {"alert", FAILURE_ALERT, false}, {"http400", FAILURE_HTTP, false}, {NULL, 0, false}};
static const struct option_choice app_protocol_choices[] = {{"auto", APP_PROTOCOL_AUTO, false},
                                                            {"http1", APP_PROTOCOL_HTTP1, false},
                                                            {"http2", APP_PROTOCOL_HTTP2, false},
                                                            {NULL, 0, false}};
static const struct option_choice failure_choices[] = {
    {"alert", 0, false}, {"http400", 1, false}, {NULL, 0, false}};
const struct option_choice options_tls_versions[] = {
    {"1.2", TLS_VERSION_1_2, false}, {"1.3", TLS_VERSION_1_3, false}, {NULL, 0, false}};
static const struct option_choice validation_choices[] = {{"disabled", SUBJECT_DISABLED, false},
                                                          {"sanCn", SUBJECT_SAN_CN, false},
                                                          {"fullSubject", SUBJECT_FULL, false},
                                                          {NULL, 0, false}};
static const struct option_choice app_tls_choices[] = {{"off", APP_TLS_OFF, false},
                                                       {"reencrypt", APP_TLS_REENCRYPT, false},
                                                       {"passthrough", APP_TLS_PASSTHROUGH, false},
                                                       {NULL, 0, false}};
static const struct option_choice protocol_choices[] = {
    {"tcp", 0, false}, {"http", 1, false}, {NULL, 0, false}};
static const struct option_choice accept_proxy_choices[] = {
    {"off", false, false}, {"required", true, false}, {NULL, 0, false}};
static const struct option_choice forward_choices[] = {{"off", FORWARD_OFF, false},
                                                       {"headers", FORWARD_HEADERS, false},
                                                       {"proxyV2", FORWARD_PROXY_V2, false},
                                                       {NULL, 0, false}};

#define SUBJECT_TEXT(key_, member_, sentence_)                                                     \
    {                                                                                              \
        .key = (key_), TEXT(text_checks_resource, NULL), VALUE(struct subject_rule, member_),      \
        .meaning = (sentence_)                                                                     \
    }
static const struct option_row subject_rows[] = {
    {.key = "CN",
     TEXT(text_checks_resource, NULL),
     VALUE(struct subject_rule, cn),
     .is_required = true,
     .meaning = "The common name; with `sanCn` a DNS name of the certificate may be it as well."},
    SUBJECT_TEXT("O", o, "With `fullSubject`: equal, and absent where this is absent."),
    {.key = "OU",
     TEXT(text_checks_resource, "texts"),
     LIST(struct subject_rule, ou, num_ou, NAMES_MAX),
     .meaning = "With `fullSubject`: exactly these, in any order."},
    SUBJECT_TEXT("L", l, "Like `O`."),
    SUBJECT_TEXT("ST", st, "Like `O`."),
    SUBJECT_TEXT("C", c, "Like `O`."),
    END};
const struct option_section options_subject = {.rows = subject_rows};

static const struct option_row certificate_rows[] = {
    {.key = "name",
     TEXT(text_checks_label, NULL),
     VALUE(struct edge_certificate_options, name),
     .is_required = true,
     .meaning = "For logs, the status port and the expiry metric."},
    {.key = "serverNames",
     TEXT(text_checks_server_name, "DNS names, `*.x`, `*`"),
     LIST(struct edge_certificate_options, server_names.items, server_names.num, NAMES_MAX),
     .meaning = "Who gets it, by SNI; absent: the DNS names in the certificate."},
    CERTIFICATE_FILES,
    {.key = "enabled",
     .type = OPTION_BOOL,
     VALUE(struct edge_certificate_options, enabled),
     .fallback = "true",
     .meaning = "false: as if it were not in the list."},
    SECTION("stapling", options_stapling, "OCSP stapling."),
    {.key = "minVersion",
     CHOICE(options_tls_versions),
     VALUE(struct edge_certificate_options, min_version),
     .meaning = "Instead of the port's, for these names."},
    {.key = "maxVersion",
     CHOICE(options_tls_versions),
     VALUE(struct edge_certificate_options, max_version),
     .meaning = "Instead of the port's, for these names."},
    {.key = "clientAuth",
     CHOICE(client_auth_choices),
     VALUE(struct edge_certificate_options, client_auth),
     .meaning = "Instead of the port's, for these names."},
    {.key = "clientCerts",
     .type = OPTION_SECTION,
     .section = &options_certificate_ref,
     LIST(struct edge_certificate_options, client_certs.items, client_certs.num, CERTIFICATES_MAX),
     HAS(struct edge_certificate_options, has_client_certs),
     .meaning = "Instead of the port's, for these names."},
    {.key = "clientDepth",
     .type = OPTION_NUMBER,
     .max = DEPTH_MAX,
     VALUE(struct edge_certificate_options, client_depth),
     HAS(struct edge_certificate_options, has_client_depth),
     .meaning = "Instead of the port's, for these names."},
    {.key = "skipMtlsUriRegex",
     TEXT(text_checks_resource, "Perl-compatible patterns"),
     LIST(struct edge_certificate_options, skip_mtls.items, skip_mtls.num, PATTERNS_MAX),
     HAS(struct edge_certificate_options, has_skip_mtls),
     .meaning = "Instead of the port's, for these names."},
    {.key = "onClientAuthFailure",
     CHOICE(own_failure_choices),
     VALUE(struct edge_certificate_options, on_failure),
     .meaning = "Instead of the port's, for these names."},
    END};
static const struct option_section certificate_section = {
    .rows = certificate_rows, .line_offset = offsetof(struct edge_certificate_options, line)};

static const struct option_row app_tls_rows[] = {
    {.key = "mode",
     CHOICE(app_tls_choices),
     VALUE(struct inbound_port, edge.app_tls),
     .fallback = "'off'",
     .meaning = "Towards the application: plaintext, TLS of our own, or the client's bytes as they "
                "are."},
    {.key = "verify",
     .type = OPTION_BOOL,
     VALUE(struct inbound_port, edge.app_tls_verify),
     .fallback = "false",
     .meaning = "Whether the application's certificate is verified, by `caCerts`."},
    {.key = "caCerts",
     .type = OPTION_SECTION,
     .section = &options_certificate_ref,
     LIST(struct inbound_port, edge.app_tls_ca_certs.items, edge.app_tls_ca_certs.num,
          CERTIFICATES_MAX),
     .meaning = "CAs, or the application's certificate itself."},
    {.key = "serverName",
     TEXT(text_checks_dns_name, "DNS name"),
     .can_be_off = true,
     VALUE(struct inbound_port, edge.app_tls_server_name),
     .meaning = "The name to send, and to verify; needed with `verify` unless the certificate "
                "itself is in `caCerts`."},
    END};
static const struct option_section app_tls_section = {.rows = app_tls_rows};

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
     .meaning = "Direct connections to the port: passed, refused, or with TLS that ends here "
                "(docs/edge-tls.md); absent: inbound.mode."},
    {.key = "clientAuth",
     CHOICE(client_auth_choices),
     VALUE(struct inbound_port, edge.client_auth),
     .meaning = "Whether TLS clients present a certificate; absent: `required`."},
    {.key = "onClientAuthFailure",
     CHOICE(failure_choices),
     VALUE(struct inbound_port, edge.answer_http),
     .fallback = "alert",
     .meaning = "How a client without the right certificate is refused: in the handshake, or (with "
                "`protocol: http`) each request with status 400."},
    {.key = "clientCerts",
     .type = OPTION_SECTION,
     .section = &options_certificate_ref,
     LIST(struct inbound_port, edge.client_certs.items, edge.client_certs.num, CERTIFICATES_MAX),
     HAS(struct inbound_port, edge.has_client_certs),
     .meaning = "CAs, intermediates and clients' own certificates, each trusted by itself. Absent "
                "on a port without `certificates`: SPIFFE identities, as through the tunnel."},
    {.key = "peerCerts",
     .type = OPTION_SECTION,
     .section = &options_certificate_ref,
     LIST(struct inbound_port, edge.peer_certs.items, edge.peer_certs.num, CERTIFICATES_MAX),
     HAS(struct inbound_port, edge.has_peer_certs),
     .meaning = "The same for replication peers; `subjectValidation` is not for them."},
    {.key = "clientDepth",
     .type = OPTION_NUMBER,
     .max = DEPTH_MAX,
     VALUE(struct inbound_port, edge.client_depth),
     .fallback = "1",
     .meaning = "Intermediates allowed between a client's certificate and the list."},
    {.key = "subjectValidation",
     CHOICE(validation_choices),
     VALUE(struct inbound_port, edge.subject_validation),
     .fallback = "disabled",
     .meaning = "What else a client that chains to a CA must match; without effect while "
                "`clientCerts` holds a certificate that is no CA."},
    {.key = "authorizedSubjects",
     .type = OPTION_SECTION,
     .section = &options_subject,
     LIST(struct inbound_port, edge.authorized_subjects, edge.num_authorized_subjects,
          SUBJECTS_MAX),
     .meaning = "One of them has to match."},
    {.key = "allowOutdatedClientCerts",
     .type = OPTION_BOOL,
     VALUE(struct inbound_port, edge.allow_outdated),
     .fallback = "false",
     .meaning = "Take a client's certificate that has expired; nothing else is forgiven."},
    {.key = "allowWeakClientCerts",
     .type = OPTION_BOOL,
     VALUE(struct inbound_port, edge.allow_weak),
     .fallback = "false",
     .meaning = "Take RSA keys below 2048 bits and SHA-1 signatures."},
    {.key = "skipMtlsUriRegex",
     TEXT(text_checks_resource, "Perl-compatible patterns"),
     LIST(struct inbound_port, edge.http.skip_mtls.items, edge.http.skip_mtls.num, PATTERNS_MAX),
     .meaning = "Paths (decoded, without query) that need no client certificate; searched, not "
                "anchored. Other requests get 400."},
    {.key = "certificates",
     .type = OPTION_SECTION,
     .section = &certificate_section,
     LIST(struct inbound_port, edge.certificates, edge.num_certificates, CERTIFICATES_MAX),
     .meaning = "What is presented, by SNI; none: the workload's own certificate."},
    {.key = "fallbackServerName",
     TEXT(text_checks_dns_name, "DNS name"),
     .can_be_off = true,
     VALUE(struct inbound_port, edge.fallback_server_name),
     .meaning = "Taken for the SNI of a client that sends none."},
    {.key = "checkHostMatchesSni",
     .type = OPTION_BOOL,
     VALUE(struct inbound_port, edge.http.check_host_matches_sni),
     .fallback = "true",
     .meaning =
         "Refuse requests for a host with a certificate of its own over a connection that was "
         "made for another name, where either demands client certificates."},
    {.key = "minVersion",
     CHOICE(options_tls_versions),
     VALUE(struct inbound_port, edge.min_version),
     .fallback = "'1.2'",
     .meaning = "The oldest TLS that is spoken."},
    {.key = "maxVersion",
     CHOICE(options_tls_versions),
     VALUE(struct inbound_port, edge.max_version),
     .fallback = "'1.3'",
     .meaning = "The newest TLS that is spoken."},
    {.key = "ciphers",
     TEXT(text_checks_resource, "cipher list"),
     .can_be_off = true,
     VALUE(struct inbound_port, edge.ciphers),
     .meaning = "Of TLS 1.2, instead of the default: names with `:` between them, ECDHE with AEAD "
                "only."},
    {.key = "tls13CipherSuites",
     TEXT(text_checks_resource, "names like `TLS_AES_128_GCM_SHA256`"),
     LIST(struct inbound_port, edge.tls13_cipher_suites.items, edge.tls13_cipher_suites.num, 3),
     .meaning = "A TLS 1.3 handshake that ends with another suite is refused; empty: any."},
    {.key = "alpn",
     TEXT(text_checks_label, "protocol names"),
     LIST(struct inbound_port, edge.alpn.items, edge.alpn.num, 16),
     .meaning = "What the application speaks, best first; empty: no ALPN is answered."},
    {.key = "resumption",
     .type = OPTION_BOOL,
     VALUE(struct inbound_port, edge.resumption),
     .fallback = "false",
     .meaning =
         "Give TLS session tickets: good for an hour at most, for one server name, until the "
         "next reload; the client's certificate is judged again each time."},
    {.key = "redirectToHttps",
     .type = OPTION_BOOL,
     VALUE(struct inbound_port, edge.http.redirect_to_https),
     .fallback = "false",
     .meaning = "Answer plaintext requests with 301 to https."},
    SECTION("appTls", app_tls_section, "TLS towards the application itself."),
    {.key = "httpRules",
     .type = OPTION_SECTION,
     .section = &options_http_rule,
     LIST(struct inbound_port, edge.http.rules, edge.http.num_rules, RULES_MAX),
     .meaning = "The first that matches forwards a request, 404 without one; absent: all are "
                "forwarded."},
    {.key = "readTimeout",
     .type = OPTION_DURATION,
     .min = SECOND_MS,
     .max = HTTP_TIMEOUT_MAX_MS,
     VALUE(struct inbound_port, edge.http.read_timeout_ms),
     .fallback = "300s",
     .meaning =
         "How long the application may be silent before its answer is given up, a client with the "
         "rest of a request, and its connection without one."},
    {.key = "sendTimeout",
     .type = OPTION_DURATION,
     .min = SECOND_MS,
     .max = HTTP_TIMEOUT_MAX_MS,
     VALUE(struct inbound_port, edge.http.send_timeout_ms),
     .fallback = "60s",
     .meaning = "How long it may take nothing of a request."},
    {.key = "appProtocol",
     CHOICE(app_protocol_choices),
     VALUE(struct inbound_port, edge.http.app_protocol),
     .fallback = "auto",
     .meaning =
         "HTTP towards the application; `auto`: HTTP/2 (without TLS: by prior knowledge) for "
         "gRPC, else HTTP/1.1."},
    {.key = "protocol",
     CHOICE(protocol_choices),
     VALUE(struct inbound_port, edge.is_http),
     .fallback = "tcp",
     .meaning = "What the application speaks."},
    {.key = "acceptProxy",
     CHOICE(accept_proxy_choices),
     VALUE(struct inbound_port, edge.accept_proxy),
     .fallback = "'off'",
     .meaning = "Whether direct connections begin with a PROXY v2 header, of a load balancer."},
    {.key = "proxyFrom",
     PREFIXES,
     LIST(struct inbound_port, edge.proxy_from.items, edge.proxy_from.num, ITEMS_MAX),
     .meaning = "Who may send one; everybody else is refused."},
    {.key = "sendProxy",
     .type = OPTION_BOOL,
     VALUE(struct inbound_port, edge.send_proxy),
     .fallback = "false",
     .meaning = "Begin each connection to the application with a PROXY v2 header: the client's "
                "address."},
    {.key = "forwardClientCert",
     CHOICE(forward_choices),
     VALUE(struct inbound_port, edge.forward_client_cert),
     .fallback = "'off'",
     .meaning = "Tell the application who the client is; `proxyV2`: a PROXY v2 header with TLS "
                "details; `headers` (with `protocol: http`): X-Ssl-Client-* and "
                "X-Forwarded-Client-Cert."},
    END};
const struct option_section options_port = {.rows = port_rows,
                                            .line_offset = offsetof(struct inbound_port, line)};
