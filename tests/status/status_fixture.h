// A status server over a fake agent on real loopback sockets, for cmocka's set-up and tear-down.
#ifndef TESTS_STATUS_STATUS_FIXTURE_H
#define TESTS_STATUS_STATUS_FIXTURE_H

#include "agent/status/status.h"
#include "tests/status/fake_backend.h"
#include "tests/status/http_probe.h"

struct status_fixture {
    struct ev_loop *loop;
    struct fake_backend fake;
    struct status_server *server;
    struct netaddr status, health;
};

int status_fixture_start(void **state); // *state: struct status_fixture
int status_fixture_stop(void **state);
// Asks with a good Host; the status code.
unsigned status_fixture_ask(struct status_fixture *f, const struct netaddr *to, const char *method,
                            const char *target);

#endif
