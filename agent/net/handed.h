// Listening sockets that somebody else has opened for us: systemd (listen_fds), or the process that
// this one takes over from. A bag: a listener of the configuration takes every socket with its
// address out of it, and what is left is judged at the end of the start. One owner, one thread.
#ifndef AGENT_NET_HANDED_H
#define AGENT_NET_HANDED_H

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"
#include "base/netaddr.h"
#include "base/own.h"

struct handed;

struct handed *handed_new(void) MUST_USE;
void handed_free(struct handed *handed); // closes what nobody took
OWN_DEFINE(struct handed, handed_free)

// Takes `fd`, also on error. False with the sentence when it is no listening TCP socket; `name`
// says in it which one.
bool handed_add(struct handed *handed, int fd, const char *name, struct err *err) MUST_USE;

// A socket that listens on exactly this address, the caller's from now on; -1 when there is none
// (any more). In the order of their arrival. `handed` may be NULL.
int handed_take(struct handed *handed, const struct netaddr *addr);

size_t handed_num(const struct handed *handed); // not taken; 0 for NULL
// The i-th of those: where it listens, and the name that it came with.
const struct netaddr *handed_address(const struct handed *handed, size_t i);
const char *handed_name(const struct handed *handed, size_t i);

#endif
