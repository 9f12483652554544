// What the files of a connection share among themselves; nobody else includes it.
#ifndef AGENT_WORKER_CONN_INTERNAL_H
#define AGENT_WORKER_CONN_INTERNAL_H

#include "agent/audit/audit_record.h"
#include "agent/http/http_policy.h"
#include "agent/worker/conn.h"

// conn.c
struct conn *conn_new(struct worker *worker, enum conn_kind kind, const struct netaddr *source);
void conn_wake(void *arg);

// conn_legs.c: each takes `fd` (and `stream`), and gives the leg.
struct leg *conn_leg_tls(struct conn *conn, struct leg_tls *leg, struct tls_stream *stream, int fd);
// `dialled`: we have connected; else it was accepted.
struct leg *conn_leg_socket(struct conn *conn, struct leg_socket *leg, int fd, bool dialled);

// conn_decide.c: what a new connection becomes; the next state.
enum conn_state conn_decide(struct conn *conn);
void conn_on_resolve_timeout(struct conn *conn);
enum conn_state conn_admit_direct(struct conn *conn);
// Another address of the listener's host is left to try: CONN_NEW is the next state.
bool conn_try_next_address(struct conn *conn);

// conn_open.c: getting the far leg.
enum conn_state conn_start_tunnel(struct conn *conn);
enum conn_state conn_start_dial(struct conn *conn, const struct netaddr *to);
void conn_stop_dial(struct conn *conn);
// No sidecar is there, or behind it: remembered, and passed in plain text where that is allowed.
enum conn_state conn_not_in_mesh(struct conn *conn, enum close_reason reason, const char *why);
enum conn_state conn_step_tunnel(struct conn *conn);
enum conn_state conn_step_dial(struct conn *conn);
enum conn_state conn_step_handshake(struct conn *conn);
void conn_on_dial_timeout(struct conn *conn);

// conn_locate.c: which pod is behind a Service's address. The dial of conn_start_locate is open:
// conn_ask.
enum conn_state conn_start_locate(struct conn *conn);
enum conn_state conn_ask(struct conn *conn);
enum conn_state conn_step_locate(struct conn *conn);
enum conn_state conn_locate_failed(struct conn *conn, const char *why);
void conn_on_locate_timeout(struct conn *conn);
// A direct connection may bring that question; without one, conn_admit_direct goes on.
enum conn_state conn_start_asked(struct conn *conn);
enum conn_state conn_step_asked(struct conn *conn);
void conn_on_asked_timeout(struct conn *conn);

// The far side is open: the near one hears of it. The next state.
enum conn_state conn_far_is_open(struct conn *conn);

// conn_proxy.c: PROXY v2 from a load balancer, and to the application.
enum conn_state conn_start_proxy(struct conn *conn);
enum conn_state conn_step_proxy(struct conn *conn);
// False: what the port's configuration demands to be told cannot be told.
bool conn_greet_application(struct conn *conn, int fd) MUST_USE;

// conn_edge.c: TLS that ends at the port.
const struct edge_port *conn_edge_port(const struct conn *conn); // NULL: none does
enum conn_state conn_start_sniff(struct conn *conn);
enum conn_state conn_step_sniff(struct conn *conn);
void conn_on_sniff_timeout(struct conn *conn);
enum conn_state conn_step_near_handshake(struct conn *conn);
enum conn_state conn_step_linger(struct conn *conn);
// A stream of TLS to the application; NULL when memory is short.
struct tls_stream *conn_app_tls(const struct conn *conn, struct span alpn);
enum conn_state conn_start_app_tls(struct conn *conn, int fd);
enum conn_state conn_step_app_handshake(struct conn *conn);

// conn_audit.c: each does nothing where the connection is not audited.
void conn_audit_admit(struct conn *conn); // decides that
void conn_audit_open(struct conn *conn);  // once; its addresses are known
void conn_audit_auth(struct conn *conn, bool is_accepted);
void conn_audit_request(struct conn *conn, const struct audit_record *refusal);
void conn_audit_close(struct conn *conn);
// A tunnel that was refused before it had a connection.
void conn_audit_tunnel(struct worker *worker, const struct tunnel *tunnel,
                       const struct tunnel_failure *failure);

// conn_unproven.c: how many may be nobody yet. After a change of state; and at the end.
void conn_unproven_note(struct conn *conn);
void conn_unproven_forget(struct conn *conn);

// conn_http.c: requests on ports that speak HTTP.
enum conn_state conn_start_http(struct conn *conn, const struct netaddr *to);
enum conn_state conn_step_http(struct conn *conn);
void conn_http_free(struct conn *conn);
// Writes a copy of `bytes`.
enum leg_status conn_http_write(struct conn *conn, struct leg *leg, struct span bytes,
                                size_t *taken);

// conn_http_timer.c
void conn_http_arm(struct conn *conn);
void conn_http_tick(struct conn *conn); // once a second
void conn_http_on_timer(struct conn *conn);

// conn_relay.c
enum conn_state conn_step_relay(struct conn *conn);
enum conn_state conn_step_flush(struct conn *conn);
void conn_on_relay_timer(struct conn *conn);

// conn_report.c: one line, and a row of /refusals where it was an error.
void conn_report_end(struct conn *conn);
void conn_report_tick(struct worker *worker); // once a second: says what was not logged
// A request that was answered by us.
void conn_report_request(struct conn *conn, enum http_reason reason, int status, const char *why);

// conn_facts.c: what there is of it; NULL where there is none. Borrowed from the connection.
const struct tunnel *conn_tunnel(const struct conn *conn);
const struct peer *conn_peer(const struct conn *conn); // verified, with a SPIFFE ID or by name
const struct edge_client *conn_edge_client(const struct conn *conn); // of TLS that ended here
// Whether TLS of ours protects it; and "none", "tls" (the server alone was verified), "mutual_tls".
bool conn_has_security(const struct conn *conn);
const char *conn_security(const struct conn *conn);

#endif
