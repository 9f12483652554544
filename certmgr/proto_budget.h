// An allocator with a budget for protobuf-c, which by itself would take up to 80 times a
// message. What it gives back is wiped, because messages hold private keys. One owner, one
// thread. The two functions have the types of ProtobufCAllocator's; `arg` is the budget.
#ifndef CERTMGR_PROTO_BUDGET_H
#define CERTMGR_PROTO_BUDGET_H

#include <stddef.h>

struct proto_budget {
    size_t left; // bytes that may still be allocated at the same time
};

// What decoding a message of `len` bytes may allocate at any time beside the decoder's result.
#define PROTO_BUDGET_FOR(len) (64 * (size_t)1024 + 8 * (size_t)(len))

void *proto_budget_alloc(void *arg, size_t size); // NULL when the budget or memory is spent
void proto_budget_free(void *arg, void *mem);

// The ProtobufCAllocator of a budget, where protobuf-c's header is known.
#define PROTO_BUDGET_ALLOCATOR(budget)                                                             \
    { .alloc = proto_budget_alloc, .free = proto_budget_free, .allocator_data = (budget) }

#endif
