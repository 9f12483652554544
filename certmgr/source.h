// A source of certificates: one interface for all kinds. A source works on its own thread, hands
// complete values through one-slot mailboxes and wakes the consumer. It never validates and never
// logs.
#ifndef CERTMGR_SOURCE_H
#define CERTMGR_SOURCE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/mailbox.h"
#include "certmgr/update.h"

enum source_state {
    SOURCE_CONNECTING, // not reached yet, or reconnecting; last_error says why
    SOURCE_CONNECTED,  // the stream is open
    SOURCE_DENIED,     // reached, but we have no identity there (PERMISSION_DENIED); retrying
    SOURCE_FAILED,     // a mistake that a retry cannot mend; not retrying
};
const char *source_state_name(enum source_state state); // "connecting", ...

// The latest report of a source about itself; heap value, free() it.
struct source_report {
    enum source_state state;
    char last_error[512]; // "" when there is none; a sentence with what to do
    uint64_t num_attempts;
    int64_t next_renewal_ms; // wall clock: when it will ask for the next one; 0: it does not decide
};

// Where a source delivers. The mailboxes and `wake` outlive the source.
struct source_sink {
    struct mailbox updates;  // struct update *
    struct mailbox reports;  // struct source_report *
    void (*wake)(void *arg); // any thread; wakes the control loop
    void *arg;
};

struct source;
struct source_ops {
    const char *kind; // "workloadApi"
    // Asks for a fresh certificate now (POST /rotate): reconnects where the source pushes.
    void (*refresh)(struct source *source);
    // Stops the thread and frees; nothing is delivered afterwards.
    void (*free)(struct source *source);
};

struct source {
    const struct source_ops *ops;
};

static inline void source_refresh(struct source *source) {
    source->ops->refresh(source);
}

static inline void source_free(struct source *source) {
    if (source != NULL) {
        source->ops->free(source);
    }
}
OWN_DEFINE(struct source, source_free)

#endif
