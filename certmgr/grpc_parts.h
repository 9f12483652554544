// What a gRPC stream and a gRPC call have in common: arguments of a channel, the end of a
// completion queue, the text of a status. For certmgr/grpc_stream.c and certmgr/grpc_unary.c only.
#ifndef CERTMGR_GRPC_PARTS_H
#define CERTMGR_GRPC_PARTS_H

#include <stddef.h>

#include <grpc/grpc.h>

// An argument of a channel. gRPC copies `key` and `value` when the channel is made.
grpc_arg grpc_parts_int(const char *key, int value);
grpc_arg grpc_parts_text(const char *key, const char *value);

// Shuts the queue down, waits until it is empty, destroys it. No tag of it is outstanding.
void grpc_parts_queue_destroy(grpc_completion_queue *queue);

// The peer's sentence as printable ASCII ('?' for the rest) in `out` of `cap` bytes, terminated; as
// much of it as fits.
void grpc_parts_details(grpc_slice details, char *out, size_t cap);

#endif
