// HTTP on the application's own ports: a part of inbound.ports[], as the configuration says it.
#ifndef AGENT_CONFIG_CONFIG_HTTP_H
#define AGENT_CONFIG_CONFIG_HTTP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "agent/config/config_lists.h"

struct http_path_options {
    char *path;
    bool exact; // else a prefix, by whole segments
};

struct http_rule_options {
    struct string_list hosts;
    char *path_prefix; // NULL: none
    bool strip_prefix;
    struct string_list methods;
    struct http_path_options *paths;
    size_t num_paths;
};

// What the application speaks.
enum app_protocol {
    APP_PROTOCOL_AUTO, // HTTP/2 for gRPC, else HTTP/1.1
    APP_PROTOCOL_HTTP1,
    APP_PROTOCOL_HTTP2,
};

struct edge_http_options {
    struct http_rule_options *rules;
    size_t num_rules;
    struct string_list skip_mtls; // patterns
    bool check_host_matches_sni;
    bool redirect_to_https;
    enum app_protocol app_protocol;
    int64_t read_timeout_ms, send_timeout_ms;
};

#endif
