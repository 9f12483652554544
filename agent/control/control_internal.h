// What the files of the control loop share among themselves; nobody else includes it.
#ifndef AGENT_CONTROL_CONTROL_INTERNAL_H
#define AGENT_CONTROL_CONTROL_INTERNAL_H

#include <ev.h>

#include "agent/audit/audit.h"
#include "agent/control/control.h"
#include "agent/control/control_hosts.h"
#include "agent/control/control_staples.h"
#include "agent/control/notify.h"
#include "agent/net/handed.h"
#include "agent/sandbox/sandbox.h"
#include "agent/status/status.h"
#include "agent/worker/worker.h"
#include "certmgr/identity_store.h"
#include "certmgr/kept_bundles.h"
#include "certmgr/source.h"

#define CONTROL_SIGNALS 5
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
    bool is_theirs; // another process of this agent writes there
};

// Which warnings of expiry were given.
struct control_expiry {
    int64_t day;            // since 1970, on which `said` was said
    struct edge_set *edges; // that was looked at last; kept, so that no other has its address
    struct view said;       // `certificates`
};

// What was said of the audit.
struct control_audit {
    ev_async wake; // its connection came or went
    struct audit_view said;
    bool said_failure;
    int64_t unsaid_ms; // monotonic: of a connection that was not said yet; 0: there is none
    uint64_t num_said_dropped;
    int64_t dropped_ms; // monotonic; 0: never
};

struct control {
    struct ev_loop *loop;
    char *config_path;
    struct config *config;
    struct edge_set *edges;          // of `config`
    struct control_hosts *hosts;     // never NULL once it has started
    ev_async hosts_wake;             // its resolver has a table
    struct control_staples *staples; // of `edges`; never NULL once it has started
    ev_async staples_wake;           // its keeper has a table
    int64_t staples_looked_s;        // when expired ones were last looked for
    struct reload_view reload;
    struct sandbox *sandbox;     // that the process is in
    struct intake *intake;       // the identity source that runs
    struct source_report report; // its latest
    struct identity_store *store;
    struct tls_context *context;    // NULL while there is no identity
    struct identity *last_identity; // also when it has expired, for /identity
    int64_t identity_changed_at_ms; // wall clock; 0: never

    struct kept_state kept;
    struct control_expiry expiry;
    struct control_audit audit;
    struct worker_shared shared;
    struct worker **workers;
    unsigned num_workers;
    struct listener_set *listeners;
    struct handed *handed; // during the start: sockets that nobody has taken yet
    size_t num_handed;     // how many there were

    struct control_handover *handover;    // to whoever takes over from this process
    struct control_successor *successor;  // this process takes over; NULL: it does not
    struct listener_set *accepts_nothing; // until then the workers have this one; else NULL
    bool has_successor;
    bool reload_waits; // until the successor that starts is ready, or gone
    int exit_code;
    struct notify notify; // the service manager
    bool said_ready;
    char said_status[512];

    struct control_app *app; // NULL: the application is not looked at

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
    ev_timer leave_look;        // at the end: whether all is over
    int64_t accepts_nothing_ms; // monotonic: since when the workers are told to; 0: they are not
    int64_t closed_ms;          // monotonic: since when nothing can be accepted; 0: it can
    ev_timer expiry_tick;
    ev_timer trim, settle; // what only the start needed, or a burst, is given back
    ev_signal signals[CONTROL_SIGNALS];
    bool said_expired;
    unsigned refused_ticks; // seconds without a valid identity since an update was refused
};

#endif
