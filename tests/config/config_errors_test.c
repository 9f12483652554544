// Each row: a text with mistakes, and every line that has to be said about it, whole.
#include "agent/config/config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/buf.h"

struct row {
    const char *text;
    const char *errors;
};

static void expect_rows(const struct row *rows, size_t num) {
    for (size_t i = 0; i < num; i++) {
        struct buf errors = {0};
        struct config *config = config_parse("f", span_of_text(rows[i].text), &errors, NULL);
        assert_null(config);
        char *said = buf_take_text(&errors);
        assert_non_null(said);
        if (strcmp(said, rows[i].errors) != 0) {
            fail_msg("\n%s\nis wrong by\n%sand not by\n%s", rows[i].text, rows[i].errors, said);
        }
        free(said);
    }
}

#define EXPECT_ROWS(rows) expect_rows((rows), sizeof(rows) / sizeof *(rows))

static void test_unknown_keys(void **state) {
    (void)state;
    static const struct row rows[] = {
        {"outbond: {}\n", "f:1:1: unknown key \"outbond\"; did you mean \"outbound\"?\n"},
        {"status:\n  Listen: ''\n", "f:2:3: unknown key \"Listen\"; did you mean \"listen\"?\n"},
        {"listen: []\n", "f:1:1: unknown key \"listen\"\n"}, // several sections have one
        {"deadline: 1s\n", "f:1:1: unknown key \"deadline\" here; it belongs inside \"drain\"\n"},
        {"xyzzy: 1\n", "f:1:1: unknown key \"xyzzy\"\n"},
        {"'': 1\n", "f:1:1: unknown key \"\"\n"},
        {"outbound:\n  destinations:\n    - {tls: deny, networks: [10.0.0.0/8]}\n",
         "f:3:19: unknown key \"networks\" here; it belongs inside \"match\"\n"},
        {"inbound: {ports: [{port: 80, tlsmode: disabled}]}\n",
         "f:1:30: unknown key \"tlsmode\"; did you mean \"tlsMode\"?\n"},
    };
    EXPECT_ROWS(rows);
}

static void test_kinds(void **state) {
    (void)state;
    static const struct row rows[] = {
        {"- a\n", "f:1:1: a configuration is a mapping of keys to values, not a list\n"},
        {"just text\n", "f:1:1: a configuration is a mapping of keys to values, not one value\n"},
        {"inbound: [1]\n", "f:1:10: inbound has to be a mapping, not a list\n"},
        {"inbound: {listen: '0.0.0.0:1'}\n", "f:1:19: listen has to be a list, not one value\n"},
        {"inbound:\n  listen:\n", "f:2:10: listen has no value; an empty list is []\n"},
        {"inbound: {listen: [[a]]}\n", "f:1:20: listen has to be one value, not a list\n"},
        {"inbound: {ports: [80]}\n", "f:1:19: ports has to be a list of mappings, not one value\n"},
        {"inbound: {mode: [strict]}\n", "f:1:17: mode has to be one value, not a list\n"},
        {"workers: {a: b}\n", "f:1:10: workers has to be one value, not a mapping\n"},
        {"workers: ~\n", "f:1:10: workers has no value\n"},
        {"status: {health: ~}\n", "f:1:18: health has no value\n"},
        {"identity: {endpoint: ''}\n", "f:1:22: endpoint: must not be empty\n"},
    };
    EXPECT_ROWS(rows);
}

static void test_values(void **state) {
    (void)state;
    static const struct row rows[] = {
        {"inbound: {mode: lax}\n", "f:1:17: mode: \"lax\" is not one of strict, permissive\n"},
        {"identity: {closeAtExpiry: yes}\n",
         "f:1:27: closeAtExpiry: \"yes\" is not true or false\n"},
        {"identity: {closeAtExpiry: 'true'}\n",
         "f:1:27: closeAtExpiry: \"true\" is not true or false\n"},
        {"workers: 0\n", "f:1:10: workers: \"0\" is not auto or a number from 1 to 64\n"},
        {"workers: 65\n", "f:1:10: workers: \"65\" is not auto or a number from 1 to 64\n"},
        {"workers: '4'\n",
         "f:1:10: workers: \"4\" is not auto or a number from 1 to 64 without quotes\n"},
        {"workers: 07\n", "f:1:10: workers: \"07\" is not auto or a number from 1 to 64\n"},
        {"outbound: {mesh: {port: -1}}\n",
         "f:1:25: port: \"-1\" is not a number from 1 to 65535\n"},
        {"outbound: {mesh: {port: 0x10}}\n",
         "f:1:25: port: \"0x10\" is not a number from 1 to 65535\n"},
        {"intercept: {uid: 4294967295}\n",
         "f:1:18: uid: \"4294967295\" is not a number from 0 to 4294967294\n"},
        {"intercept: {uid: 99999999999999999999999}\n",
         "f:1:18: uid: \"99999999999999999999999\" is not a number from 0 to 4294967294\n"},
        {"drain: {deadline: 25}\n",
         "f:1:19: deadline: \"25\" is not a duration like 500ms, 25s, 5m, 24h or 7d\n"},
        {"drain: {deadline: 61m}\n",
         "f:1:19: deadline: \"61m\" is too long a duration, 1h is the most\n"},
        {"outbound: {mesh: {pinFor: 999ms}}\n",
         "f:1:27: pinFor: \"999ms\" is too short a duration, 1s is the least\n"},
        {"intercept: {excludeInterfaces: ['a;b']}\n",
         "f:1:33: excludeInterfaces: \"a;b\": it is not the name of a network interface "
         "(1-15 of A-Z a-z 0-9 . _ -)\n"},
        {"trustStore: {output: here}\n", "f:1:22: output: \"here\": it is not an absolute path\n"},
        {"log: {level: loud}\n",
         "f:1:14: level: \"loud\" is not one of debug, info, warn, error\n"},
    };
    EXPECT_ROWS(rows);
}

static void test_addresses(void **state) {
    (void)state;
    static const struct row rows[] = {
        {"status: {listen: localhost:80}\n",
         "f:1:18: listen: \"localhost:80\" does not begin with an IP address\n"},
        {"inbound: {tunnel: ['0.0.0.0:0']}\n",
         "f:1:20: tunnel: \"0.0.0.0:0\" does not end with a port from 1 to 65535\n"},
        {"inbound: {tunnel: ['0.0.0.0:65536']}\n",
         "f:1:20: tunnel: \"0.0.0.0:65536\" does not end with a port from 1 to 65535\n"},
        {"outbound: {mesh: {networks: [10.0.0.1/8]}}\n",
         "f:1:30: networks: \"10.0.0.1/8\" has bits set behind its prefix length\n"},
        {"outbound: {mesh: {networks: [10.0.0.0/33]}}\n",
         "f:1:30: networks: \"10.0.0.0/33\" has a prefix length that does not fit the address\n"},
        {"intercept: {inbound: {includePorts: [90-80]}}\n",
         "f:1:38: includePorts: \"90-80\" is a range that ends before it starts\n"},
        {"intercept: {inbound: {includePorts: [0, 1-, -1, 1-65536, http]}}\n",
         "f:1:38: includePorts: \"0\" is not a port from 1 to 65535, nor a range like 8000-8010\n"
         "f:1:41: includePorts: \"1-\" is not a port from 1 to 65535, nor a range like 8000-8010\n"
         "f:1:45: includePorts: \"-1\" is not a port from 1 to 65535, nor a range like 8000-8010\n"
         "f:1:49: includePorts: \"1-65536\" is not a port from 1 to 65535, nor a range like "
         "8000-8010\n"
         "f:1:58: includePorts: \"http\" is not a port from 1 to 65535, nor a range like "
         "8000-8010\n"},
    };
    EXPECT_ROWS(rows);
}

static void test_endpoints(void **state) {
    (void)state;
    static const struct row rows[] = {
        {"identity: {endpoint: /run/x}\n",
         "f:1:22: endpoint: \"/run/x\": it has to be unix:///PATH or tcp://IP:PORT\n"},
        {"identity: {endpoint: unix:x}\n",
         "f:1:22: endpoint: \"unix:x\": it has to be unix:///PATH, with an absolute path and no "
         "host\n"},
        {"identity: {endpoint: 'tcp://localhost:80'}\n",
         "f:1:22: endpoint: \"tcp://localhost:80\": after tcp:// there has to be IP:PORT and "
         "nothing else: \"localhost:80\" does not begin with an IP address\n"},
    };
    EXPECT_ROWS(rows);
}

static void test_timeouts_of_a_port(void **state) {
    (void)state;
    static const struct row rows[] = {
        {"inbound: {ports: [{port: 80, readTimeout: 1801s, sendTimeout: 999ms}]}\n",
         "f:1:43: readTimeout: \"1801s\" is too long a duration, 30m is the most\n"
         "f:1:63: sendTimeout: \"999ms\" is too short a duration, 1s is the least\n"},
        {"inbound: {ports: [{port: 80, readTimeout: 999ms, sendTimeout: 1801s}]}\n",
         "f:1:43: readTimeout: \"999ms\" is too short a duration, 1s is the least\n"
         "f:1:63: sendTimeout: \"1801s\" is too long a duration, 30m is the most\n"},
    };
    EXPECT_ROWS(rows);
    struct config *config = config_parse(
        "f",
        span_of_text(
            "inbound: {ports: [{port: 80, readTimeout: 1s, sendTimeout: 1800s}, {port: 81}]}"),
        NULL, NULL);
    assert_non_null(config);
    assert_int_equal(config->inbound.ports[0].edge.http.read_timeout_ms, 1000);
    assert_int_equal(config->inbound.ports[0].edge.http.send_timeout_ms, 1800 * 1000);
    assert_int_equal(config->inbound.ports[1].edge.http.read_timeout_ms, 300 * 1000);
    assert_int_equal(config->inbound.ports[1].edge.http.send_timeout_ms, 60 * 1000);
    config_unref(config);
}

// Nobody is asked where there is a file.
static void test_stapling_from_a_file(void **state) {
    (void)state;
    static const struct row rows[] = {
        {"inbound:\n  ports:\n  - port: 80\n    tlsMode: required\n    clientAuth: none\n"
         "    certificates:\n    - name: a\n      certFile: /c\n      keyFile: /k\n"
         "      stapling:\n        file: /f\n        responder: 'http://x/'\n"
         "        recoveryMaxTries: 3\n",
         "f:12:20: responder: is for a response that a responder is asked for, and this one comes "
         "from file; remove one of them\n"
         "f:13:27: recoveryMaxTries: is for a response that a responder is asked for, and this one "
         "comes from file; remove one of them\n"},
    };
    EXPECT_ROWS(rows);
    struct config *config = config_parse(
        "f",
        span_of_text("inbound: {ports: [{port: 80, tlsMode: required, clientAuth: none, "
                     "certificates: [{name: a, certFile: /c, keyFile: /k, stapling: {file: /f, "
                     "responder: '', enabled: true}}]}]}"),
        NULL, NULL);
    assert_non_null(config);
    config_unref(config);
}

static void test_audit(void **state) {
    (void)state;
    static const struct row rows[] = {
        {"status:\n  audit:\n    address: here\n",
         "f:3:14: address: \"here\": it has no port: HOST:PORT\n"},
        {"status: {audit: {address: 'unix://run/a'}}\n",
         "f:1:27: address: \"unix://run/a\": it has to be unix:///PATH, with an absolute path and "
         "no "
         "host\n"},
        {"status: {audit: {reconnectInterval: 500ms, reconnectMaxAttempts: -1, queueMaxBytes: "
         "1}}\n",
         "f:1:37: reconnectInterval: \"500ms\" is too short a duration, 1s is the least\n"
         "f:1:66: reconnectMaxAttempts: \"-1\" is not a number from 0 to 1000000\n"
         "f:1:85: queueMaxBytes: \"1\" is not a number from 16384 to 67108864\n"},
        {"status: {audit: 'tcp'}\n", "f:1:17: audit has to be a mapping, not one value\n"},
        {"status: {audit: {adress: ''}}\n",
         "f:1:18: unknown key \"adress\"; did you mean \"address\"?\n"},
    };
    EXPECT_ROWS(rows);
}

static void test_all_mistakes_are_said(void **state) {
    (void)state;
    static const struct row rows[] = {
        {"workers: many\n"
         "inbound:\n"
         "  mode: lax\n"
         "  mode: strict\n"
         "  ports:\n"
         "    - {deliver: nowhere}\n"
         "    - {port: *x, tlsMode: !t disabled}\n"
         "nope: 1\n",
         "f:1:10: workers: \"many\" is not auto or a number from 1 to 64\n"
         "f:3:9: mode: \"lax\" is not one of strict, permissive\n"
         "f:4:3: the key \"mode\" was already given in line 3\n"
         "f:6:7: \"port\" is missing here\n"
         "f:6:17: deliver: \"nowhere\" is not an address with a port, like 1.2.3.4:80 or "
         "[::1]:80\n"
         "f:7:14: aliases (*name) are not supported; write the value out\n"
         "f:7:27: tags (!...) are not supported\n"
         "f:8:1: unknown key \"nope\"\n"},
        {"inbound:\n  authorization:\n    - {ports: [1]}\n", "f:3:7: \"action\" is missing here\n"},
    };
    EXPECT_ROWS(rows);
}

static void test_too_long_lists(void **state) {
    (void)state;
    struct buf text = {0};
    assert_true(buf_append_text(&text, "inbound: {tunnel: ["));
    for (int i = 1; i <= 17; i++) {
        assert_true(buf_printf(&text, "'1.2.3.4:%d', ", i));
    }
    assert_true(buf_append_text(&text, "]}"));
    struct buf errors = {0};
    assert_null(config_parse("f", buf_span(&text), &errors, NULL));
    char *said = buf_take_text(&errors);
    assert_string_equal(said, "f:1:19: tunnel has 17 items; at most 16 are allowed\n");
    free(said);
    buf_fini(&text);
}

static void test_files_that_cannot_be_read(void **state) {
    (void)state;
    struct buf errors = {0};
    assert_null(config_load("/nonexistent/file.yaml", &errors, NULL));
    char *said = buf_take_text(&errors);
    assert_non_null(strstr(said, "/nonexistent/file.yaml"));
    assert_int_equal(said[strlen(said) - 1], '\n');
    free(said);
    assert_null(config_load("/", &errors, NULL));
    assert_true(errors.len > 0);
    buf_fini(&errors);
}

// As a full disk leaves it. All defaults would let in more than the file did.
static void test_empty_file_is_refused(void **state) {
    (void)state;
    char path[64];
    int fd = memfd_create("empty.yaml", MFD_CLOEXEC);
    (void)snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
    struct buf errors = {0};
    assert_null(config_load(path, &errors, NULL));
    char *said = buf_take_text(&errors);
    assert_non_null(strstr(said, "the file is empty"));
    free(said);
    close(fd);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_unknown_keys),
        cmocka_unit_test(test_kinds),
        cmocka_unit_test(test_values),
        cmocka_unit_test(test_addresses),
        cmocka_unit_test(test_endpoints),
        cmocka_unit_test(test_timeouts_of_a_port),
        cmocka_unit_test(test_stapling_from_a_file),
        cmocka_unit_test(test_audit),
        cmocka_unit_test(test_all_mistakes_are_said),
        cmocka_unit_test(test_too_long_lists),
        cmocka_unit_test(test_files_that_cannot_be_read),
        cmocka_unit_test(test_empty_file_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
