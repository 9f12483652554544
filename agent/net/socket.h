// TCP sockets: everything non-blocking and close-on-exec, outcomes as enums on the data path.
// Whoever holds a descriptor from here closes it.
#ifndef AGENT_NET_SOCKET_H
#define AGENT_NET_SOCKET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <sys/uio.h>

#include "base/err.h"
#include "base/netaddr.h"
#include "base/own.h"
#include "base/span.h"

// A listener with SO_REUSEADDR, TCP_NODELAY and, when `shared`, SO_REUSEPORT; IPv6 listeners are
// v6-only. -1 with the sentence ("cannot listen on 1.2.3.4:80: ...") on error.
int socket_listen(const struct netaddr *addr, bool shared, struct err *err) MUST_USE;
// An IPv6 address where the network has no IPv6, not even ::1 (Docker's default): nobody can
// connect to it, and nothing can listen there.
bool socket_lacks_ip6(const struct netaddr *addr);

// Makes a listening TCP socket that somebody else has opened one of ours; `*addr` is where it
// listens. The descriptor stays the caller's. False with the sentence when it is no such socket.
bool socket_adopt(int fd, struct netaddr *addr, struct err *err) MUST_USE;

enum socket_outcome {
    SOCKET_OK,
    SOCKET_AGAIN,     // nothing now
    SOCKET_EXHAUSTED, // descriptors or memory: pause and retry later
    SOCKET_FAILED,    // this one failed; errno is kept by the caller's means
};

// Accepts one connection. It inherits the listener's options: TCP_NODELAY, and keepalive if set.
enum socket_outcome socket_accept(int listener, int *fd, struct netaddr *peer);

// Starts a connect with TCP_NODELAY set. SOCKET_OK: connected or under way (wait for writable, then
// socket_connect_error). SOCKET_FAILED: refused at once, `*errnum` says why.
enum socket_outcome socket_connect(const struct netaddr *to, int *fd, int *errnum);
int socket_connect_error(int fd); // 0: connected; EINPROGRESS: not yet; else why it failed

// Where the connection was going before the redirect (SO_ORIGINAL_DST).
// The option level follows the peer's family after un-mapping. False: the connection was not
// redirected (no answer, or the answer is the socket's own address).
bool socket_original_destination(int fd, const struct netaddr *peer, struct netaddr *out);
bool socket_local_address(int fd, struct netaddr *out);

// TCP keepalive: `idle_s` before the first probe, then `interval_s`, dead after `count` probes.
#define SOCKET_KEEPALIVE_IDLE_S 180 // of application connections
#define SOCKET_KEEPALIVE_INTERVAL_S 60
#define SOCKET_KEEPALIVE_PROBES 9
void socket_keepalive(int fd, int idle_s, int interval_s, int count);
void socket_user_timeout(int fd, int ms);

// send or sendmsg, whichever is cheaper; no SIGPIPE. What they return. `more`: more bytes or
// socket_finish follow at once, and what would leave as a packet of its own waits for them.
ssize_t socket_send(int fd, const struct iovec *runs, size_t num, bool more);
// The first byte that waits (0..255), which stays where it is.
enum { SOCKET_PEEK_AGAIN = -1, SOCKET_PEEK_END = -2, SOCKET_PEEK_FAILED = -3 };
int socket_peek(int fd);
// The first bytes that wait, at most `len`, which stay where they are; outcomes as socket_read.
enum socket_outcome socket_peek_many(int fd, void *out, size_t len, size_t *got);
// Reads at most `len` bytes, `*got` > 0 on SOCKET_OK. SOCKET_FAILED: the end, or broken.
enum socket_outcome socket_read(int fd, void *out, size_t len, size_t *got);
// Reads and drops what has come, at most `*left` bytes in all. SOCKET_FAILED: the end, broken, or
// `*left` is used up.
enum socket_outcome socket_drop(int fd, size_t *left);
// Sends all of it at once, or says false.
bool socket_send_whole(int fd, struct span bytes) MUST_USE;

// Bytes written that the peer has not acknowledged; 0 when unknown.
size_t socket_unacknowledged(int fd);
// Nothing of the connection is left: it was reset, timed out, or both sides' FINs are acknowledged.
bool socket_is_closed(int fd);
void socket_finish(int fd); // FIN: shutdown(SHUT_WR)
void socket_reset(int fd);  // RST: closes the descriptor with SO_LINGER 0
void socket_close(int fd);  // accepts -1

#endif
