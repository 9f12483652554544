// What the configuration's trustStore section comes to: options for certmgr/trust, and the contents
// that do not lie in a watched file. What is fetched is kept beside the store, so that a server
// that is down takes nothing away, not even after a restart. One owner, one thread; blocking.
#ifndef AGENT_TRUST_TRUST_PLAN_H
#define AGENT_TRUST_TRUST_PLAN_H

#include <stdbool.h>
#include <stdint.h>

#include "agent/config/config.h"
#include "base/err.h"
#include "base/own.h"
#include "certmgr/trust/trust_options.h"

#define TRUST_PLAN_FETCH_MS 15000 // for all that is due
#define TRUST_PLAN_PATH_MAX 4400

struct trust_plan;

// `config` is referenced; it has a trustStore section.
struct trust_plan *trust_plan_new(struct config *config) MUST_USE;
void trust_plan_free(struct trust_plan *plan);
OWN_DEFINE(struct trust_plan, trust_plan_free)

// Further roots (of SPIFFE bundles); `roots` and what it points to are borrowed until the next
// call.
void trust_plan_set_domain_roots(struct trust_plan *plan, const struct trust_domain_root *roots,
                                 size_t num);

// What happened to a certificate that is fetched or read once.
typedef void trust_plan_event_fn(void *arg, const char *name, const char *sentence, bool is_good);
struct trust_plan_listener {
    trust_plan_event_fn *event; // may be NULL
    void *arg;
};

// Reads and fetches what is due at `now_ms` (clock_mono_ms). `cancel_fd` (or -1) ends it early.
void trust_plan_refresh(struct trust_plan *plan, int64_t now_ms, int cancel_fd,
                        const struct trust_plan_listener *listener);
// The same without asking any server: what was fetched before counts, and what was not is said to
// be missing. For commands that only show.
void trust_plan_peek(struct trust_plan *plan);
// When something is due next; INT64_MAX: never.
int64_t trust_plan_next_ms(const struct trust_plan *plan);

// Borrowed; valid until the next call of any other function.
const struct trust_options *trust_plan_options(const struct trust_plan *plan);

#endif
