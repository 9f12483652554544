// A worker: one thread, one loop, its own listeners (SO_REUSEPORT), connections, tunnels and
// counters. It shares nothing mutable but what `struct worker_shared` names. The control loop gives
// it orders through a one-slot mailbox and asks it for views.
#ifndef AGENT_WORKER_WORKER_H
#define AGENT_WORKER_WORKER_H

#include <pthread.h>
#include <semaphore.h>

#include "agent/http/http_policy.h"
#include "agent/mesh/destinations.h"
#include "agent/net/own_address.h"
#include "agent/tunnel/pool.h"
#include "agent/worker/conn.h"
#include "agent/worker/fd_budget.h"
#include "agent/worker/log_quota.h"
#include "agent/worker/refusals.h"
#include "base/mailbox.h"

struct worker_shared { // outlives the workers
    // Our own dials may be redirected (the process's uid is not intercept.uid): then the local
    // ports of open ones are counted here, so that one that comes back is known as a loop.
    bool may_loop;
    _Atomic uint16_t dials[UINT16_MAX + 1];
    struct destinations *destinations;
    struct refusals *refusals;
    struct audit *audit; // NULL: there is none
    struct fd_budget fds;
    _Atomic int64_t num_conns; // over all workers
    void (*idle)(void *arg);   // any worker, any thread: num_conns fell to zero
    void *arg;
};

// The complete state to work by; the latest wins. Heap value, owned by the mailbox or its taker.
struct worker_orders {
    struct snapshot *snapshot;
    struct listener_set *listeners;
    bool draining; // tell peers to open no more streams
};
void worker_orders_free(struct worker_orders *orders);
OWN_DEFINE(struct worker_orders, worker_orders_free)

#define WORKER_HANDSHAKES_MAX 1024 // inbound tunnels not yet verified; and as many direct clients

struct worker_scratch {
    struct leg_scratch socket;
    struct tls_turn turn;
};

struct acceptor { // a listener as this worker sees it
    ev_io io;
    struct worker *worker;
    const struct listener *listener; // worker->listeners owns it
    int budget;                      // connections to take in the next turn
};

struct worker_collect; // worker_collect.c

struct worker {
    unsigned index;
    pthread_t thread;
    struct ev_loop *loop;
    struct worker_shared *shared;
    struct snapshot *snapshot;
    struct listener_set *listeners;
    struct acceptor *acceptors;
    size_t num_acceptors;
    bool paused; // accepting: out of descriptors
    bool draining;
    struct mailbox orders;        // struct worker_orders *
    struct mailbox collects;      // struct worker_collect *
    _Atomic bool stop, closed;    // see worker_is_closed
    _Atomic int64_t last_turn_ms; // monotonic
    ev_async wake;
    ev_prepare prepare;
    ev_timer tick;           // once a second
    ev_timer resume;         // accepting
    ev_timer linger;         // the end waits until tunnels' output is delivered
    int64_t linger_until_ms; // monotonic; 0: not ending
    ev_timer kick;           // makes the loop turn once more without waiting
    struct worker_scratch *scratch;
    struct own_addresses *own;
    struct tunnel_env tunnels;
    struct pool pool;
    struct list conns;
    struct list unproven; // of conns: conn_unproven.c
    size_t num_unproven;
    struct log_quota closed_lines[CLOSE_REASON_COUNT], request_lines[HTTP_REASON_COUNT];
    struct list dead_conns;
    uint64_t next_conn_id;
    struct counters counters;
};

// Starts the thread with `orders` (taken). NULL with the sentence on error.
struct worker *worker_start(unsigned index, unsigned num_workers, struct worker_shared *shared,
                            struct worker_orders *orders, struct err *err) MUST_USE;
void worker_command(struct worker *worker, struct worker_orders *orders); // takes them; any thread
// It drains, without a listener or a handshake: only verified peers can add to num_conns.
bool worker_is_closed(const struct worker *worker);
void worker_ask_to_stop(struct worker *worker); // to end every connection; first ask all
void worker_stop(struct worker *worker);        // ends every connection, joins the thread and frees

// Fills `out` with this worker's part of `parts` (enum view_part); waits at most
// `timeout_ms`. False when the worker did not answer in time.
bool worker_collect(struct worker *worker, unsigned parts, struct view *out, int timeout_ms);

bool worker_settle(struct worker *worker, int timeout_ms); // the same: it has taken its orders
// For the worker's own files.
void worker_trust_apply(struct worker *worker); // the identity or the bundles have changed
void worker_trust_opened(struct worker *worker, struct tunnel *tunnel);
void worker_trust_judge(struct conn *conn); // ends it when its TLS is not trusted any more
void worker_trust_tick(struct worker *worker);
void worker_accept_pause(struct worker *worker);
void worker_accept_resume(struct worker *worker); // when there are descriptors again
// Takes a reference.
void worker_accept_apply(struct worker *worker, struct listener_set *listeners);
void worker_accept_stop(struct worker *worker);
void worker_answer_collect(struct worker *worker);

#endif
