// How what a configuration names is loaded: what was there before, and where mistakes go.
#ifndef AGENT_EDGE_EDGE_LOAD_H
#define AGENT_EDGE_EDGE_LOAD_H

#include "base/buf.h"

// How strict a load is with certificates that have expired.
enum edge_expiry {
    EDGE_EXPIRY_REFUSES, // new ones are mistakes; those that `before` holds are not
    EDGE_EXPIRY_WARNS,   // at the start, when nothing is known of before
};
struct edge_set;
struct edge_load {
    const char *name;              // of the configuration file, for messages
    const struct edge_set *before; // may be NULL
    enum edge_expiry expiry;
    struct buf *errors;   // appended to, "name:line:col: sentence" each
    struct buf *warnings; // may be NULL
};

#endif
