// What gRPC core hands back when an operation is done: where to go on. A tag is part of the object
// that waits for it and is out at most once at a time, so the queue between gRPC's thread and the
// loop needs no memory of its own.
#ifndef AUTHORITY_RPC_TAG_H
#define AUTHORITY_RPC_TAG_H

#include <stdbool.h>

struct rpc_tag {
    struct rpc_tag *next;              // in the queue
    void (*done)(struct rpc_tag *tag); // on the loop's thread
    bool ok;                           // gRPC's verdict
};

#endif
