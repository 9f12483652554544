// The host names of the configuration: a resolver beside the control loop keeps their addresses;
// what changes where connections go is handed to the workers, what fails is logged.
#ifndef AGENT_CONTROL_CONTROL_HOSTS_H
#define AGENT_CONTROL_CONTROL_HOSTS_H

#include <stdbool.h>

#include "agent/config/config.h"
#include "agent/names/host_table.h"
#include "base/err.h"
#include "base/own.h"

struct control;
struct control_hosts;

bool control_hosts_start(struct control *control, struct err *err) MUST_USE;
// What a reload needs; nothing changes before control_hosts_swap. NULL with the sentence.
struct control_hosts *control_hosts_prepare(const struct control *control,
                                            const struct config *config, struct err *err) MUST_USE;
// Exchanges what is in force with `*hosts`, and sets the new resolver going.
void control_hosts_swap(struct control *control, struct control_hosts **hosts);
void control_hosts_free(struct control_hosts *hosts);
struct host_table *control_hosts_table(const struct control *control); // borrowed; NULL: no names

#endif
