// What the files of the control loop share among themselves; nobody else includes it.
#ifndef AGENT_CONTROL_CONTROL_INTERNAL_H
#define AGENT_CONTROL_CONTROL_INTERNAL_H

#include <ev.h>

#include "agent/control/control.h"
#include "agent/status/status.h"
#include "agent/worker/worker.h"
#include "certmgr/identity_store.h"
#include "certmgr/kept_bundles.h"
#include "certmgr/source.h"

#define CONTROL_SIGNALS 4
#define CONTROL_PATH_MAX 4200

// A source and where it delivers.
struct intake {
    struct source_sink sink;
    struct source *source;
};

// What outlives a restart.
struct kept_state {
    char *directory; // NULL: nothing does
    struct kept_bundles *bundles;
    uint64_t pin_changes;  // at the last saving
    int64_t pins_saved_ms; // monotonic
    int64_t bundles_saved_ms;
    bool said_failure;
};

struct control {
    struct ev_loop *loop;
    char *config_path;
    struct config *config;
    struct edge_set *edges; // of `config`
    struct reload_view reload;

    struct intake *intake;       // the identity source that runs
    struct source_report report; // its latest
    struct identity_store *store;
    struct tls_context *context;    // NULL while there is no identity
    struct identity *last_identity; // also when it has expired, for /identity
    int64_t identity_changed_at_ms; // wall clock; 0: never

    struct kept_state kept;
    struct worker_shared shared;
    struct worker **workers;
    unsigned num_workers;
    struct listener_set *listeners;

    struct control_trust *trust; // NULL: no trust store is configured
    ev_async trust_wake;         // its keeper has something

    struct status_server *status;
    struct status_backend backend;

    bool draining;
    _Atomic bool leaving; // exit at the last connection, or at the deadline; workers read it
    int interrupts;
    ev_async source_wake; // the source has something
    ev_async idle_wake;   // a worker saw the last connection end
    ev_timer drain_timer;
    ev_timer expiry_tick;
    ev_timer trim; // once, when the start is over: what only it needed is given back
    ev_signal signals[CONTROL_SIGNALS];
    bool said_expired;
    unsigned refused_ticks; // seconds without a valid identity since an update was refused
};

// control_identity.c
bool control_identity_start(struct control *control, struct err *err) MUST_USE;
// Starts another source when anything that it depends on differs; the identity in force stays until
// it delivers. On error the old one goes on.
bool control_identity_reload(struct control *control, const struct config *config,
                             struct err *err) MUST_USE;
// The TLS context of `identity` under the policy of `config`, whose whole text stands for it: no
// TLS session outlives a reload that changes something.
struct tls_context *control_identity_context(struct identity *identity, const struct config *config,
                                             struct err *err) MUST_USE;
void control_identity_stop(struct control *control);

// control_state.c
// The directory is fit to keep something in; made if it is not there.
bool control_state_check(const struct config *config, struct err *err) MUST_USE;
bool control_state_start(struct control *control, struct err *err) MUST_USE;
void control_state_reload(struct control *control); // control->config is the new one
// Before an update is applied, and after it was accepted.
void control_state_fill(struct control *control, struct update *update);
void control_state_record(struct control *control, const struct update *update);
void control_state_tick(struct control *control); // every second
void control_state_stop(struct control *control);

// control_trust.c
bool control_trust_start(struct control *control, struct err *err) MUST_USE;
void control_trust_reload(struct control *control);   // control->config is the new one
void control_trust_identity(struct control *control); // control->last_identity is another
void control_trust_stop(struct control *control);
bool control_trust_is_written(const struct control *control); // or there is none to write
const char *control_trust_error(const struct control *control);
void control_trust_view(const struct control *control, struct trust_view *out); // trust_view_fini

// control_reload.c
void control_reload(struct control *control);

// control_status.c
bool control_status_start(struct control *control, struct err *err) MUST_USE;

// control.c
// Hands the present state to every worker.
void control_command_workers(struct control *control);
void control_drain(struct control *control); // nothing new comes in
void control_quit(struct control *control);  // drain, then exit

#endif
