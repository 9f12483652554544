// One connection of the HTTP server: requests in turn, each answered before the next is read.
// Internal to http_server.
#ifndef AGENT_STATUS_HTTP_CONNECTION_H
#define AGENT_STATUS_HTTP_CONNECTION_H

#include <stdbool.h>

#include "agent/status/http_server.h"
#include "base/list.h"

// What a connection needs of its listener. Outlives the connection.
struct http_connection_host {
    struct ev_loop *loop;
    const struct http_server_options *options;
    size_t *output_len;  // bytes of answers that wait to be read, over the whole server
    const bool *retired; // no answer keeps its connection open any more
    unsigned tag;
    void (*gone)(void *arg); // a connection ended by itself; it is closed and freed
    void *arg;
};

// Takes `fd`. NULL (and `fd` closed) when memory is short.
struct http_connection *http_connection_new(const struct http_connection_host *host, int fd,
                                            const struct netaddr *peer) MUST_USE;
void http_connection_free(struct http_connection *connection); // cuts it

struct list_node *http_connection_node(struct http_connection *connection); // for the owner's list
struct http_connection *http_connection_of(struct list_node *node);
// It waits for a request (or for the rest of one) and may be cut to make room.
bool http_connection_is_waiting(const struct http_connection *connection);
// Its requests are answered, and the next one has not begun.
bool http_connection_is_idle(const struct http_connection *connection);

#endif
