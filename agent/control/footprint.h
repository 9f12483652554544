// The process's resident memory.
#ifndef AGENT_CONTROL_FOOTPRINT_H
#define AGENT_CONTROL_FOOTPRINT_H

// Gives back what only the start needed: unused heap, and the mappings of code and constants, of
// which the start (static constructors, gRPC's set-up, the first parsing) touches most and the
// steady state little. What is needed again comes back from the page cache, 64 KiB a fault.
void footprint_trim(void);

// Gives back unused heap where there is much of it and little is in use: a burst of connections,
// or of clients that read slowly, has left it, and malloc alone would keep it for good.
void footprint_settle(void);

#endif
