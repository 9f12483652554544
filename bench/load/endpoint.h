// The sockets of the load: non-blocking, TCP_NODELAY. Clients dial from many addresses of
// 127.0.0.0/8 in turn, so that closed connections do not use up the ports of one.
#ifndef BENCH_LOAD_ENDPOINT_H
#define BENCH_LOAD_ENDPOINT_H

#include <stddef.h>
#include <sys/types.h>

#include "base/netaddr.h"

#define ENDPOINT_BUFFER (256 * 1024)

int endpoint_listen(const struct netaddr *addr);
int endpoint_accept(int listener);           // -1: nobody waits
int endpoint_dial(const struct netaddr *to); // starts a connect
// The same from the `turn`-th source address, when the destination is an IPv4 loopback address.
int endpoint_dial_from(const struct netaddr *to, unsigned turn);

enum endpoint_outcome { ENDPOINT_OK, ENDPOINT_AGAIN, ENDPOINT_EOF, ENDPOINT_FAILED };

// One system call; `*len` holds the capacity and gets what was moved.
enum endpoint_outcome endpoint_recv(int fd, void *data, size_t *len);
enum endpoint_outcome endpoint_send(int fd, const void *data, size_t *len);

#endif
