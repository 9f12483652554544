// OCSP responses that responders are asked for: a keeper beside the control loop has them; what
// changes is handed to the workers and logged. And what is said when one that was stapled expires,
// wherever it came from.
#ifndef AGENT_CONTROL_CONTROL_STAPLES_H
#define AGENT_CONTROL_CONTROL_STAPLES_H

#include <stdbool.h>
#include <stdint.h>

#include "agent/edge/edge_set.h"
#include "agent/staple/staple_table.h"
#include "base/err.h"
#include "base/own.h"

struct control;
struct control_staples;

bool control_staples_start(struct control *control, struct err *err) MUST_USE;
// What a reload needs; nothing changes before control_staples_swap. NULL with the sentence.
struct control_staples *control_staples_prepare(const struct control *control,
                                                struct edge_set *edges, struct err *err) MUST_USE;
// Exchanges what is in force with `*staples`, and sets the new keeper going.
void control_staples_swap(struct control *control, struct control_staples **staples);
void control_staples_free(struct control_staples *staples);
OWN_DEFINE(struct control_staples, control_staples_free)
void control_staples_rest(struct control *control);                // nobody is asked any more
void control_staples_tick(struct control *control, int64_t now_s); // every second

struct edge_staples *control_staples_now(const struct control *control);         // borrowed
const struct staple_table *control_staples_table(const struct control *control); // borrowed

#endif
