// TLS on the application's own ports: inbound.ports[], as the configuration says it.
#ifndef AGENT_CONFIG_CONFIG_EDGE_H
#define AGENT_CONFIG_CONFIG_EDGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "agent/config/config_http.h"
#include "agent/config/config_lists.h"
#include "certmgr/subject_rule.h"

// What happens to direct (non-tunnel) connections to a port.
enum inbound_tls_mode {
    INBOUND_FOLLOW_MODE, // inbound.mode
    INBOUND_DISABLED,    // passed untouched
    INBOUND_TUNNEL_ONLY, // refused
    INBOUND_PERMISSIVE,  // TLS ends here where the client starts it, plaintext passes
    INBOUND_REQUIRED,    // TLS only
    INBOUND_PEERS_ONLY,  // TLS is for replication peers, plaintext for clients
};

enum client_auth {
    CLIENT_AUTH_UNSAID,
    CLIENT_AUTH_NONE,
    CLIENT_AUTH_OPTIONAL,
    CLIENT_AUTH_REQUIRED
};
enum tls_version { TLS_VERSION_UNSAID = 0, TLS_VERSION_1_2 = 3, TLS_VERSION_1_3 = 4 };
enum subject_validation { SUBJECT_DISABLED, SUBJECT_SAN_CN, SUBJECT_FULL };
enum app_tls_mode { APP_TLS_OFF, APP_TLS_REENCRYPT, APP_TLS_PASSTHROUGH };
enum forward_client_cert { FORWARD_OFF, FORWARD_PROXY_V2, FORWARD_HEADERS };
enum client_failure { FAILURE_UNSAID, FAILURE_ALERT, FAILURE_HTTP };

// A certificate by its name in trustStore.certificates, or a file. Exactly one is there.
struct certificate_ref {
    char *name;
    char *file;
    unsigned line;
};

struct certificate_refs {
    struct certificate_ref *items;
    size_t num;
};

// One of inbound.ports[].certificates: what is presented to whom, and what differs for them.
struct stapling_options {
    bool enabled;
    bool staple_revoked;
    char *file;      // NULL: a responder is asked
    char *responder; // NULL: whichever the certificate names
    int64_t query_interval_ms, response_timeout_ms, recovery_interval_ms;
    uint32_t recovery_max_tries;
};

struct edge_certificate_options {
    char *name;
    struct string_list server_names; // empty: the DNS names in the certificate
    char *cert_file;
    char *key_file;
    char *key_passphrase; // "env:NAME" or "file:PATH"; NULL: the key is not encrypted
    bool enabled;
    struct stapling_options stapling;
    enum tls_version min_version, max_version; // UNSAID: the port's; so with all that follow
    enum client_auth client_auth;
    bool has_client_certs;
    struct certificate_refs client_certs;
    bool has_client_depth;
    uint32_t client_depth;
    bool has_skip_mtls;
    struct string_list skip_mtls;
    enum client_failure on_failure;
    unsigned line;
};

struct edge_options {
    bool is_http;     // protocol
    bool answer_http; // onClientAuthFailure: http400
    bool has_client_certs, has_peer_certs;
    bool allow_outdated, allow_weak;
    bool resumption;
    bool accept_proxy; // a PROXY v2 header is required
    bool send_proxy;
    bool app_tls_verify;
    enum client_auth client_auth; // UNSAID: required
    uint32_t client_depth;        // intermediates
    enum subject_validation subject_validation;
    struct certificate_refs client_certs, peer_certs;
    struct subject_rule *authorized_subjects;
    size_t num_authorized_subjects;
    struct edge_certificate_options *certificates;
    size_t num_certificates;
    char *fallback_server_name;
    enum tls_version min_version, max_version;
    char *ciphers; // of TLS 1.2, replaces the default; NULL: the default
    struct string_list tls13_cipher_suites;
    struct string_list alpn;
    enum app_tls_mode app_tls;
    enum forward_client_cert forward_client_cert;
    struct certificate_refs app_tls_ca_certs;
    char *app_tls_server_name;
    struct prefix_list proxy_from;
    struct edge_http_options http; // with protocol http
};

#endif
