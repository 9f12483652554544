// The webhook's server: HTTPS, one request a connection, a thread for each connection, bounded in
// number, size and time. POST /mutate answers reviews; GET /readyz says that it can.
#ifndef AGENT_INJECTOR_INJECTOR_SERVER_H
#define AGENT_INJECTOR_INJECTOR_SERVER_H

#include <stdbool.h>

#include "agent/injector/injector_config.h"
#include "agent/injector/review.h"
#include "base/err.h"
#include "base/own.h"

// Told about each review, from any thread.
typedef void injector_told_fn(const struct review_report *report);

// Serves until `stop` (a descriptor) becomes readable, then lets the open requests end. False with
// the sentence when it cannot listen.
bool injector_server_run(const struct injector_config *config, int stop, injector_told_fn *told,
                         struct err *err) MUST_USE;

#endif
