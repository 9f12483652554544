// Two real workers on loopback and an application behind them that echoes: the client worker takes
// a plain connection, and either a tunnel leads it to the server worker, or TLS (`tls: mutual`) to
// a server that is not of our making. The judged worker is the one whose identity a test changes.
// The wall clock moves when told (link with --wrap=clock_wall_s).
#ifndef TESTS_WORKER_WORKER_LAB_H
#define TESTS_WORKER_WORKER_LAB_H

#include "agent/worker/worker.h"
#include "tests/testing/pki_identity.h"

#define LAB_SVID_S 1000 // what certificates last

struct worker_side {
    struct worker_shared shared;
    struct worker *worker;
    struct config *config;
    struct listener_set *listeners;
    struct svid *svid;
};

struct worker_lab {
    bool mutual;
    struct pki_cert *ca;
    struct pki_cert *peer; // the certificate that the judged worker's peer shows
    struct pki_cert *own;
    struct worker_side client;
    struct worker_side server; // without a worker when `mutual`
    struct worker_side *judged;
    int app; // listening
    pthread_t echo;
    int connection; // of the test to the client worker; -1
};

void worker_lab_init(struct worker_lab *lab, bool mutual, bool close_at_expiry);
void worker_lab_fini(struct worker_lab *lab);

// The worker that is judged gets this state. `bundles` NULL: no identity, for the reason `state`.
void worker_lab_command(struct worker_lab *lab, struct svid *svid, struct bundle_set *bundles,
                        enum identity_state state);
struct bundle_set *worker_lab_bundles(const struct pki_cert *root, const struct pki_bytes *crl);

// Connects and exchanges a byte; fails the test when that does not work.
void worker_lab_open(struct worker_lab *lab);
bool worker_lab_exchange(struct worker_lab *lab); // a byte there and back; false: it was cut
uint64_t worker_lab_metric(const struct worker_lab *lab, enum metric metric); // of the judged
void worker_lab_move_clock(int64_t seconds);
// A turn of the judged worker has passed since.
void worker_lab_settle(struct worker_lab *lab);

#endif
