// A small HTTP/1.1 server on a libev loop: listeners, a bounded number of connections, a deadline
// for every request and every answer. What is answered is the caller's business.
// One owner, one thread (the loop's).
#ifndef AGENT_STATUS_HTTP_SERVER_H
#define AGENT_STATUS_HTTP_SERVER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "agent/status/http_message.h"
#include "base/buf.h"
#include "base/err.h"
#include "base/netaddr.h"

struct ev_loop;

#define HTTP_CONNECTIONS_MAX 32            // per listener
#define HTTP_OUTPUT_MAX (32 * 1024 * 1024) // answers that wait to be read, over all connections
#define HTTP_DEADLINE_MS (10 * 1000)       // for a request to come, and for its answer to be read

struct http_connection;

struct http_request {
    struct http_head head;
    struct netaddr peer;
    struct netaddr local; // the address it came to; NETADDR_NONE when that is not known
    unsigned port;        // the `tag` of the listener it came in on
    struct http_connection *connection; // for http_later_answer
};

// Zeroed before the handler is called.
struct http_response {
    unsigned status;
    const char *content_type; // static text
    const char *allow;        // the Allow header of a 405, static text; NULL: none
    char policy[320];         // the Content-Security-Policy; "": nothing is allowed
    struct buf body;
    // Set: the answer comes later, by http_later_answer, and nothing else of the response counts.
    // Called when the connection ends before that.
    void (*cancel)(void *arg);
    void *cancel_arg;
};

// Fills in `response`; HEAD is answered like GET, the server leaves the body out.
typedef void http_handle_fn(void *arg, const struct http_request *request,
                            struct http_response *response);

struct http_server_options {
    http_handle_fn *handle;
    void *arg;
    int64_t deadline_ms;      // 0: HTTP_DEADLINE_MS
    unsigned connections_max; // 0: HTTP_CONNECTIONS_MAX
};

// Gives the answer that was put off; not from within the handler. The connection may be gone
// afterwards.
void http_later_answer(struct http_connection *connection, const struct http_response *response);

struct http_server;
struct http_listener;

struct http_server *http_server_new(struct ev_loop *loop,
                                    struct http_server_options options) MUST_USE;
void http_server_free(struct http_server *server); // and all its listeners and connections
OWN_DEFINE(struct http_server, http_server_free)

// Binds and serves from now on. The server owns the listener. NULL with the sentence on error.
struct http_listener *http_server_listen(struct http_server *server, const struct netaddr *address,
                                         unsigned tag, struct err *err) MUST_USE;
// The same with a listening socket that is there already; takes `fd`.
struct http_listener *http_server_adopt(struct http_server *server, int fd, unsigned tag,
                                        struct err *err) MUST_USE;
int http_listener_fd(const struct http_listener *listener); // borrowed
// From now on nothing is accepted, until http_server_release; connections wait in the queue.
void http_server_hold(struct http_server *server);
void http_server_release(struct http_server *server);
// Stops listening for good; open connections get their answers, and end with them.
void http_server_retire(struct http_server *server);
// Somebody waits for an answer, or has connected and not said anything yet.
bool http_server_is_busy(const struct http_server *server);
// Stops listening and cuts its connections. Accepts NULL.
void http_server_close(struct http_listener *listener);

struct netaddr http_listener_address(const struct http_listener *listener); // as bound
unsigned http_listener_connections(const struct http_listener *listener);   // open now

#endif
