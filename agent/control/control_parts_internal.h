// What each file of the control loop does for the others; nobody else includes it.
#ifndef AGENT_CONTROL_CONTROL_PARTS_INTERNAL_H
#define AGENT_CONTROL_CONTROL_PARTS_INTERNAL_H

#include "agent/control/control_internal.h"

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

// control_app.c
// Before the sandbox, the first thread and the first key: the watcher is a copy of this process.
bool control_app_start(struct control *control, struct err *err) MUST_USE;
void control_app_arm(struct control *control);          // there is a loop
int control_app_watcher(const struct control *control); // -1: none; it is lent to the predecessor
void control_app_tell(const struct control *control, int watcher); // what was seen here
bool control_app_admits(const struct control *control, const struct config *config,
                        struct err *err) MUST_USE;
void control_app_stop(struct control *control);

// control_sandbox.c
// After what only the start may do, before the first thread.
bool control_sandbox_start(struct control *control, struct err *err) MUST_USE;
// `config` may be NULL: whether the configuration's file can still be read.
bool control_sandbox_admits(const struct control *control, const struct config *config,
                            struct err *err) MUST_USE;

// control_reload.c
// While a successor starts it waits until that one is gone; a successor that takes over has read
// the configuration by itself.
void control_reload(struct control *control);

// control_sockets.c
bool control_sockets_collect(struct control *control, bool take_over, struct err *err) MUST_USE;
// An address that no other agent can listen on at the same time, by which this one is known; NULL
// when the configuration has no listener at all.
const struct netaddr *control_sockets_first(const struct config *config);
// After every listener has what it needs: what is left over is a mistake.
bool control_sockets_settle(struct control *control, struct err *err) MUST_USE;
// Logs which listeners the configuration asks for and the network does not allow.
void control_sockets_say(const struct control *control);

// control_handover.c
// `launcher` is taken.
bool control_handover_start(struct control *control, struct launcher launcher,
                            struct err *err) MUST_USE;
// Lets a successor come, by the present configuration, at `listener` (-1: a socket is made).
void control_handover_offer(struct control *control, int listener);
void control_handover_request(struct control *control); // SIGUSR2
// A successor is starting: it has our sockets, by the configuration of now.
bool control_handover_is_under_way(const struct control *control);
void control_handover_stop(struct control *control);

// control_successor.c
// Connects to the process that runs and gets its sockets into control->handed.
bool control_successor_fetch(struct control *control, struct err *err) MUST_USE;
void control_successor_wait(struct control *control); // when all is started: until it is ready
// The service manager takes this process for the main one, or there was no predecessor to say so.
bool control_successor_is_known(const struct control *control);
void control_successor_renounce(struct control *control); // it ends, and takes over no more
void control_successor_stop(struct control *control);

// control_notify.c
void control_notify_start(struct control *control);
void control_notify_tick(struct control *control); // every second, and when something has changed

// control_expiry.c
void control_expiry_tick(struct control *control, int64_t now_s); // every second
void control_expiry_stop(struct control *control);

// control_audit.c
bool control_audit_start(struct control *control, struct err *err) MUST_USE;
void control_audit_reload(struct control *control); // control->config is the new one
void control_audit_tick(struct control *control);   // every second
void control_audit_stop(struct control *control);   // no worker runs any more

// control_status.c
bool control_status_start(struct control *control, struct err *err) MUST_USE;
size_t control_readiness(struct control *control, struct readiness out[READINESS_MAX]);
bool control_is_alive(const struct control *control, char *why, size_t why_len);

// control.c
void control_command_workers(struct control *control); // the present state, to every one

// control_leave.c
void control_leave_init(struct control *control);
void control_leave_wake(void *control);      // any thread: there is no connection at the moment
void control_drain(struct control *control); // nothing new comes in
void control_quit(struct control *control);  // drain, then exit
void control_leave_to_successor(struct control *control); // the same, and accept nothing at all

#endif
