// The loads. Each runs the application and its clients in one thread, prints one JSON object on
// standard output, and returns the exit code. Durations in the output are in nanoseconds.
#ifndef BENCH_LOAD_LOADS_H
#define BENCH_LOAD_LOADS_H

#include "bench/load/histogram.h"
#include "bench/load/options.h"

// --streams connections carry bytes one way, as many as fit. The first tenth of the time is not in
// "bytes", all of it is in "total_bytes". At the end everything sent must have arrived.
int bulk_run(const struct options *options);

// One connection, closed loop: a message of --size bytes, its echo, the next.
int ping_run(const struct options *options);

// Open loop: a message every 1 / --rate seconds, in turn over --streams connections, whether or not
// earlier ones have come back. Latency counts from the moment a message was due.
int rate_run(const struct options *options);

// Connect, one byte out, one byte back, close; --streams of them at the same time.
int churn_run(const struct options *options);

// Opens connections that have exchanged one byte each way, as many as the lines on standard input
// say; answers each with a line, and ends with the input.
int idle_run(const struct options *options);

// The application alone, until it is killed.
int echo_run(const struct options *options);

// {"count":...,"mean":...,"p50":...,"p99":...,"p999":...}
void loads_print_latency(const char *name, const struct histogram *histogram);

#endif
