// Asks the application what the kubelet would have asked: one GET, one connect, or one gRPC health
// check, with a deadline. On the loop's thread.
#ifndef AGENT_STATUS_APP_PROBE_H
#define AGENT_STATUS_APP_PROBE_H

#include "agent/config/config.h"
#include "base/netaddr.h"
#include "base/own.h"
#include "base/span.h"

#define APP_PROBE_BODY_MAX (10 * 1024) // of the application's answer

struct ev_loop;
struct app_probe;

// What the application said: its own status for http, 200 or 503 for the others, 503 with a
// sentence when it did not answer. Called once, never from within app_probe_start; the probe is
// gone then.
typedef void app_probe_done_fn(void *arg, unsigned status, struct span body);

// Starts asking at `to`. NULL when memory is short. `probe` is not needed afterwards.
struct app_probe *app_probe_start(struct ev_loop *loop, const struct status_probe *probe,
                                  const struct netaddr *to, app_probe_done_fn *done,
                                  void *arg) MUST_USE;
// Ends it without an answer.
void app_probe_free(struct app_probe *probe);

#endif
