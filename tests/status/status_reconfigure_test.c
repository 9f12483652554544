// Where the status port listens, at the start and after a reload.
#include "agent/status/status.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "agent/net/socket.h"
#include "tests/status/status_fixture.h"

static void test_reconfigure(void **state) {
    struct status_fixture *f = *state;
    struct netaddr moved = http_probe_free_address();
    struct netaddr old = f->status;
    struct config config = f->fake.config;
    int kept = http_probe_connect(&f->health);
    http_probe_turn(f->loop, 3);
    config.status.listen = moved;
    assert_true(status_server_reconfigure(f->server, &config, NULL));
    assert_int_equal(status_fixture_ask(f, &moved, "GET", "/livez"), 200);
    assert_int_equal(status_fixture_ask(f, &f->health, "GET", "/livez"), 200);
    assert_false(http_probe_is_closed(f->loop, kept, 2)); // what did not change is not touched
    int fd = socket_listen(&old, false, NULL);            // the old one is free
    assert_true(fd >= 0);
    config.status.has_health = false;
    assert_true(status_server_reconfigure(f->server, &config, NULL));
    assert_true(http_probe_is_closed(f->loop, kept, 2));
    close(kept);
    // what cannot be bound leaves everything as it was
    struct err err = {0};
    config.status.listen = old;
    config.status.has_health = true;
    assert_false(status_server_reconfigure(f->server, &config, &err));
    assert_int_equal(err.class, ERR_ENVIRONMENT);
    assert_non_null(strstr(err.msg, "status.listen"));
    assert_int_equal(status_fixture_ask(f, &moved, "GET", "/livez"), 200);
    close(fd);
}

// The status port moves although the health port cannot: neither does.
static void test_reconfigure_is_all_or_nothing(void **state) {
    struct status_fixture *f = *state;
    struct err err = {0};
    struct config config = f->fake.config;
    struct netaddr taken = http_probe_free_address();
    int fd = socket_listen(&taken, false, NULL);
    config.status.listen = http_probe_free_address();
    config.status.health = taken;
    assert_false(status_server_reconfigure(f->server, &config, &err));
    assert_non_null(strstr(err.msg, "status.health"));
    assert_int_equal(status_fixture_ask(f, &f->status, "GET", "/livez"), 200);
    int free_again = socket_listen(&config.status.listen, false, NULL);
    assert_true(free_again >= 0);
    close(free_again);
    close(fd);
}

static void test_bind_conflict(void **state) {
    struct status_fixture *f = *state;
    struct err err = {0};
    struct status_backend ops = fake_backend_ops(&f->fake);
    assert_null(status_server_new(f->loop, &f->fake.config, &ops, NULL, &err));
    assert_int_equal(err.class, ERR_ENVIRONMENT);
}

static void test_off(void **state) {
    struct status_fixture *f = *state;
    struct config config = f->fake.config;
    config.status.has_listen = config.status.has_health = false;
    assert_true(status_server_reconfigure(f->server, &config, NULL));
    int fd = socket_listen(&f->status, false, NULL);
    assert_true(fd >= 0);
    close(fd);
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, status_fixture_start, status_fixture_stop)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(test_reconfigure),
        TEST(test_reconfigure_is_all_or_nothing),
        TEST(test_bind_conflict),
        TEST(test_off),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
