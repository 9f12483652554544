#include "agent/mesh/destinations.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/err.h"
#include "base/span.h"

static struct netaddr address(const char *text) {
    struct netaddr addr;
    struct err err = {0};
    assert_true(netaddr_parse_ip(&addr, span_of_text(text), &err));
    return addr;
}

static struct netaddr numbered(uint32_t number) {
    struct netaddr addr = {.family = NETADDR_V4, .port = 80};
    addr.ip[0] = 10;
    addr.ip[1] = (uint8_t)(number >> 16);
    addr.ip[2] = (uint8_t)(number >> 8);
    addr.ip[3] = (uint8_t)number;
    return addr;
}

static struct spiffe_id id_of(const char *text) {
    struct spiffe_id id = {.len = (uint16_t)strlen(text)};
    memcpy(id.text, text, id.len + 1u);
    return id;
}

static int set_up(void **state) {
    *state = destinations_new();
    return *state == NULL;
}

static int tear_down(void **state) {
    destinations_free(*state);
    return 0;
}

static void test_unknown_at_first(void **state) {
    struct netaddr addr = address("10.0.0.1");
    struct view view = {0};
    assert_int_equal(destinations_look_up(*state, &addr, 0), DESTINATION_UNKNOWN);
    assert_false(destinations_forget(*state, &addr));
    destinations_render(*state, &view, 0);
    assert_int_equal(view.num_destinations, 0);
    view_fini(&view);
    destinations_free(NULL);
}

static void test_a_pin_holds_until_its_end(void **state) {
    struct netaddr addr = address("10.0.0.1");
    struct netaddr with_port = netaddr_with_port(&addr, 6379), v6 = address("2001:db8::1");
    struct spiffe_id id = id_of("spiffe://example.org/web");
    destinations_pin(*state, &with_port, &id, 1000, 500);
    assert_int_equal(destinations_look_up(*state, &addr, 1000), DESTINATION_PINNED);
    assert_int_equal(destinations_look_up(*state, &addr, 1499), DESTINATION_PINNED);
    assert_int_equal(destinations_look_up(*state, &v6, 1000), DESTINATION_UNKNOWN);
    destinations_pin(*state, &addr, &id, 1400, 500); // renewed by each handshake
    assert_int_equal(destinations_look_up(*state, &with_port, 1899), DESTINATION_PINNED);
    assert_int_equal(destinations_look_up(*state, &addr, 1900), DESTINATION_UNKNOWN);
}

static void test_a_miss_never_replaces_a_pin(void **state) {
    struct netaddr addr = address("10.0.0.1");
    struct spiffe_id id = id_of("spiffe://example.org/web");
    destinations_pin(*state, &addr, &id, 0, 1000);
    destinations_miss(*state, &addr, &(struct destination_miss){true, "timed out", 100000}, 999);
    assert_int_equal(destinations_look_up(*state, &addr, 999), DESTINATION_PINNED);
    struct view view = {0};
    destinations_render(*state, &view, 999);
    assert_int_equal(view.num_destinations, 1);
    assert_string_equal(view.destinations[0].state, "pinned");
    assert_string_equal(view.destinations[0].peer_id, "spiffe://example.org/web");
    assert_string_equal(view.destinations[0].last_error, "timed out");
    assert_int_equal(view.destinations[0].until_ms, 1000);
    view_fini(&view);
    // Not even by way of the miss: at its end the pin is gone and nothing has taken its place.
    assert_int_equal(destinations_look_up(*state, &addr, 1000), DESTINATION_UNKNOWN);
    destinations_miss(*state, &addr, &(struct destination_miss){true, "timed out", 100}, 1000);
    assert_int_equal(destinations_look_up(*state, &addr, 1000), DESTINATION_PLAINTEXT);
}

static void test_an_ended_pin_gives_way_to_a_miss(void **state) {
    struct netaddr addr = address("10.0.0.1");
    struct spiffe_id id = id_of("spiffe://example.org/web");
    destinations_pin(*state, &addr, &id, 0, 1000);
    destinations_miss(*state, &addr, &(struct destination_miss){false, "refused", 100},
                      1000); // without a look-up between
    assert_int_equal(destinations_look_up(*state, &addr, 1099), DESTINATION_UNREACHABLE);
    struct view view = {0};
    destinations_render(*state, &view, 1050);
    assert_string_equal(view.destinations[0].state, "unreachable");
    assert_string_equal(view.destinations[0].peer_id, "");
    assert_int_equal(view.destinations[0].since_ms, 1000);
    view_fini(&view);
}

static void test_a_service_is_as_good_as_a_pin(void **state) {
    struct netaddr addr = address("10.96.0.1");
    destinations_miss(*state, &addr, &(struct destination_miss){true, "refused", 1000}, 0);
    destinations_note_service(*state, &addr, 10, 1000);
    assert_int_equal(destinations_look_up(*state, &addr, 20), DESTINATION_SERVICE);
    destinations_miss(*state, &addr, &(struct destination_miss){true, "refused", 5000}, 20);
    assert_int_equal(destinations_look_up(*state, &addr, 30), DESTINATION_SERVICE);
    struct view view = {0};
    destinations_render(*state, &view, 30);
    assert_string_equal(view.destinations[0].state, "service");
    assert_string_equal(view.destinations[0].last_error, "refused");
    assert_int_equal(view.destinations[0].since_ms, 10);
    assert_int_equal(view.destinations[0].until_ms, 1010);
    view_fini(&view);
    destinations_note_service(*state, &addr, 40, 1000); // it answers again
    destinations_note_service(*state, &addr, 50, 1000); // young enough
    destinations_render(*state, &view, 60);
    assert_string_equal(view.destinations[0].last_error, "");
    assert_int_equal(view.destinations[0].until_ms, 1040);
    view_fini(&view);
    destinations_note_service(*state, &addr, 600, 1000);
    assert_int_equal(destinations_look_up(*state, &addr, 1599), DESTINATION_SERVICE);
    assert_int_equal(destinations_look_up(*state, &addr, 1600), DESTINATION_UNKNOWN);
    assert_int_equal(destinations_pin_changes(*state), 1); // a renewal is none
}

static void test_misses_follow_the_last_answer(void **state) {
    struct netaddr addr = address("10.0.0.1");
    struct spiffe_id id = id_of("spiffe://example.org/web");
    destinations_miss(*state, &addr, &(struct destination_miss){true, "refused", 1000}, 0);
    assert_int_equal(destinations_look_up(*state, &addr, 10), DESTINATION_PLAINTEXT);
    destinations_miss(*state, &addr, &(struct destination_miss){false, "refused", 1000},
                      10); // the policy was changed
    assert_int_equal(destinations_look_up(*state, &addr, 10), DESTINATION_UNREACHABLE);
    destinations_pin(*state, &addr, &id, 20, 10000);
    assert_int_equal(destinations_look_up(*state, &addr, 5000), DESTINATION_PINNED);
    struct view view = {0};
    destinations_render(*state, &view, 20);
    assert_string_equal(view.destinations[0].last_error, "");
    view_fini(&view);
}

static void test_forget(void **state) {
    struct netaddr addr = address("10.0.0.1"), other = address("10.0.0.2");
    struct spiffe_id id = id_of("spiffe://example.org/web");
    destinations_pin(*state, &addr, &id, 0, 1000);
    destinations_pin(*state, &other, &id, 0, 1000);
    assert_true(destinations_forget(*state, &addr));
    assert_false(destinations_forget(*state, &addr));
    assert_int_equal(destinations_look_up(*state, &addr, 0), DESTINATION_UNKNOWN);
    assert_int_equal(destinations_look_up(*state, &other, 0), DESTINATION_PINNED);
}

static void test_render_shows_what_has_not_ended(void **state) {
    struct netaddr a = address("10.0.0.1"), b = address("2001:db8::1"), c = address("10.0.0.3");
    struct spiffe_id id = id_of("spiffe://example.org/web");
    a.port = 80;
    destinations_miss(*state, &c, &(struct destination_miss){false, NULL, 50}, 0);
    destinations_miss(*state, &b, &(struct destination_miss){true, "refused", 200}, 0);
    destinations_pin(*state, &a, &id, 5, 300);
    destinations_pin(*state, &a, &id, 60, 300);
    struct view view = {0};
    destinations_render(*state, &view, 100);
    assert_int_equal(view.num_destinations, 2);
    const struct destination_view *pin = &view.destinations[0], *plain = &view.destinations[1];
    char text[NETADDR_TEXT_MAX];
    assert_string_equal(netaddr_format(&pin->address, text), "10.0.0.1:0");
    assert_string_equal(pin->state, "pinned");
    assert_int_equal(pin->since_ms, 5); // renewal does not begin anew
    assert_int_equal(pin->until_ms, 360);
    assert_string_equal(netaddr_format_ip(&plain->address, text), "2001:db8::1");
    assert_string_equal(plain->state, "plaintext");
    assert_string_equal(plain->last_error, "refused");
    view_fini(&view);
}

static void test_long_texts_are_cut(void **state) {
    struct netaddr a = address("10.0.0.1"), b = address("10.0.0.2");
    struct spiffe_id id = {.len = SPIFFE_ID_MAX};
    memset(id.text, 'x', SPIFFE_ID_MAX);
    destinations_pin(*state, &a, &id, 0, 100);
    destinations_miss(*state, &b, &(struct destination_miss){false, id.text, 100}, 0);
    struct view view = {0};
    destinations_render(*state, &view, 0);
    assert_int_equal(strlen(view.destinations[0].peer_id), 255);
    assert_int_equal(strlen(view.destinations[1].last_error), 127);
    view_fini(&view);
}

static void test_misses_push_no_pin_out(void **state) {
    struct spiffe_id id = id_of("spiffe://example.org/web");
    for (uint32_t i = 0; i < DESTINATIONS_MAX; i++) {
        struct netaddr addr = numbered(i);
        destinations_pin(*state, &addr, &id, 0, 1000 + i);
    }
    struct netaddr stranger = numbered(DESTINATIONS_MAX), first = numbered(0);
    struct netaddr second = numbered(1);
    destinations_miss(*state, &stranger, &(struct destination_miss){true, "refused", 1 << 30}, 0);
    assert_int_equal(destinations_look_up(*state, &stranger, 0), DESTINATION_UNKNOWN);
    assert_int_equal(destinations_look_up(*state, &first, 0), DESTINATION_PINNED);
    // A new pin takes the place of the one that ends soonest.
    destinations_pin(*state, &stranger, &id, 0, 1 << 30);
    assert_int_equal(destinations_look_up(*state, &stranger, 0), DESTINATION_PINNED);
    assert_int_equal(destinations_look_up(*state, &first, 0), DESTINATION_UNKNOWN);
    assert_int_equal(destinations_look_up(*state, &second, 0), DESTINATION_PINNED);
    // A pin that has ended makes room for anything.
    destinations_miss(*state, &first, &(struct destination_miss){true, "refused", 1 << 30}, 1001);
    assert_int_equal(destinations_look_up(*state, &first, 1001), DESTINATION_PLAINTEXT);
    struct view view = {0};
    destinations_render(*state, &view, 0);
    assert_int_equal(view.num_destinations, DESTINATIONS_MAX);
    view_fini(&view);
}

static void test_the_only_miss_gives_way_first(void **state) {
    struct spiffe_id id = id_of("spiffe://example.org/web");
    for (uint32_t i = 0; i < DESTINATIONS_MAX - 1; i++) {
        struct netaddr addr = numbered(i);
        destinations_pin(*state, &addr, &id, 0, 1000);
    }
    struct netaddr first = numbered(DESTINATIONS_MAX), second = numbered(DESTINATIONS_MAX + 1);
    struct netaddr pinned = numbered(0);
    destinations_miss(*state, &first, &(struct destination_miss){true, "refused", 5000}, 0);
    destinations_miss(*state, &second, &(struct destination_miss){true, "refused", 4000}, 0);
    assert_int_equal(destinations_look_up(*state, &first, 0), DESTINATION_UNKNOWN);
    assert_int_equal(destinations_look_up(*state, &second, 0), DESTINATION_PLAINTEXT);
    destinations_pin(*state, &first, &id, 0, 1000);
    assert_int_equal(destinations_look_up(*state, &second, 0), DESTINATION_UNKNOWN);
    assert_int_equal(destinations_look_up(*state, &first, 0), DESTINATION_PINNED);
    assert_int_equal(destinations_look_up(*state, &pinned, 0), DESTINATION_PINNED);
}

#define NUM_THREADS 4

static void *hammer(void *arg) {
    struct spiffe_id id = id_of("spiffe://example.org/web");
    for (uint32_t i = 0; i < 20000; i++) {
        struct netaddr addr = numbered(i % 97), pinned = numbered(1000 + i % 7);
        destinations_miss(arg, &addr, &(struct destination_miss){i % 2 == 0, "refused", 50}, i);
        destinations_pin(arg, &pinned, &id, i, 1000000);
        destinations_look_up(arg, &addr, i);
        destinations_forget(arg, &addr);
        if (i % 1000 == 0) {
            struct view view = {0};
            destinations_render(arg, &view, i);
            view_fini(&view);
        }
    }
    return NULL;
}

static void test_threads(void **state) {
    pthread_t threads[NUM_THREADS];
    for (size_t i = 0; i < NUM_THREADS; i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, hammer, *state), 0);
    }
    for (size_t i = 0; i < NUM_THREADS; i++) {
        pthread_join(threads[i], NULL);
    }
    for (uint32_t i = 0; i < 7; i++) {
        struct netaddr pinned = numbered(1000 + i);
        assert_int_equal(destinations_look_up(*state, &pinned, 20000), DESTINATION_PINNED);
    }
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(test_unknown_at_first),
        TEST(test_a_pin_holds_until_its_end),
        TEST(test_a_miss_never_replaces_a_pin),
        TEST(test_an_ended_pin_gives_way_to_a_miss),
        TEST(test_a_service_is_as_good_as_a_pin),
        TEST(test_misses_follow_the_last_answer),
        TEST(test_forget),
        TEST(test_render_shows_what_has_not_ended),
        TEST(test_long_texts_are_cut),
        TEST(test_misses_push_no_pin_out),
        TEST(test_the_only_miss_gives_way_first),
        TEST(test_threads),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
