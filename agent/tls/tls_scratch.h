// The worker's output scratch: where sealed records go during a turn, shared by all its streams.
#ifndef AGENT_TLS_TLS_SCRATCH_H
#define AGENT_TLS_TLS_SCRATCH_H

#include <stddef.h>
#include <stdint.h>

#define TLS_SCRATCH_SIZE (272 * 1024)
struct tls_scratch {
    size_t len; // bytes in `bytes`; zero between turns
    uint8_t bytes[TLS_SCRATCH_SIZE];
};

// What a stream may hold on the heap before tls_stream_write says TLS_AGAIN.
#define TLS_BACKLOG_MAX (256 * 1024)

#endif
