#include "agent/relay/relay.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "tests/relay/fake_leg.h"

static uint8_t *random_bytes(struct prng *prng, size_t len) {
    uint8_t *bytes = malloc(len + 1);
    assert_non_null(bytes);
    for (size_t i = 0; i < len; i++) {
        bytes[i] = (uint8_t)prng_next(prng);
    }
    return bytes;
}

static void assert_got(const struct fake_leg *sink, const uint8_t *bytes, size_t len) {
    struct span got = buf_span(&sink->sink);
    assert_int_equal(got.len, len);
    if (len > 0) {
        assert_memory_equal(got.ptr, bytes, len);
    }
}

static enum relay_status run(struct relay *relay, struct fake_leg *near, struct fake_leg *far) {
    enum relay_status status = RELAY_GOES_ON;
    for (int turns = 0; status == RELAY_GOES_ON && turns < 1000000; turns++) {
        status = relay_step(relay, &near->leg, &far->leg);
    }
    return status;
}

static void test_both_ways_arrive_whole_and_in_order(void **state) {
    (void)state;
    struct prng prng = prng_new();
    for (int round = 0; round < 300; round++) {
        size_t up_len = prng_below(&prng, 20000);
        size_t down_len = prng_below(&prng, 20000);
        uint8_t *up = random_bytes(&prng, up_len);
        uint8_t *down = random_bytes(&prng, down_len);
        struct fake_leg near;
        struct fake_leg far;
        fake_leg_init(&near, &prng, up, up_len);
        fake_leg_init(&far, &prng, down, down_len);
        struct relay relay = {0};
        assert_int_equal(run(&relay, &near, &far), RELAY_DONE);
        assert_got(&far, up, up_len);
        assert_got(&near, down, down_len);
        assert_int_equal(relay.up.bytes, up_len);
        assert_int_equal(relay.down.bytes, down_len);
        assert_true(near.finished && far.finished);
        fake_leg_fini(&near);
        fake_leg_fini(&far);
        free(up);
        free(down);
    }
}

// What came before the break is delivered; nothing is made up and no FIN is passed on.
static void test_a_break_delivers_what_came_before(void **state) {
    (void)state;
    struct prng prng = prng_new();
    for (int round = 0; round < 200; round++) {
        size_t len = prng_below(&prng, 5000);
        uint8_t *up = random_bytes(&prng, len);
        struct fake_leg near;
        struct fake_leg far;
        fake_leg_init(&near, &prng, up, len);
        fake_leg_init(&far, &prng, "quiet", 5);
        near.fails = true;
        struct relay relay = {0};
        assert_int_equal(run(&relay, &near, &far), RELAY_NEAR_FAILED);
        assert_int_equal(near.leg.failure, CLOSE_PEER_RESET);
        while (relay_deliver(&relay.up, &near.leg, &far.leg)) {
        }
        assert_got(&far, up, len);
        assert_false(far.finished);
        fake_leg_fini(&near);
        fake_leg_fini(&far);
        free(up);
    }
}

static void test_a_dead_sink_is_the_far_leg_failing(void **state) {
    (void)state;
    struct prng prng = prng_new();
    struct fake_leg near;
    struct fake_leg far;
    fake_leg_init(&near, &prng, "something", 9);
    fake_leg_init(&far, &prng, "", 0);
    far.dead_sink = true;
    struct relay relay = {0};
    assert_int_equal(run(&relay, &near, &far), RELAY_FAR_FAILED);
    assert_int_equal(far.leg.failure, CLOSE_APP_RESET);
    fake_leg_fini(&near);
    fake_leg_fini(&far);
}

static void test_half_closed_is_exactly_one_finished_direction(void **state) {
    (void)state;
    struct relay relay = {0};
    assert_false(relay_is_half_closed(&relay));
    relay.up.finished = true;
    assert_true(relay_is_half_closed(&relay));
    relay.down.finished = true;
    assert_false(relay_is_half_closed(&relay));
}

static void test_arm_follows_the_state(void **state) {
    (void)state;
    struct prng prng = prng_new();
    struct fake_leg near;
    struct fake_leg far;
    fake_leg_init(&near, &prng, "", 0);
    fake_leg_init(&far, &prng, "", 0);
    struct relay relay = {0};
    relay_arm(&relay, &near.leg, &far.leg);
    assert_true(near.wants_read && far.wants_read);
    assert_false(near.wants_write || far.wants_write);
    relay.up.blocked = true; // far has no room: do not read near, wait for far
    relay_arm(&relay, &near.leg, &far.leg);
    assert_false(near.wants_read);
    assert_true(far.wants_write);
    assert_true(far.wants_read);
    relay.up = (struct relay_direction){.ended = true, .finished = true};
    relay_arm(&relay, &near.leg, &far.leg);
    assert_false(near.wants_read || far.wants_write);
    fake_leg_fini(&near);
    fake_leg_fini(&far);
}

// What it would have to hold is not read; when there is room again everything goes on.
static void test_a_full_sink_is_not_read_for(void **state) {
    (void)state;
    struct prng prng = prng_new();
    struct fake_leg near;
    struct fake_leg far;
    fake_leg_init(&near, &prng, "for far", 7);
    fake_leg_init(&far, &prng, "for near", 8);
    struct relay relay = {0};
    far.room = 0;
    for (int i = 0; i < 100; i++) {
        assert_int_equal(relay_step(&relay, &near.leg, &far.leg), RELAY_GOES_ON);
    }
    assert_int_equal(near.num_peeks, 0);
    assert_got(&near, (const uint8_t *)"for near",
               8); // the other direction is none of its business
    relay_arm(&relay, &near.leg, &far.leg);
    assert_false(near.wants_read);
    assert_true(far.wants_write);
    far.room = 5;
    enum relay_status status = RELAY_GOES_ON;
    while (near.num_peeks == 0) {
        assert_int_equal(status, RELAY_GOES_ON);
        status = relay_step(&relay, &near.leg, &far.leg);
    }
    assert_int_equal(near.most, 5);
    // One step may have been enough for all of it.
    status = status == RELAY_GOES_ON ? run(&relay, &near, &far) : status;
    assert_int_equal(status, RELAY_DONE);
    assert_got(&far, (const uint8_t *)"for far", 7);
    fake_leg_fini(&near);
    fake_leg_fini(&far);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_both_ways_arrive_whole_and_in_order),
        cmocka_unit_test(test_a_break_delivers_what_came_before),
        cmocka_unit_test(test_a_dead_sink_is_the_far_leg_failing),
        cmocka_unit_test(test_half_closed_is_exactly_one_finished_direction),
        cmocka_unit_test(test_arm_follows_the_state),
        cmocka_unit_test(test_a_full_sink_is_not_read_for),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
