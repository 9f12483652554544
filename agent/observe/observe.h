// What can be seen of the data plane: close reasons, counters, and plain views of live objects.
// The workers fill these in; the status port renders them and never sees a live object.
#ifndef AGENT_OBSERVE_OBSERVE_H
#define AGENT_OBSERVE_OBSERVE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/netaddr.h"
#include "certmgr/spiffe_id.h"
#include "certmgr/svid.h"
#include "certmgr/verify.h"

enum close_reason {
#define CLOSE_REASON(id, name, is_error, sentence) id,
#include "agent/observe/close_reason.def"
#undef CLOSE_REASON
    CLOSE_REASON_COUNT
};
const char *close_reason_name(enum close_reason reason);
const char *close_reason_sentence(enum close_reason reason);
bool close_reason_is_error(enum close_reason reason);

enum metric {
#define METRIC(id, name, type, labels, help) id,
#include "agent/observe/metric.def"
#undef METRIC
    METRIC_COUNT
};

struct metric_info {
    const char *name, *type, *labels, *help;
};
const struct metric_info *metric_info(enum metric metric);

enum direction { OUTBOUND = 0, INBOUND = 1 };
const char *direction_name(enum direction direction); // "outbound"

// One set per worker: the worker alone writes, anyone reads. Relaxed order is enough for counts.
struct counters {
    _Atomic uint64_t metrics[METRIC_COUNT];
    _Atomic uint64_t closed[2][CLOSE_REASON_COUNT];   // by direction
    _Atomic uint64_t refused[2][VERIFY_RESULT_COUNT]; // peers refused by the verifier
};

static inline void counter_add(_Atomic uint64_t *counter, int64_t by) {
    uint64_t old = atomic_load_explicit(counter, memory_order_relaxed);
    atomic_store_explicit(counter, old + (uint64_t)by, memory_order_relaxed);
}

// Adds `from` to the plain sums in `into`.
struct counter_sums {
    uint64_t metrics[METRIC_COUNT];
    uint64_t closed[2][CLOSE_REASON_COUNT];
    uint64_t refused[2][VERIFY_RESULT_COUNT];
};
void counters_sum(struct counter_sums *into, const struct counters *from);

// A live connection, as /connections shows it.
struct connection_view {
    uint64_t id;
    enum direction direction;
    const char *state;    // static text
    const char *security; // "mutual_tls" or "none"; static text
    struct netaddr source;
    struct netaddr destination; // original
    struct netaddr via;         // tunnel or TLS endpoint; NETADDR_NONE when plain
    char own_id[256];           // cut when longer
    char peer_id[256];          // "" when not verified
    char peer_serial[SVID_SERIAL_TEXT_MAX];
    int64_t peer_not_after; // Unix seconds; 0 when there is none
    int64_t opened_at_ms;   // wall clock
    uint64_t bytes_sent;    // from the local application
    uint64_t bytes_received;
    uint64_t tunnel_id; // 0: none
    char rule[64];      // the rule that decided; "" for defaults
};

struct tunnel_view {
    uint64_t id;
    enum direction direction;
    const char *state;
    struct netaddr peer;
    char own_id[256];
    char own_serial[SVID_SERIAL_TEXT_MAX];
    char peer_id[256];
    char peer_serial[SVID_SERIAL_TEXT_MAX];
    int64_t peer_not_after;
    uint64_t identity_generation;
    uint32_t streams_open;
    uint64_t streams_total;
    int64_t opened_at_ms;
    const char *tls_version, *cipher, *group; // static text
    unsigned worker;
};

struct listener_view {
    const char *kind; // "outbound", "explicit", "inbound", "tunnel", "port", "status", "health"
    struct netaddr address;
    struct netaddr destination; // of explicit ones, else NETADDR_NONE
    const char *mode;           // "", "strict", "permissive", "disabled", "tunnelOnly"
    bool accepting;
};

// What is remembered of a destination's membership in the mesh.
struct destination_view {
    struct netaddr address;     // port 0
    const char *state;          // "pinned", "plaintext", "unreachable"
    char peer_id[256];          // of pinned ones
    int64_t since_ms, until_ms; // wall clock
    char last_error[128];
};

// A connection that was refused or failed; the last 256 are kept.
struct refusal_view {
    int64_t at_ms; // wall clock
    enum direction direction;
    enum close_reason reason;
    struct netaddr source, destination;
    char peer_id[256];
    char detail[256]; // one sentence with what was attempted and expected
};

struct view { // growing arrays; view_fini frees them
    struct connection_view *connections;
    size_t num_connections, cap_connections;
    struct tunnel_view *tunnels;
    size_t num_tunnels, cap_tunnels;
    struct listener_view *listeners;
    size_t num_listeners, cap_listeners;
    struct destination_view *destinations;
    size_t num_destinations, cap_destinations;
    struct refusal_view *refusals; // newest first
    size_t num_refusals, cap_refusals;
    unsigned workers_missing; // workers that did not answer in time
};

void view_fini(struct view *view);
// Each returns a zeroed new element, NULL when memory is short.
struct connection_view *view_add_connection(struct view *view);
struct tunnel_view *view_add_tunnel(struct view *view);
struct listener_view *view_add_listener(struct view *view);
struct destination_view *view_add_destination(struct view *view);
struct refusal_view *view_add_refusal(struct view *view);

#endif
