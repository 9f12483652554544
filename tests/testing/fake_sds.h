// A server of Envoy's secret discovery service on gRPC core, in its own thread: it says what the
// test pushes, when the test does, and remembers what it was asked. Responses are raw bytes.
#ifndef TESTS_TESTING_FAKE_SDS_H
#define TESTS_TESTING_FAKE_SDS_H

#include <stdbool.h>
#include <stddef.h>

#include "base/own.h"
#include "base/span.h"

struct fake_sds_request { // a DiscoveryRequest, as C strings
    unsigned stream;      // 1 is the first stream
    char node_id[128];
    char version[64];
    char nonce[64];
    char type_url[128];
    char names[2][128];
    size_t num_names;
    bool is_refusal;
    char refusal[512];
};

struct fake_sds;

// Listens on `address`, a gRPC name ("unix:/path", "127.0.0.1:0"). NULL when it cannot.
struct fake_sds *fake_sds_new(const char *address) MUST_USE;
// Ends every stream (UNAVAILABLE) and the server.
void fake_sds_free(struct fake_sds *fake);
OWN_DEFINE(struct fake_sds, fake_sds_free)

// Sends a response (copied) on the newest stream, or on the next one once it has asked.
void fake_sds_push(struct fake_sds *fake, struct span response);
// Ends the newest stream with a status once all that was pushed has been sent.
void fake_sds_end(struct fake_sds *fake, int status, const char *details);
// Streams that come from now on end so at once; a negative status: they are served again.
void fake_sds_refuse(struct fake_sds *fake, int status, const char *details);

// The index-th request of all. Waits for it; false when none has come for half a minute.
bool fake_sds_request(struct fake_sds *fake, size_t index, struct fake_sds_request *out) MUST_USE;
size_t fake_sds_num_requests(struct fake_sds *fake);
unsigned fake_sds_num_streams(struct fake_sds *fake);

#endif
