#include "tests/status/status_fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>
#include <ev.h>

int status_fixture_start(void **state) {
    struct status_fixture *f = calloc(1, sizeof(*f));
    struct err err = {0};
    assert_non_null(f);
    fake_backend_init(&f->fake);
    f->loop = ev_loop_new(EVFLAG_AUTO);
    f->status = http_probe_free_address();
    f->health = http_probe_free_address();
    f->fake.config.status = (struct config_status){
        .has_listen = true,
        .listen = f->status,
        .has_health = true,
        .health = f->health,
    };
    struct status_backend ops = fake_backend_ops(&f->fake);
    f->server = status_server_new(f->loop, &f->fake.config, &ops, NULL, &err);
    if (f->server == NULL) {
        fail_msg("%s", err.msg);
    }
    *state = f;
    return 0;
}

int status_fixture_stop(void **state) {
    struct status_fixture *f = *state;
    status_server_free(f->server);
    ev_loop_destroy(f->loop);
    fake_backend_fini(&f->fake);
    free(f);
    return 0;
}

unsigned status_fixture_ask(struct status_fixture *f, const struct netaddr *to, const char *method,
                            const char *target) {
    HTTP_REPLY reply = http_probe_simple(f->loop, to, method, target);
    return reply.status;
}
