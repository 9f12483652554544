// Pins that go through a text and back: what has ended stays away, and damage costs its line only.
#include "agent/mesh/pins.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define NOW INT64_C(1800000000000)
#define HOUR INT64_C(3600000)

static struct netaddr address(const char *text) {
    struct netaddr addr;
    assert_true(netaddr_parse_ip(&addr, span_of_text(text), NULL));
    return addr;
}

static void pin(struct destinations *d, const char *addr_text, const char *id_text,
                int64_t for_ms) {
    struct netaddr addr = address(addr_text);
    struct spiffe_id id;
    assert_true(spiffe_id_parse(&id, span_of_text(id_text), NULL));
    destinations_pin(d, &addr, &id, NOW, for_ms);
}

static enum destination_state state_of(struct destinations *d, const char *addr_text, int64_t now) {
    struct netaddr addr = address(addr_text);
    return destinations_look_up(d, &addr, now);
}

static void pins_survive(void **state) {
    (void)state;
    OWNED(destinations_free) struct destinations *before = destinations_new();
    OWNED(destinations_free) struct destinations *after = destinations_new();
    struct buf text = {0};
    struct err err = {0};
    struct destination_miss miss = {.plaintext = true, .why = "x", .for_ms = HOUR};
    struct netaddr missed = address("10.0.0.9");
    pin(before, "10.0.0.1", "spiffe://example.org/ns/a/sa/b", 2 * HOUR);
    pin(before, "fd00::1", "spiffe://other.org/x", 10 * HOUR);
    pin(before, "10.0.0.2", "spiffe://example.org/ended", 1);
    struct netaddr service = address("10.96.0.7");
    uint64_t changes = destinations_pin_changes(before);
    destinations_note_service(before, &service, NOW, 3 * HOUR);
    assert_true(destinations_pin_changes(before) == changes + 1); // to be written
    destinations_miss(before, &missed, &miss, NOW);
    assert_true(pins_render(before, NOW + HOUR, &text));
    assert_true(pins_parse(after, buf_span(&text), NOW + HOUR, 5 * HOUR, &err));
    assert_int_equal(state_of(after, "10.0.0.1", NOW + 2 * HOUR - 1), DESTINATION_PINNED);
    assert_int_equal(state_of(after, "10.0.0.1", NOW + 2 * HOUR), DESTINATION_UNKNOWN);
    assert_int_equal(state_of(after, "10.0.0.2", NOW), DESTINATION_UNKNOWN);
    assert_int_equal(state_of(after, "10.96.0.7", NOW + 3 * HOUR - 1), DESTINATION_SERVICE);
    assert_int_equal(state_of(after, "10.96.0.7", NOW + 3 * HOUR), DESTINATION_UNKNOWN);
    assert_int_equal(state_of(after, "10.0.0.9", NOW + HOUR), DESTINATION_UNKNOWN);
    // No longer than pinFor, whatever the text says.
    assert_int_equal(state_of(after, "fd00::1", NOW + 6 * HOUR - 1), DESTINATION_PINNED);
    assert_int_equal(state_of(after, "fd00::1", NOW + 6 * HOUR), DESTINATION_UNKNOWN);
    struct view view = {0};
    pin(before, "10.0.0.1", "spiffe://example.org/ns/a/sa/b", 2 * HOUR);
    destinations_render(before, &view, NOW + HOUR);
    assert_int_equal(view.num_destinations, 3);
    view_fini(&view);
    buf_fini(&text);
}

static void the_identity_survives(void **state) {
    (void)state;
    OWNED(destinations_free) struct destinations *before = destinations_new();
    OWNED(destinations_free) struct destinations *after = destinations_new();
    char longest[400] = "spiffe://example.org/";
    memset(longest + strlen(longest), 'a', 350);
    struct buf text = {0};
    struct view view = {0};
    pin(before, "10.0.0.1", "spiffe://example.org/ns/a/sa/b", HOUR);
    pin(before, "10.0.0.2", longest, HOUR); // views cut it: half an ID is none
    assert_true(pins_render(before, NOW, &text));
    assert_true(pins_parse(after, buf_span(&text), NOW, HOUR, NULL));
    destinations_render(after, &view, NOW);
    assert_int_equal(view.num_destinations, 2);
    for (size_t i = 0; i < 2; i++) {
        bool first = view.destinations[i].address.ip[3] == 1;
        assert_string_equal(view.destinations[i].peer_id,
                            first ? "spiffe://example.org/ns/a/sa/b" : "");
    }
    view_fini(&view);
    buf_fini(&text);
}

static void damage_costs_its_line(void **state) {
    (void)state;
    static const char text[] = "pavise pins 1\n"
                               "10.0.0.1 1800003600000 spiffe://example.org/a\n"
                               "10.0.0.300 1800003600000 spiffe://example.org/a\n"
                               "10.0.0.2 1800003600000 spiffe://EXAMPLE.org/a\n"
                               "10.0.0.3 x spiffe://example.org/a\n"
                               "10.0.0.4 -1 spiffe://example.org/a\n"
                               "10.0.0.5 1800003600000\n"
                               "10.0.0.6 99999999999999999999999 spiffe://example.org/a\n"
                               "10.0.0.7 1800003600000 spiffe://example.org/a \n"
                               "\n"
                               "10.0.0.8:80 1800003600000 -\n"
                               "10.0.0.9 1800003600000 -\n"
                               "10.0.0.10 999999999999999999 -";
    OWNED(destinations_free) struct destinations *d = destinations_new();
    struct err err = {0};
    assert_false(pins_parse(d, span_of_text(text), NOW, HOUR, &err));
    assert_string_equal(err.msg, "9 of its 12 lines are damaged and left out");
    for (int i = 1; i <= 10; i++) {
        char addr[32];
        snprintf(addr, sizeof addr, "10.0.0.%d", i);
        bool good = i == 1 || i == 9 || i == 10;
        assert_int_equal(state_of(d, addr, NOW), good ? DESTINATION_PINNED : DESTINATION_UNKNOWN);
    }
    assert_false(pins_parse(d, span_of_text("pavise pins 2\n"), NOW, HOUR, &err));
    assert_false(pins_parse(d, span_of(NULL, 0), NOW, HOUR, &err));
    assert_true(pins_parse(d, span_of_text("pavise pins 1\n"), NOW, HOUR, &err));
}

static void changes_are_counted_and_renewals_not(void **state) {
    (void)state;
    OWNED(destinations_free) struct destinations *d = destinations_new();
    struct netaddr addr = address("10.0.0.1");
    assert_int_equal(destinations_pin_changes(d), 0);
    pin(d, "10.0.0.1", "spiffe://example.org/a", HOUR);
    assert_int_equal(destinations_pin_changes(d), 1);
    pin(d, "10.0.0.1", "spiffe://example.org/a", 2 * HOUR);
    assert_int_equal(destinations_pin_changes(d), 1);
    pin(d, "10.0.0.1", "spiffe://example.org/b", 2 * HOUR);
    assert_int_equal(destinations_pin_changes(d), 2);
    assert_true(destinations_forget(d, &addr));
    assert_int_equal(destinations_pin_changes(d), 3);
    struct destination_miss miss = {.why = "x", .for_ms = HOUR};
    destinations_miss(d, &addr, &miss, NOW);
    assert_true(destinations_forget(d, &addr));
    assert_int_equal(destinations_pin_changes(d), 3);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pins_survive),
        cmocka_unit_test(the_identity_survives),
        cmocka_unit_test(damage_costs_its_line),
        cmocka_unit_test(changes_are_counted_and_renewals_not),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
