// How what a configuration names is loaded: what was there before, and where mistakes go.
#ifndef AGENT_EDGE_EDGE_LOAD_H
#define AGENT_EDGE_EDGE_LOAD_H

#include <stdbool.h>

#include "base/buf.h"
#include "base/err.h"

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

#define EDGE_PLACE_PORT_MAX 16

// What is being loaded, as messages call it: "port 443, certificate web", "destination db". Strings
// are borrowed.
struct edge_place {
    const struct edge_load *load;
    unsigned line;
    char port[EDGE_PLACE_PORT_MAX]; // "port 443"; "": it is of no port
    const char *kind;               // "certificate"; NULL: the port itself
    const char *name;               // the kind's
    bool is_refused;                // there was a mistake
};

// Each says something of the place's `key` ("": of the whole).
void edge_load_refuse(struct edge_place *place, const char *key, const struct err *err);
void edge_load_warn(const struct edge_place *place, const char *key, const char *sentence);
// That a certificate has expired: a mistake or a warning, as the load has it.
void edge_load_expired(struct edge_place *place, const char *key, const struct err *err);

#endif
