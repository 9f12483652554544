// `pavise authority`: the embedded identity server for development and single hosts. It serves the
// SPIFFE Workload API on a Unix socket with a CA of its own. This file wires the modules to one
// event loop and is the only one of the authority that logs.
#ifndef AUTHORITY_AUTHORITY_H
#define AUTHORITY_AUTHORITY_H

// Runs until SIGTERM or SIGINT. argv[0] is "authority". Returns the process's exit code
// (base/err.h); on an error one line has been written to standard error.
int authority_run(int argc, char **argv);

#endif
