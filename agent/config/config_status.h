// The shape of the configuration's `status` section.
#ifndef AGENT_CONFIG_CONFIG_STATUS_H
#define AGENT_CONFIG_CONFIG_STATUS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "agent/config/config_lists.h"
#include "base/netaddr.h"

enum probe_name { PROBE_LIVEZ, PROBE_READYZ, PROBE_STARTUPZ, PROBE_PRESTOPZ, PROBE_POSTSTARTZ };
enum probe_type { PROBE_HTTP, PROBE_TCP, PROBE_GRPC };

// One probe of the application that the health port answers by asking the application.
struct status_probe {
    char *container;
    enum probe_name name;
    enum probe_type type;
    uint16_t port;
    char *path; // http; NULL: "/"
    bool https;
    struct string_list headers; // http: "Name: value"
    char *service;              // grpc; NULL: the server as a whole
    int64_t timeout_ms;
    unsigned line;
};

// Where records of inbound connections go.
struct config_audit {
    char *address; // HOST:PORT or unix:///PATH; NULL: nowhere
    int64_t reconnect_interval_ms;
    uint32_t reconnect_max_attempts; // in a row; 0: any number
    uint32_t queue_max_bytes;
};

struct config_status {
    bool has_listen; // an empty text turns it off
    struct netaddr listen;
    bool has_health;
    struct netaddr health;
    uint32_t expiry_alert_days; // 0: no warning
    bool quit;                  // POST /quitquitquit allowed
    struct status_probe *probes;
    size_t num_probes;
    struct config_audit audit;
};

#endif
