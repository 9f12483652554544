// One application connection, outbound or inbound, from accept to the last byte. `near` is the side
// that connected, `far` the side it is connected to. Lives on one worker; its owner is the worker's
// list; freed at the end of the turn in which it died.
#ifndef AGENT_WORKER_CONN_H
#define AGENT_WORKER_CONN_H

#include <ev.h>

#include "agent/edge/edge_set.h"
#include "agent/policy/policy.h"
#include "agent/relay/leg_socket.h"
#include "agent/relay/leg_tls.h"
#include "agent/relay/relay.h"
#include "agent/tls/edge_session.h"
#include "agent/tunnel/leg_stream.h"
#include "agent/worker/listener_set.h"
#include "agent/worker/snapshot.h"

enum conn_state {
#define CONN_STATE(id, name, deadline_ms, reason) id,
#include "agent/worker/conn_state.def"
#undef CONN_STATE
};
const char *conn_state_name(enum conn_state state);

enum conn_kind {
    CONN_OUTBOUND,       // from the local application
    CONN_INBOUND_DIRECT, // to it, not through a tunnel
    CONN_INBOUND_STREAM, // to it, a stream of a tunnel
};

struct worker;
struct conn_http;

struct conn {
    struct list_node node; // worker->conns or worker->dead_conns
    struct worker *worker;
    struct snapshot *snapshot; // that admitted it
    uint64_t id;
    enum conn_kind kind;
    enum conn_state state;
    enum conn_state timed_state; // whose deadline the timer runs for
    enum close_reason reason;
    bool redirected;
    bool stepping, again; // inside conn_step: a wake only asks for another round
    bool near_failed;     // CONN_FLUSH: which leg broke
    bool probes;          // TCP keepalive is on for the far leg; the near one has its listener's
    int fds;              // taken from the budget
    int tries;            // of tunnels
    unsigned tried;       // addresses of the host that `listener` leads to
    struct netaddr source, destination, via;
    struct netaddr service; // that was dialled, where `destination` is a pod behind it; or none
    struct outbound_decision decision;        // CONN_OUTBOUND
    const struct outbound_listener *listener; // of the snapshot's; NULL: it was redirected
    struct relay relay;
    struct leg *near;
    struct leg *far; // NULL before there is one
    union {
        struct leg_socket socket;
        struct leg_tls tls; // a direct connection whose TLS ends here: there is a session
        struct leg_stream stream;
    } near_leg;
    union {
        struct leg_socket socket;
        struct leg_tls tls;
        struct leg_stream stream;
    } far_leg;
    struct list_node unproven_node; // worker.unproven, while the client may be anybody
    struct edge_session *session;   // of near_leg.tls, whose it is; NULL: no TLS ends here
    struct conn_http *http;         // CONN_HTTP; owned
    struct proxy_reader *proxy;     // CONN_PROXY; owned
    const char *edge_rule;          // the key of inbound.ports[] that refused; static text, or NULL
    size_t linger_left;             // CONN_LINGER: bytes that may still be dropped
    bool is_audited, audit_opened;  // status.audit was on when it came; has heard of it
    bool has_lingered;              // the near side was told why: no RST
    struct pod_answer *pod_answer;  // CONN_LOCATE and the dial before it; owned
    int dialling_fd;                // -1 unless CONN_DIAL or CONN_LOCATE
    uint16_t dial_port;             // local port of our dial, where loops are possible; else 0
    ev_io dial_io;
    struct tunnel_waiter waiter;
    ev_timer timer;
    uint64_t bytes_at_timer; // half-close: moved when the timer was set
    int64_t flush_until_ms;  // monotonic
    int64_t opened_at_ms;    // wall clock
    int64_t opened_mono_ms;  // monotonic: durations survive a clock that is set
    int64_t verified_at_s;   // wall clock; `tls: mutual`
    int64_t shown_until_s;   // wall clock; see conn_shows_identity; 0: it was not
    char *detail;            // a sentence on what went wrong; NULL
};

// A connection that a listener accepted; takes `fd`. Refuses it by itself when that is decided.
void conn_accept(struct worker *worker, const struct listener *listener, int fd,
                 const struct netaddr *peer);
// A stream that a tunnel's peer asked for (tunnel_env.request).
void conn_request(struct worker *worker, struct tunnel *tunnel, struct h2_stream *stream,
                  const struct h2_request *request);

// The driver: does what can be done, then arms for what is awaited. Called after every event.
void conn_step(struct conn *conn);
// Once a second: what only a connection that lasts needs.
void conn_tick(struct conn *conn);
// Ends it: logs, counts, lets go of both legs (with RST when `reason` is not CLOSE_DONE).
void conn_end(struct conn *conn, enum close_reason reason);
// With a sentence (printf) for the log and /refusals.
void conn_end_why(struct conn *conn, enum close_reason reason, const char *format, ...)
    PRINTF_LIKE(3, 4);
// The policy has changed: ends the connection when it is no longer allowed.
void conn_reconsider(struct conn *conn, const struct snapshot *snapshot);
// The TLS stream of an open connection to a server that the SPIFFE bundle judged; else NULL.
const struct tls_stream *conn_mutual_stream(const struct conn *conn);
// It is open to a server that was shown the workload certificate and that the rule's lists judged.
bool conn_shows_identity(const struct conn *conn);
void conn_free(struct conn *conn); // a dead one
void conn_render(const struct conn *conn, struct connection_view *out);

enum direction conn_direction(const struct conn *conn);
uint64_t conn_bytes_sent(const struct conn *conn); // by the local application
uint64_t conn_bytes_received(const struct conn *conn);

#endif
