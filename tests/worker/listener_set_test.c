#include "agent/worker/listener_set.h"

#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#include "agent/net/handed.h"
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

static struct listener_set *make(const struct config *config, unsigned workers, bool inbound,
                                 const struct listener_set *old, struct err *err) {
    return listener_set_new(
        config, &(struct listener_needs){.workers = workers, .inbound = inbound, .old = old}, err);
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
    struct listener_set *set = make(config, 2, true, NULL, &err);
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

// In a network of its own, which has no ::1 before its lo is up; only who may make one sees it.
static void test_what_the_network_lacks_is_left_out(void **state) {
    (void)state;
    if (unshare(CLONE_NEWUSER | CLONE_NEWNET) != 0) {
        skip();
    }
    OWNED(config_unref)
    struct config *config = config_of("outbound: {listen: ['0.0.0.0:%u', '[::1]:%u']}\n"
                                      "inbound: {listen: [], tunnel: []}\n",
                                      15001, 15001);
    OWNED(listener_set_unref) struct listener_set *set = make(config, 2, true, NULL, NULL);
    assert_non_null(set);
    assert_true(set->lacks_ip6);
    assert_int_equal(set->num, 1);
    assert_int_equal(set->items[0].addr.family, NETADDR_V4);
}

static void test_draining_keeps_outbound_only(void **state) {
    (void)state;
    OWNED(config_unref) struct config *config = config_of(BOTH, free_port(), free_port());
    OWNED(listener_set_unref)
    struct listener_set *set = make(config, 1, true, NULL, NULL);
    assert_non_null(set);
    int kept = listener_fd(&set->items[0], 0);
    OWNED(listener_set_unref)
    struct listener_set *draining = make(config, 1, false, set, NULL);
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
    struct listener_set *set = make(first, 2, true, NULL, NULL);
    assert_non_null(set);
    struct netaddr addr = {.family = NETADDR_V4, .ip = {127, 0, 0, 1}, .port = taken};
    int blocker = socket_listen(&addr, true, NULL); // another process of this user would look so
    assert_true(blocker >= 0);
    struct err err = {0};
    assert_null(make(second, 2, true, set, &err));
    assert_int_equal(err.class, ERR_ENVIRONMENT);
    socket_close(blocker);
    OWNED(listener_set_unref)
    struct listener_set *next = make(second, 2, true, set, &err);
    assert_non_null(next);
    assert_int_equal(listener_fd(&next->items[0], 1), listener_fd(&set->items[0], 1));
}

// As many sockets at one address as there were workers before, and what is left for the rest.
static void hand_over(struct handed *handed, const struct netaddr *addr, unsigned num) {
    for (unsigned i = 0; i < num; i++) {
        int fd = socket_listen(addr, true, NULL);
        assert_true(fd >= 0);
        assert_true(handed_add(handed, fd, "predecessor", NULL));
    }
}

static struct listener_set *with_handed(const struct config *config, unsigned workers,
                                        struct handed *handed) {
    return listener_set_new(
        config, &(struct listener_needs){.workers = workers, .inbound = true, .handed = handed},
        NULL);
}

static void test_every_socket_handed_in_is_served(void **state) {
    (void)state;
    uint16_t outbound = free_port();
    struct netaddr addr = {.family = NETADDR_V4, .ip = {127, 0, 0, 1}, .port = outbound};
    OWNED(config_unref) struct config *config = config_of(BOTH, outbound, free_port());
    static const unsigned WORKERS[] = {1, 2, 3, 5};
    for (size_t i = 0; i < sizeof(WORKERS) / sizeof(WORKERS[0]); i++) {
        OWNED(handed_free) struct handed *handed = handed_new();
        hand_over(handed, &addr, 3);
        OWNED(listener_set_unref)
        struct listener_set *set = with_handed(config, WORKERS[i], handed);
        assert_non_null(set);
        assert_int_equal(handed_num(handed), 0);
        // The other listener was not handed in: one socket for each worker.
        assert_int_equal(listener_set_num_sockets(set), 3 + WORKERS[i]);
        size_t slots = set->items[0].num_slots;
        assert_int_equal(slots, WORKERS[i] < 3 ? 3 : WORKERS[i]);
        for (size_t slot = 3; slot < slots; slot++) { // shared, not bound anew
            assert_int_equal(listener_fd(&set->items[0], slot),
                             listener_fd(&set->items[0], slot - 3));
        }
    }
}

static void test_sockets_are_counted_once(void **state) {
    (void)state;
    uint16_t outbound = free_port();
    struct netaddr addr = {.family = NETADDR_V4, .ip = {127, 0, 0, 1}, .port = outbound};
    OWNED(config_unref) struct config *config = config_of(BOTH, outbound, free_port());
    OWNED(handed_free) struct handed *handed = handed_new();
    hand_over(handed, &addr, 1);
    OWNED(listener_set_unref) struct listener_set *set = with_handed(config, 2, handed);
    assert_non_null(set);
    assert_int_equal(listener_set_num_sockets(set), 1 + 2);
    assert_int_equal(listener_set_socket(set, 0), listener_fd(&set->items[0], 0));
    assert_int_equal(listener_set_socket(set, 1), listener_fd(&set->items[1], 0));
    assert_int_equal(listener_set_socket(set, 2), listener_fd(&set->items[1], 1));
    assert_int_equal(listener_set_socket(set, 3), -1);
    OWNED(listener_set_unref) struct listener_set *empty = listener_set_new_empty();
    assert_int_equal(listener_set_num_sockets(empty), 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_one_socket_per_worker),
        cmocka_unit_test(test_draining_keeps_outbound_only),
        cmocka_unit_test(test_a_reload_keeps_sockets_and_fails_as_a_whole),
        cmocka_unit_test(test_every_socket_handed_in_is_served),
        cmocka_unit_test(test_sockets_are_counted_once),
        // The last: it leaves the network of the others.
        cmocka_unit_test(test_what_the_network_lacks_is_left_out),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
