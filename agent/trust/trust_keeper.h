// Keeps the trust store in step with what it is made of, on a thread of its own: files are watched
// (by inotify, and by looking again now and then, since not every file system tells), URLs are
// fetched when they are due, certificates come and go as they become valid and expire. What
// happened goes to the owner as reports.
#ifndef AGENT_TRUST_TRUST_KEEPER_H
#define AGENT_TRUST_TRUST_KEEPER_H

#include <stdbool.h>
#include <stdint.h>

#include "agent/config/config.h"
#include "agent/observe/trust_view.h"
#include "base/buf.h"
#include "base/err.h"
#include "base/mailbox.h"
#include "base/own.h"

// The state after a pass. Whoever holds it owns it.
struct trust_keeper_report {
    struct trust_view view; // without processes
    bool changed;           // a new generation was written since the last report
    struct buf events;      // lines about single certificates, '+' good or '-' bad before each
};
void trust_keeper_report_free(struct trust_keeper_report *report);
OWN_DEFINE(struct trust_keeper_report, trust_keeper_report_free)

// Where reports go, the latest one only; what an earlier one said is in it. `wake` is called from
// the keeper's thread.
struct trust_keeper_sink {
    struct mailbox reports; // struct trust_keeper_report
    void (*wake)(void *arg);
    void *arg;
};

// Roots of SPIFFE bundles, to be trusted too: PEM is made of none, DER one after the other.
struct trust_keeper_roots {
    char *trust_domain;
    struct buf der;
};
struct trust_keeper_bundles {
    struct trust_keeper_roots *items;
    size_t num;
};
void trust_keeper_bundles_free(struct trust_keeper_bundles *bundles);
OWN_DEFINE(struct trust_keeper_bundles, trust_keeper_bundles_free)

struct trust_keeper;

// `config` is referenced; it has a trustStore section. The sink is borrowed.
struct trust_keeper *trust_keeper_start(struct config *config, struct trust_keeper_sink *sink,
                                        struct err *err) MUST_USE;
// Waits for the thread; a store that is being written is finished first.
void trust_keeper_free(struct trust_keeper *keeper);
OWN_DEFINE(struct trust_keeper, trust_keeper_free)

// Takes the bundles (not NULL), all that there are now.
void trust_keeper_set_bundles(struct trust_keeper *keeper, struct trust_keeper_bundles *bundles);

#endif
