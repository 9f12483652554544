// What is known of the OCSP responses of a configuration's certificates: for each that a responder
// is asked about the last response that counts, what went wrong since, and when it is asked again.
// Immutable once handed on, shared by reference count; a keeper makes the next one. Times are Unix
// seconds of the wall clock, which responses are written in.
#ifndef AGENT_STAPLE_STAPLE_TABLE_H
#define AGENT_STAPLE_STAPLE_TABLE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "agent/edge/edge_set.h"
#include "agent/observe/view.h"
#include "agent/tls/edge_staples.h"
#include "base/err.h"
#include "base/own.h"
#include "certmgr/ocsp_response.h"

// Clocks differ: a response that begins so little ahead is taken.
#define STAPLE_SKEW_S 300

struct staple_entry {
    CRYPTO_BUFFER *response; // owned; NULL: there was none yet
    enum ocsp_status status;
    int64_t this_update, next_update; // INT64_MAX: it does not say
    int64_t until;                    // not sent from then on
    int64_t asked_s;                  // 0: never
    int64_t due_s;                    // 0: now
    uint32_t num_fails;               // in a row
    char last_error[256];             // "" after a success
};

struct staple_table {
    atomic_uint num_refs;
    struct edge_set *edges;       // whose certificates they are
    struct staple_entry *entries; // one for each of edges->asked
    size_t num;
    uint64_t num_answers[OCSP_UNKNOWN + 1]; // by enum ocsp_status, since the start
    uint64_t num_failed;
};

// What `before` (may be NULL) knows of the same certificates is kept; those that failed are due
// now, the others after their new `queryInterval` at the latest. NULL when memory is short.
struct staple_table *staple_table_new(struct edge_set *edges,
                                      const struct staple_table *before) MUST_USE;
struct staple_table *
staple_table_copy(const struct staple_table *table) MUST_USE; // NULL: no memory
struct staple_table *staple_table_ref(struct staple_table *table);
void staple_table_unref(struct staple_table *table);
OWN_DEFINE(struct staple_table, staple_table_unref)

// A clock that went back makes everything due.
bool staple_table_is_due(const struct staple_entry *entry, int64_t now);

// How a question ended.
struct staple_answer {
    CRYPTO_BUFFER *response;    // signed and about the certificate; NULL: the question failed
    struct ocsp_response facts; // of the response
    char why[256];              // else
};

// Takes what a question about entry `index` came to into a table that nobody else has yet. A
// response that is not current, or older than the one that is known, is a failure; a failure
// changes no response. `random` spreads when it is asked again.
void staple_table_learn(struct staple_table *table, size_t index,
                        const struct staple_answer *answer, int64_t now, uint32_t random);

// Whether the response of an entry is for clients, until its end: one that says revoked or unknown
// only where `stapleRevoked` is set.
bool staple_table_is_sent(const struct staple_table *table, size_t index);
// All that are. NULL when memory is short.
struct edge_staples *staple_table_publish(const struct staple_table *table) MUST_USE;

// Completes the rows that edge_inventory_render has added.
void staple_table_render(const struct staple_table *table, struct view *out);

#endif
