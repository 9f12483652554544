// Which response goes with which certificate, and until when.
#include "agent/tls/edge_staples.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#define NOW INT64_C(1800000000)

static void test_by_slot_and_time(void **state) {
    (void)state;
    struct edge_staples *staples = edge_staples_new(2);
    assert_non_null(staples);
    CRYPTO_BUFFER *response = CRYPTO_BUFFER_new((const uint8_t *)"x", 1, NULL);
    staples->items[1] = (struct edge_staple){.response = response, .until = NOW + 1};
    assert_ptr_equal(edge_staples_find(staples, 2, NOW), response);
    assert_null(edge_staples_find(staples, 2, NOW + 1));
    assert_null(edge_staples_find(staples, 0, NOW)); // a certificate nobody asks about
    assert_null(edge_staples_find(staples, 1, NOW));
    assert_null(edge_staples_find(staples, 3, NOW));
    assert_null(edge_staples_find(NULL, 2, NOW));
    struct edge_staples *other = edge_staples_ref(staples);
    edge_staples_unref(staples);
    assert_ptr_equal(edge_staples_find(other, 2, NOW), response);
    edge_staples_unref(other);
    edge_staples_unref(NULL);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_by_slot_and_time)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
