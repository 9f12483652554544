// One stream of a tunnel_pair's client: opened, written to, and what came of it.
#ifndef TESTS_TUNNEL_TUNNEL_CALLER_H
#define TESTS_TUNNEL_TUNNEL_CALLER_H

#include "agent/tunnel/leg_stream.h"
#include "base/buf.h"
#include "tests/tunnel/tunnel_pair.h"

#define TUNNEL_CALLER_SAY_MAX 256

struct tunnel_caller {
    struct leg_stream leg;
    struct buf got;
    int num_bytes;
    int ended, failed; // how often peek said so
    int status;        // of the answer; 0: none yet
    // Called before the stream is read; NULL: nobody.
    void (*before_read)(void *arg);
    void *arg;
};

// A tunnel from the pool that is open.
struct tunnel *tunnel_caller_open(struct tunnel_pair *pair);
// Opens a stream to 10.0.0.2:6379; `*caller` is made new.
void tunnel_caller_call(struct tunnel_caller *caller, struct tunnel_pair *pair,
                        struct tunnel *tunnel);
// Writes a text of at most TUNNEL_CALLER_SAY_MAX bytes, which is taken as a whole.
void tunnel_caller_say(struct tunnel_caller *caller, const char *text);

#endif
