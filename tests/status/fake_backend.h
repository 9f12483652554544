// An agent for tests of the status port: answers what the test put in, counts what it is told.
#ifndef TESTS_STATUS_FAKE_BACKEND_H
#define TESTS_STATUS_FAKE_BACKEND_H

#include <stdbool.h>

#include "agent/status/status.h"

struct fake_backend {
    struct config config;
    struct view view; // copied by collect, the parts that are asked for
    struct identity_view identity;
    struct counter_sums sums;
    struct reload_view reload;
    struct trust_view trust; // off
    struct audit_view audit; // off
    struct readiness checks[READINESS_MAX];
    size_t num_checks;
    bool alive;
    const char *rotate_error; // NULL: rotate works
    unsigned num_rotate, num_drain, num_quit, num_forget;
    struct netaddr forgotten; // the last one; 10.0.0.1 is remembered, nothing else
};

// Ready, alive, with an identity that lasts an hour and one row in each view. The identity's own
// SPIFFE ID is spiffe://example.org/ns/default/sa/web.
void fake_backend_init(struct fake_backend *fake);
void fake_backend_fini(struct fake_backend *fake);
struct status_backend fake_backend_ops(struct fake_backend *fake);

#define FAKE_BACKEND_ID "spiffe://example.org/ns/default/sa/web"

#endif
