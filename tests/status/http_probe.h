// A client for tests of the HTTP server: both ends in one thread, the loop is turned while waiting.
// Failures inside fail the test.
#ifndef TESTS_STATUS_HTTP_PROBE_H
#define TESTS_STATUS_HTTP_PROBE_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"
#include "base/netaddr.h"

struct ev_loop;

struct netaddr http_probe_free_address(void); // 127.0.0.1 and a port nobody listens on

int http_probe_connect(const struct netaddr *to);
// Sends as much as the kernel takes while turning the loop.
void http_probe_send(struct ev_loop *loop, int fd, const void *bytes, size_t len);
// Turns the loop until the server ends the connection and appends what came. Closes `fd`. False
// when it ended by a reset.
bool http_probe_read_all(struct ev_loop *loop, int fd, struct buf *all);
// Turns the loop until the server ends the connection and collects what came. Closes `fd`.
struct buf http_probe_drain(struct ev_loop *loop, int fd);
// True when the server has ended the connection; turns the loop `turns` times first.
bool http_probe_is_closed(struct ev_loop *loop, int fd, int turns);
void http_probe_turn(struct ev_loop *loop, int turns);

struct http_reply {
    unsigned status;
    char *head; // NUL-terminated, with the empty line
    char *body; // NUL-terminated
};
void http_reply_fini(struct http_reply *reply);
#define HTTP_REPLY __attribute__((cleanup(http_reply_fini))) struct http_reply

// One request as given (it must make the server close) and its reply.
struct http_reply http_probe_ask(struct ev_loop *loop, const struct netaddr *to,
                                 const char *request);
// "METHOD TARGET" with a good Host and `Connection: close`.
struct http_reply http_probe_simple(struct ev_loop *loop, const struct netaddr *to,
                                    const char *method, const char *target);

#endif
