// /trust as `pavise status trust` prints it.
#include "agent/command/status_trust.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#define NOW_MS (INT64_C(1800000000) * 1000) // 2027-01-15T08:00:00Z

static void expect(const char *json, const char *wanted) {
    struct buf out = {0};
    struct err err = {0};
    if (!status_trust_render(span_of_text(json), NOW_MS, &out, &err)) {
        fail_msg("%s", err.msg);
    }
    char *text = buf_take_text(&out);
    assert_string_equal(text, wanted);
    free(text);
}

static void a_store(void **state) {
    (void)state;
    expect("{\"state\": \"written\", \"generation\": 3, \"writtenAt\": \"2027-01-15T07:59:00Z\","
           " \"output\": \"/run/trust\", \"lastError\": \"\","
           " \"publicRoots\": {\"source\": \"/roots\", \"certificates\": 140},"
           " \"processes\": [{\"pid\": 7, \"command\": \"java\", \"restartNeeded\": true,"
           "   \"startedAt\": \"2027-01-15T07:00:00Z\"}, {\"pid\": 8, \"restartNeeded\": false}],"
           " \"certificates\": [{\"name\": \"corp\", \"subjectName\": \"CN=Corp\","
           "   \"thumbprint\": \"ab\", \"expirationDate\": \"2027-01-15T09:00:00Z\","
           "   \"warnings\": [\"weak\", \"notCa\"], \"source\": \"/s/corp.pem\"}],"
           " \"problems\": [{\"source\": \"/s/x\", \"reason\": \"it is empty\"}]}",
           "state        written, generation 3, 1m ago\n"
           "output       /run/trust\n"
           "public roots 140 from /roots\n"
           "process      restart needed: java (pid 7) started 1h 0m ago, before the store changed\n"
           "\n"
           "NAME  SUBJECT  THUMBPRINT (SHA-1)  EXPIRES   WARNINGS     SOURCE\n"
           "corp  CN=Corp  ab                  in 1h 0m  weak, notCa  /s/corp.pem\n"
           "\n"
           "PROBLEM  REASON\n"
           "/s/x     it is empty\n");
}

static void nothing(void **state) {
    (void)state;
    expect("{\"state\": \"off\"}", "The configuration has no trustStore section.\n");
    expect("{\"state\": \"pending\", \"lastError\": \"why\"}",
           "state        pending\n"
           "last error   why\n"
           "public roots 0\n"
           "\n"
           "There is no certificate of the user's.\n");
}

static void what_is_no_status_port(void **state) {
    (void)state;
    struct buf out = {0};
    struct err err = {0};
    assert_false(status_trust_render(span_of_text("[]"), NOW_MS, &out, &err));
    assert_false(status_trust_render(span_of_text("{"), NOW_MS, &out, &err));
    assert_int_equal(err.class, ERR_INPUT);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_store),
        cmocka_unit_test(nothing),
        cmocka_unit_test(what_is_no_status_port),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
