// A connection to the application for one probe: plain, or TLS of which nothing is verified, as the
// kubelet does it. Non-blocking; the descriptor is the caller's. The health port's only door to
// TLS.
#ifndef AGENT_STATUS_PROBE_STREAM_H
#define AGENT_STATUS_PROBE_STREAM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/own.h"
#include "base/span.h"

enum probe_io {
    PROBE_IO_OK,
    PROBE_IO_AGAIN, // wait: probe_stream_wants_write says for what
    PROBE_IO_END,
    PROBE_IO_FAILED,
};

struct probe_stream;

// NULL when memory is short.
struct probe_stream *probe_stream_new(int fd, bool with_tls) MUST_USE;
void probe_stream_free(struct probe_stream *stream); // accepts NULL
enum probe_io probe_stream_read(struct probe_stream *stream, uint8_t *into, size_t cap,
                                size_t *len);
enum probe_io probe_stream_write(struct probe_stream *stream, struct span bytes, size_t *len);
// After PROBE_IO_AGAIN: until the descriptor is writable (else readable) there is nothing to do.
bool probe_stream_wants_write(const struct probe_stream *stream);

#endif
