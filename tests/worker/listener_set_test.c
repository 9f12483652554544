#include "agent/worker/listener_set.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "agent/net/socket.h"
#include "base/buf.h"

// A port that was free a moment ago.
static uint16_t free_port(void) {
    struct netaddr any = {.family = NETADDR_V4, .ip = {127, 0, 0, 1}};
    int fd = socket_listen(&any, false, NULL);
    struct netaddr got;
    assert_true(socket_local_address(fd, &got));
    socket_close(fd);
    return got.port;
}

static struct config *config_of(const char *format, unsigned a, unsigned b) {
    char text[512];
    struct buf said = {0};
    snprintf(text, sizeof(text), format, a, b);
    struct config *config = config_parse("test", span_of_text(text), &said, &said);
    assert_non_null(config);
    buf_fini(&said);
    return config;
}

static const char BOTH[] = "outbound: {listen: ['127.0.0.1:%u']}\n"
                           "inbound: {listen: [], tunnel: ['127.0.0.1:%u']}\n";
static const char OTHER[] = "outbound: {listen: ['127.0.0.1:%u']}\n"
                            "inbound: {listen: ['127.0.0.1:%u'], tunnel: []}\n";

static void test_one_socket_per_worker(void **state) {
    (void)state;
    OWNED(config_unref) struct config *config = config_of(BOTH, free_port(), free_port());
    struct err err = {0};
    OWNED(listener_set_unref)
    struct listener_set *set = listener_set_new(config, 2, true, NULL, &err);
    assert_non_null(set);
    assert_int_equal(set->num, 2);
    assert_int_not_equal(listener_fd(&set->items[0], 0), listener_fd(&set->items[0], 1));
    struct view view = {0};
    listener_set_render(set, config, &view);
    assert_int_equal(view.num_listeners, 2);
    assert_string_equal(view.listeners[0].kind, "outbound");
    assert_string_equal(view.listeners[1].kind, "tunnel");
    view_fini(&view);
}

static void test_draining_keeps_outbound_only(void **state) {
    (void)state;
    OWNED(config_unref) struct config *config = config_of(BOTH, free_port(), free_port());
    OWNED(listener_set_unref)
    struct listener_set *set = listener_set_new(config, 1, true, NULL, NULL);
    assert_non_null(set);
    int kept = listener_fd(&set->items[0], 0);
    OWNED(listener_set_unref)
    struct listener_set *draining = listener_set_new(config, 1, false, set, NULL);
    assert_non_null(draining);
    assert_int_equal(draining->num, 1);
    assert_int_equal(listener_fd(&draining->items[0], 0), kept);
}

static void test_a_reload_keeps_sockets_and_fails_as_a_whole(void **state) {
    (void)state;
    uint16_t outbound = free_port();
    uint16_t taken = free_port();
    OWNED(config_unref) struct config *first = config_of(BOTH, outbound, free_port());
    OWNED(config_unref) struct config *second = config_of(OTHER, outbound, taken);
    OWNED(listener_set_unref)
    struct listener_set *set = listener_set_new(first, 2, true, NULL, NULL);
    assert_non_null(set);
    struct netaddr addr = {.family = NETADDR_V4, .ip = {127, 0, 0, 1}, .port = taken};
    int blocker = socket_listen(&addr, true, NULL); // another process of this user would look so
    assert_true(blocker >= 0);
    struct err err = {0};
    assert_null(listener_set_new(second, 2, true, set, &err));
    assert_int_equal(err.class, ERR_ENVIRONMENT);
    socket_close(blocker);
    OWNED(listener_set_unref)
    struct listener_set *next = listener_set_new(second, 2, true, set, &err);
    assert_non_null(next);
    assert_int_equal(listener_fd(&next->items[0], 1), listener_fd(&set->items[0], 1));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_one_socket_per_worker),
        cmocka_unit_test(test_draining_keeps_outbound_only),
        cmocka_unit_test(test_a_reload_keeps_sockets_and_fails_as_a_whole),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
