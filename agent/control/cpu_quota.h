// How many workers `workers: auto` means: the CPUs that this process may use, by affinity and by
// the cgroup's quota (v2 and v1), at least 1 and at most 64.
#ifndef AGENT_CONTROL_CPU_QUOTA_H
#define AGENT_CONTROL_CPU_QUOTA_H

#include "base/span.h"

unsigned cpu_quota_workers(void);

// The pure part: "max 100000" or "150000 100000" (cgroup v2 cpu.max) to whole CPUs, rounded up;
// 0 when there is no limit or the text is something else.
unsigned cpu_quota_parse(struct span text);

#endif
