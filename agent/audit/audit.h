// The audit of connections (status.audit; docs/edge-tls.md): records of the data plane, as lines
// of JSON, to a collector over TCP or a unix socket. Any thread puts, a thread of its own sends; a
// collector that is slow or gone costs records, which are counted, and never a connection's time.
// One object for the life of the process: a reload tells it where to send from now on.
#ifndef AGENT_AUDIT_AUDIT_H
#define AGENT_AUDIT_AUDIT_H

#include <stdbool.h>

#include "agent/audit/audit_record.h"
#include "agent/config/config_status.h"
#include "agent/observe/audit_view.h"
#include "base/err.h"
#include "base/own.h"

struct audit;

// `wake` is called from the audit's thread when the connection to the collector came or went.
// Off until it is configured. NULL when memory is short.
struct audit *audit_new(void (*wake)(void *arg), void *arg) MUST_USE;
// What is queued gets two seconds to leave, if there is a connection. NULL is fine.
void audit_free(struct audit *audit);
OWN_DEFINE(struct audit, audit_free)

// Another collector, another pace, or none. What is queued goes to the new one; without one it gets
// the same two seconds. One that was given up is tried again. False: all is as before.
bool audit_configure(struct audit *audit, const struct config_audit *options,
                     struct err *err) MUST_USE;

bool audit_is_on(const struct audit *audit); // NULL: no
// Queues it, or drops and counts it.
void audit_put(struct audit *audit, const struct audit_record *record);
void audit_look(struct audit *audit, struct audit_view *out);

#endif
