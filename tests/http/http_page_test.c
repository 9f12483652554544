#include "agent/http/http_page.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static void test_the_size_that_is_known(void **state) {
    (void)state;
    struct http_page page;
    http_page_render(&page, 400);
    assert_int_equal(page.len, 154);
    assert_memory_equal(page.body, "<html>\r\n<head><title>400 Bad Request</title></head>\r\n", 53);
    assert_non_null(strstr(page.body, "<h1>400 Bad Request</h1>"));
}

static void test_head(void **state) {
    (void)state;
    static const int STATUSES[] = {301, 400, 404, 414, 417, 431, 502, 503, 504, 505, 599};
    for (size_t i = 0; i < sizeof(STATUSES) / sizeof(STATUSES[0]); i++) {
        struct http_page page;
        struct http_fields head = {.num = 0};
        char length[16];
        http_page_render(&page, STATUSES[i]);
        assert_true(page.len > 0);
        assert_true(
            http_page_head(&head, STATUSES[i], &page, span_of_text(i == 0 ? "https://a/" : "")));
        snprintf(length, sizeof(length), "%zu", page.len);
        assert_true(span_equal_text(http_fields_get(&head, "content-length"), length));
        assert_int_equal(http_fields_find(&head, "location") >= 0, i == 0);
        http_fields_fini(&head);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_size_that_is_known),
        cmocka_unit_test(test_head),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
