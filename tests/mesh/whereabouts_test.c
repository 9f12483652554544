#include "agent/mesh/whereabouts.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void test_question(void **state) {
    (void)state;
    struct span question = whereabouts_question();
    assert_int_equal(question.len, WHEREABOUTS_QUESTION_LEN);
    assert_int_equal(question.ptr[0], 0);
    assert_true(whereabouts_is_question(question));
    for (size_t len = 0; len < question.len; len++) {
        assert_false(whereabouts_is_question(span_of(question.ptr, len)));
    }
    uint8_t bytes[WHEREABOUTS_QUESTION_LEN + 1] = {0};
    memcpy(bytes, question.ptr, question.len);
    assert_true(whereabouts_is_question(span_of(bytes, sizeof bytes)));
    for (size_t i = 0; i < question.len; i++) {
        bytes[i] ^= 1;
        assert_false(whereabouts_is_question(span_of(bytes, sizeof bytes)));
        bytes[i] ^= 1;
    }
}

static void test_answers_come_back(void **state) {
    (void)state;
    static const char *const PODS[] = {"10.215.0.7:6379", "[fd00::7]:80",
                                       "[2001:db8:ffff:ffff:ffff:ffff:ffff:ffff]:65535"};
    for (size_t i = 0; i < sizeof PODS / sizeof PODS[0]; i++) {
        struct netaddr pod, got;
        char text[WHEREABOUTS_ANSWER_MAX];
        assert_true(netaddr_parse(&pod, span_of_text(PODS[i]), NULL));
        size_t len = whereabouts_answer(&pod, text);
        assert_int_equal(len, strlen(PODS[i]) + 1);
        for (size_t part = 0; part < len; part++) {
            assert_int_equal(whereabouts_parse(span_of((uint8_t *)text, part), &got),
                             WHEREABOUTS_INCOMPLETE);
        }
        assert_int_equal(whereabouts_parse(span_of((uint8_t *)text, len), &got), WHEREABOUTS_KNOWN);
        assert_true(netaddr_equal(&pod, &got));
    }
}

static void test_nonsense(void **state) {
    (void)state;
    static const char *const ANSWERS[] = {"\n",
                                          "10.0.0.1\n",
                                          "10.0.0.1:0\n",
                                          "10.0.0.1:65536\n",
                                          "pod:80\n",
                                          "0.0.0.0:80\n",
                                          "127.0.0.1:80\n",
                                          "[::1]:80\n",
                                          "[::]:80\n",
                                          "[::ffff:127.0.0.1]:80\n",
                                          "10.0.0.1:80\nmore",
                                          "10.0.0.1:80\r\n",
                                          " 10.0.0.1:80\n",
                                          "SSH-2.0-OpenSSH_9.2\r\n",
                                          "-ERR unknown command\r\n"};
    struct netaddr got;
    for (size_t i = 0; i < sizeof ANSWERS / sizeof ANSWERS[0]; i++) {
        assert_int_equal(whereabouts_parse(span_of_text(ANSWERS[i]), &got), WHEREABOUTS_NONSENSE);
    }
    char endless[WHEREABOUTS_ANSWER_MAX];
    memset(endless, '1', sizeof endless);
    assert_int_equal(whereabouts_parse(span_of((uint8_t *)endless, sizeof endless), &got),
                     WHEREABOUTS_NONSENSE);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_question),
        cmocka_unit_test(test_answers_come_back),
        cmocka_unit_test(test_nonsense),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
