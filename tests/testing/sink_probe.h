// A consumer of a source, for tests: waits until the source has delivered what is asked for.
#ifndef TESTS_TESTING_SINK_PROBE_H
#define TESTS_TESTING_SINK_PROBE_H

#include <pthread.h>
#include <stdbool.h>

#include "base/own.h"
#include "certmgr/source.h"
#include "certmgr/update.h"

struct sink_probe {
    struct source_sink sink;
    pthread_mutex_t lock;
    pthread_cond_t woken;
    unsigned num_wakes;
};

void sink_probe_init(struct sink_probe *probe);
void sink_probe_fini(struct sink_probe *probe); // after the source has gone

// The next update; NULL when none has come for half a minute. The caller's.
struct update *sink_probe_update(struct sink_probe *probe) MUST_USE;
// Waits for a report with this state whose sentence holds `part`.
bool sink_probe_report(struct sink_probe *probe, enum source_state state,
                       const char *part) MUST_USE;

#endif
