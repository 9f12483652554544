#include "agent/relay/leg_socket.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "agent/net/socket.h"

struct fixture {
    struct ev_loop *loop;
    struct leg_scratch *scratch;
    struct leg_socket leg;
    int other; // the far end of the leg's socket
    int wakes;
};

static void on_wake(void *arg) {
    struct fixture *fix = arg;
    fix->wakes++;
    ev_break(fix->loop, EVBREAK_ALL);
}

// A real TCP pair, because RST is part of what is tested.
static void tcp_pair(int *a, int *b) {
    struct netaddr any = {.family = NETADDR_V4, .ip = {127, 0, 0, 1}};
    int listener = socket(AF_INET, SOCK_STREAM, 0);
    struct sockaddr_storage sa;
    socklen_t len = netaddr_to_sockaddr(&any, &sa);
    assert_int_equal(bind(listener, (struct sockaddr *)&sa, len), 0);
    assert_int_equal(listen(listener, 1), 0);
    assert_int_equal(getsockname(listener, (struct sockaddr *)&sa, &len), 0);
    *a = socket(AF_INET, SOCK_STREAM, 0);
    assert_int_equal(connect(*a, (struct sockaddr *)&sa, len), 0);
    *b = accept4(listener, NULL, NULL, SOCK_NONBLOCK);
    assert_true(*b >= 0);
    close(listener);
}

static int setup(void **state) {
    struct fixture *fix = calloc(1, sizeof(*fix));
    fix->loop = ev_loop_new(EVFLAG_AUTO);
    fix->scratch = calloc(1, sizeof(*fix->scratch));
    int fd = -1;
    tcp_pair(&fix->other, &fd);
    struct leg_socket_setup with = {.loop = fix->loop,
                                    .scratch = fix->scratch,
                                    .fd = fd,
                                    .reset_reason = CLOSE_PEER_RESET,
                                    .wake = on_wake,
                                    .arg = fix};
    leg_socket_init(&fix->leg, &with);
    *state = fix;
    return 0;
}

static int teardown(void **state) {
    struct fixture *fix = *state;
    fix->leg.leg.ops->close(&fix->leg.leg);
    socket_close(fix->other);
    ev_loop_destroy(fix->loop);
    free(fix->scratch);
    free(fix);
    return 0;
}

static void wait_readable(struct fixture *fix) {
    fix->leg.leg.ops->arm(&fix->leg.leg, true, false);
    ev_run(fix->loop, 0);
}

static void test_keeps_what_the_sink_did_not_take(void **state) {
    struct fixture *fix = *state;
    struct leg *leg = &fix->leg.leg;
    struct leg_runs offer;
    assert_int_equal(leg->ops->peek(leg, LEG_ROOM_UNKNOWN, &offer), LEG_AGAIN);
    assert_int_equal(write(fix->other, "hello", 5), 5);
    wait_readable(fix);
    assert_int_equal(fix->wakes, 1);
    assert_int_equal(leg->ops->peek(leg, LEG_ROOM_UNKNOWN, &offer), LEG_OK);
    assert_int_equal(offer.len, 5);
    assert_true(leg->ops->consume(leg, &offer, 2));
    memset(fix->scratch->bytes, 'x', 16); // the scratch is another's now
    assert_int_equal(leg->ops->peek(leg, LEG_ROOM_UNKNOWN, &offer), LEG_OK);
    assert_int_equal(offer.len, 3);
    assert_memory_equal(offer.run[0].iov_base, "llo", 3);
    assert_true(leg->ops->consume(leg, &offer, 3));
    assert_int_equal(leg->ops->peek(leg, LEG_ROOM_UNKNOWN, &offer), LEG_AGAIN);
    assert_null(fix->leg.held.mem);
}

// What it was not asked for stays with the kernel, and is not taken for an empty socket.
static void test_reads_no_more_than_it_is_asked_for(void **state) {
    struct fixture *fix = *state;
    struct leg *leg = &fix->leg.leg;
    struct leg_runs offer;
    assert_int_equal(write(fix->other, "hello", 5), 5);
    wait_readable(fix);
    assert_int_equal(leg->ops->peek(leg, 2, &offer), LEG_OK);
    assert_int_equal(offer.len, 2);
    assert_true(leg->ops->consume(leg, &offer, 2));
    assert_int_equal(leg->ops->peek(leg, 2, &offer), LEG_OK);
    assert_memory_equal(offer.run[0].iov_base, "ll", 2);
    assert_true(leg->ops->consume(leg, &offer, 2));
    assert_int_equal(leg->ops->peek(leg, 2, &offer), LEG_OK);
    assert_memory_equal(offer.run[0].iov_base, "o", 1);
    assert_int_equal(offer.len, 1);
    assert_true(leg->ops->consume(leg, &offer, 1));
    assert_int_equal(leg->ops->peek(leg, 2, &offer), LEG_AGAIN);
}

// A read that would only say "nothing" is not made while an event will tell; without one it is.
static void test_reads_again_by_event_or_when_nobody_listens(void **state) {
    struct fixture *fix = *state;
    struct leg *leg = &fix->leg.leg;
    struct leg_runs offer;
    leg->ops->arm(leg, true, false);
    assert_int_equal(leg->ops->peek(leg, LEG_ROOM_UNKNOWN, &offer), LEG_AGAIN);
    assert_int_equal(write(fix->other, "hello", 5), 5);
    leg->ops->arm(leg, true, false);
    assert_int_equal(leg->ops->peek(leg, LEG_ROOM_UNKNOWN, &offer),
                     LEG_AGAIN); // the event has not come yet
    wait_readable(fix);
    assert_int_equal(leg->ops->peek(leg, LEG_ROOM_UNKNOWN, &offer), LEG_OK);
    assert_true(leg->ops->consume(leg, &offer, offer.len));
    assert_int_equal(write(fix->other, "again", 5), 5);
    assert_int_equal(leg->ops->peek(leg, LEG_ROOM_UNKNOWN, &offer), LEG_AGAIN);
    leg->ops->arm(leg, false, false);
    assert_int_equal(leg->ops->peek(leg, LEG_ROOM_UNKNOWN, &offer), LEG_OK);
    assert_memory_equal(offer.run[0].iov_base, "again", 5);
    assert_true(leg->ops->consume(leg, &offer, offer.len));
}

static int option_of(int fd, int level, int option) {
    int value = -1;
    socklen_t len = sizeof(value);
    assert_int_equal(getsockopt(fd, level, option, &value, &len), 0);
    return value;
}

static void test_probes_when_told(void **state) {
    struct fixture *fix = *state;
    assert_int_equal(option_of(fix->leg.fd, SOL_SOCKET, SO_KEEPALIVE), 0);
    fix->leg.leg.ops->keepalive(&fix->leg.leg, 20, 7);
    assert_int_equal(option_of(fix->leg.fd, SOL_SOCKET, SO_KEEPALIVE), 1);
    assert_int_equal(option_of(fix->leg.fd, IPPROTO_TCP, TCP_KEEPIDLE), 20);
    assert_int_equal(option_of(fix->leg.fd, IPPROTO_TCP, TCP_KEEPINTVL), 7);
}

static void test_fin_and_rst_are_different(void **state) {
    struct fixture *fix = *state;
    struct leg *leg = &fix->leg.leg;
    struct leg_runs offer;
    shutdown(fix->other, SHUT_WR);
    wait_readable(fix);
    assert_int_equal(leg->ops->peek(leg, LEG_ROOM_UNKNOWN, &offer), LEG_END);
    socket_reset(fix->other);
    fix->other = -1;
    size_t taken = 0;
    char text[LEG_HEADROOM + 1] = {0};
    struct leg_runs runs = {.num = 1, .len = 1};
    runs.run[0] = (struct iovec){.iov_base = text + LEG_HEADROOM, .iov_len = 1};
    assert_int_equal(leg->ops->write(leg, &runs, &taken), LEG_FAILED);
    assert_int_equal(leg->failure, CLOSE_PEER_RESET);
}

static void test_reset_is_seen_as_rst_by_the_other_end(void **state) {
    struct fixture *fix = *state;
    fix->leg.leg.ops->reset(&fix->leg.leg);
    char byte;
    assert_int_equal(read(fix->other, &byte, 1), -1);
    assert_int_equal(fix->leg.fd, -1);
    fix->leg.leg.ops->reset(&fix->leg.leg); // harmless again
}

// After a FIN nobody reads any more, so no event tells of the RST.
static void test_a_reset_that_nobody_listened_for_is_found(void **state) {
    struct fixture *fix = *state;
    struct leg *leg = &fix->leg.leg;
    shutdown(fix->other, SHUT_WR);
    wait_readable(fix);
    leg->ops->arm(leg, false, false);
    assert_false(leg->ops->was_reset(leg)); // half-closed is not reset
    socket_reset(fix->other);
    fix->other = -1;
    leg->ops->arm(leg, true, false);
    assert_false(leg->ops->was_reset(leg)); // an event will tell
    leg->ops->arm(leg, false, false);
    assert_true(leg->ops->was_reset(leg));
    assert_int_equal(leg->failure, CLOSE_PEER_RESET);
}

static void test_finish_is_seen_as_fin(void **state) {
    struct fixture *fix = *state;
    assert_int_equal(fix->leg.leg.ops->finish(&fix->leg.leg), LEG_OK);
    char byte;
    assert_int_equal(read(fix->other, &byte, 1), 0);
}

static void test_a_full_socket_takes_no_more(void **state) {
    struct fixture *fix = *state;
    struct leg *leg = &fix->leg.leg;
    uint8_t *block = calloc(1, LEG_HEADROOM + 65536);
    struct leg_runs runs = {.num = 1, .len = 65536};
    runs.run[0] = (struct iovec){.iov_base = block + LEG_HEADROOM, .iov_len = 65536};
    enum leg_status status = LEG_OK;
    size_t sum = 0;
    while (status == LEG_OK) {
        size_t taken = 0;
        status = leg->ops->write(leg, &runs, &taken);
        sum += taken;
    }
    assert_int_equal(status, LEG_AGAIN);
    assert_true(leg->ops->unacknowledged(leg) > 0);
    assert_true(sum > 0);
    free(block);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_keeps_what_the_sink_did_not_take, setup, teardown),
        cmocka_unit_test_setup_teardown(test_reads_no_more_than_it_is_asked_for, setup, teardown),
        cmocka_unit_test_setup_teardown(test_reads_again_by_event_or_when_nobody_listens, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_probes_when_told, setup, teardown),
        cmocka_unit_test_setup_teardown(test_fin_and_rst_are_different, setup, teardown),
        cmocka_unit_test_setup_teardown(test_reset_is_seen_as_rst_by_the_other_end, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_a_reset_that_nobody_listened_for_is_found, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_finish_is_seen_as_fin, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_full_socket_takes_no_more, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
