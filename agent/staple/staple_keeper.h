// Keeps a staple table true, on a thread of its own: each certificate's responder is asked when
// that is due, one after the other, each within its `responseTimeout`.
#ifndef AGENT_STAPLE_STAPLE_KEEPER_H
#define AGENT_STAPLE_STAPLE_KEEPER_H

#include "agent/staple/staple_table.h"
#include "base/err.h"
#include "base/mailbox.h"
#include "base/own.h"

// Where tables go, the latest one only. `wake` is called from the keeper's thread.
struct staple_keeper_sink {
    struct mailbox tables; // struct staple_table, a reference
    void (*wake)(void *arg);
    void *arg;
};

struct staple_keeper;

// Begins with what `table` knows (a reference is taken). `sink` outlives the keeper. NULL with the
// sentence on error.
struct staple_keeper *staple_keeper_start(struct staple_table *table,
                                          struct staple_keeper_sink *sink,
                                          struct err *err) MUST_USE;
// Joins the thread; a question that is under way is called off.
void staple_keeper_free(struct staple_keeper *keeper);
OWN_DEFINE(struct staple_keeper, staple_keeper_free)

#endif
