// A scripted server of the SPIFFE Workload API on gRPC core, in its own thread: well-behaved,
// clumsy or malicious, as the script says. What it sends are raw bytes.
#ifndef TESTS_TESTING_FAKE_WORKLOAD_API_H
#define TESTS_TESTING_FAKE_WORKLOAD_API_H

#include <stdbool.h>
#include <stddef.h>

#include "base/own.h"
#include "base/span.h"

// What the server does with one call: sends the messages, then keeps the stream open until the
// other side or the server goes (`hold`), or ends it.
struct fake_call {
    const struct span *messages;
    size_t num_messages;
    bool hold;
    int status; // enum grpc_code
    const char *details;
};

struct fake_seen {
    unsigned num_calls;
    unsigned num_marked;    // with exactly one workload.spiffe.io, and that is "true"
    unsigned num_fetches;   // of /SpiffeWorkloadAPI/FetchX509SVID
    unsigned num_localhost; // with the authority "localhost"
};

struct fake_workload_api;

// Listens on `address`, a gRPC name ("unix:/path", "127.0.0.1:0"). Each call takes the next
// entry of the script, and the last one over and over. The script is borrowed. NULL when it cannot
// listen.
struct fake_workload_api *fake_workload_api_new(const char *address, const struct fake_call *script,
                                                size_t num) MUST_USE;
// Ends every stream (UNAVAILABLE) and the server.
void fake_workload_api_free(struct fake_workload_api *fake);
OWN_DEFINE(struct fake_workload_api, fake_workload_api_free)

// The calls that come from now on follow another script.
void fake_workload_api_script(struct fake_workload_api *fake, const struct fake_call *script,
                              size_t num);
int fake_workload_api_port(const struct fake_workload_api *fake); // of a TCP address
struct fake_seen fake_workload_api_seen(struct fake_workload_api *fake);

#endif
