// The status port and the health port: an HTTP/1.1 server on the control loop.
// It reads the agent through `struct status_backend` and never sees a live object.
// Access by GET only reads. POST changes state: loopback, Host, Origin and Sec-Fetch-Site checked.
#ifndef AGENT_STATUS_STATUS_H
#define AGENT_STATUS_STATUS_H

#include <stdbool.h>
#include <stdint.h>

#include "agent/config/config.h"
#include "agent/net/handed.h"
#include "agent/observe/audit_view.h"
#include "agent/observe/trust_view.h"
#include "agent/observe/view.h"
#include "base/err.h"
#include "certmgr/identity_store.h"
#include "certmgr/source.h"

struct ev_loop;

// One thing that readiness waits for.
struct readiness {
    const char *check; // "identity", "listeners", "drain", "trust"
    bool ready;
    char pending[640]; // a sentence, "" when ready
};
#define READINESS_MAX 8

struct identity_view {
    enum identity_state state;
    struct identity *identity; // a reference of the caller, or NULL; also set when it has expired
    struct identity_counts counts;
    char last_refusal[512];
    const char *source_kind; // "workloadApi"
    struct source_report source;
    int64_t last_change_ms; // wall clock; 0: never
    int64_t kept_until;     // Unix seconds: bundles of identity.stateDirectory are in use; 0: none
};

struct reload_view {
    bool last_successful;
    int64_t last_success_ms; // wall clock
    char last_error[512];    // "" when the last one worked
};

// A layer of the sandbox.
struct sandbox_view {
    const char *layer; // "landlock", ...
    bool is_on;
};
#define SANDBOX_VIEW_MAX 8

// What the status port asks of the agent. Called on the control loop; each returns at once, or
// within a second for `collect` and `sum_counters`.
struct status_backend {
    void *arg;
    // Without the status port's own listeners: the server adds those to /listeners itself.
    void (*collect)(void *arg, unsigned parts, struct view *out); // enum view_part bits
    void (*sum_counters)(void *arg, struct counter_sums *out);
    void (*identity)(void *arg, struct identity_view *out);
    void (*reload)(void *arg, struct reload_view *out);
    void (*trust)(void *arg, struct trust_view *out); // trust_view_fini
    void (*audit)(void *arg, struct audit_view *out);
    size_t (*readiness)(void *arg, struct readiness out[READINESS_MAX]);
    size_t (*sandbox)(void *arg, struct sandbox_view out[SANDBOX_VIEW_MAX]);
    bool (*is_alive)(void *arg, char *why, size_t why_len); // every worker's loop turned lately
    const struct config *(*config)(void *arg);              // borrowed for the call
    // POSTs
    bool (*rotate)(void *arg, struct err *err);
    void (*drain)(void *arg);
    void (*quit)(void *arg);
    bool (*forget)(void *arg, const struct netaddr *address); // false: not remembered
};

struct status_server;

// Takes status.listen and status.health of `config` from `handed` (may be NULL), or binds them
// (what is not set is not bound).
struct status_server *status_server_new(struct ev_loop *loop, const struct config *config,
                                        const struct status_backend *backend, struct handed *handed,
                                        struct err *err) MUST_USE;
void status_server_free(struct status_server *server);
OWN_DEFINE(struct status_server, status_server_free)
// After a reload: binds what is new, drops what is gone. On error the old listeners stay.
bool status_server_reconfigure(struct status_server *server, const struct config *config,
                               struct err *err) MUST_USE;

// Takes part in a hand-over between two processes: accepts nothing until it is released; never
// again once it is retired (what is open gets its answers). The descriptors are borrowed.
#define STATUS_SOCKETS_MAX 2
size_t status_server_sockets(const struct status_server *server, int out[STATUS_SOCKETS_MAX]);
void status_server_hold(struct status_server *server);
void status_server_release(struct status_server *server);
void status_server_retire(struct status_server *server);
bool status_server_is_busy(const struct status_server *server); // somebody waits for an answer

#endif
