// Values that are fine alone and not together; and what is accepted with a warning.
#include "agent/config/config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/buf.h"

struct row {
    const char *text;
    const char *errors; // "": accepted
    const char *warnings;
};

static void expect_said(const struct row *row, struct buf *said, const char *wanted) {
    char *text = buf_take_text(said);
    assert_non_null(text);
    if (strcmp(text, wanted) != 0) {
        fail_msg("\n%s\nsays\n%sand not\n%s", row->text, text, wanted);
    }
    free(text);
}

static void expect_rows(const struct row *rows, size_t num) {
    for (size_t i = 0; i < num; i++) {
        struct buf errors = {0};
        struct buf warnings = {0};
        struct config *config = config_parse("f", span_of_text(rows[i].text), &errors, &warnings);
        expect_said(&rows[i], &errors, rows[i].errors);
        expect_said(&rows[i], &warnings, rows[i].warnings == NULL ? "" : rows[i].warnings);
        assert_int_equal(config != NULL, rows[i].errors[0] == '\0');
        config_unref(config);
    }
}

#define EXPECT_ROWS(rows) expect_rows((rows), sizeof(rows) / sizeof *(rows))

static void test_clashes(void **state) {
    (void)state;
    static const struct row rows[] = {
        {"inbound: {tunnel: ['0.0.0.0:15006']}\n",
         "f:1:20: inbound.tunnel: 0.0.0.0:15006 is taken by inbound.listen\n", NULL},
        {"inbound: {tunnel: ['10.0.0.1:15006']}\n", // the wildcard takes it
         "f:1:20: inbound.tunnel: 10.0.0.1:15006 is taken by inbound.listen\n", NULL},
        {"inbound: {tunnel: ['[::1]:15006']}\n",
         "f:1:20: inbound.tunnel: [::1]:15006 is taken by inbound.listen\n", NULL},
        {"outbound: {listen: ['0.0.0.0:15020']}\n", // with the default of status.listen
         "f:1:21: outbound.listen: 0.0.0.0:15020 is taken by status.listen\n", NULL},
        {"outbound: {listen: ['127.0.0.1:1', '127.0.0.1:1']}\n",
         "f:1:36: outbound.listen: 127.0.0.1:1 is taken by outbound.listen\n", NULL},
        {"outbound:\n  listeners:\n"
         "    - {listen: '127.0.0.1:7000', destination: '10.0.0.2:1'}\n"
         "    - {listen: '127.0.0.1:7000', destination: '10.0.0.2:2'}\n",
         "f:4:16: outbound.listeners: 127.0.0.1:7000 is taken by outbound.listeners\n", NULL},
        {"status: {health: '127.0.0.1:15020'}\n",
         "f:1:18: status.health: 127.0.0.1:15020 is taken by status.listen\n", NULL},
        {"inbound:\n  mode: permissive\n  ports:\n"
         "    - {port: 80, listen: '0.0.0.0:15008', deliver: '127.0.0.1:80'}\n",
         "f:4:26: inbound.ports: 0.0.0.0:15008 is taken by inbound.tunnel\n", NULL},
        {"outbound: {listen: ['127.0.0.1:1', '127.0.0.2:1', '[::1]:1']}\n", "", NULL},
        {"inbound: {tunnel: ['0.0.0.0:1', '[::]:1']}\n", "", NULL},
        {"inbound: {listen: [], tunnel: ['0.0.0.0:15006']}\n", "", NULL},
    };
    EXPECT_ROWS(rows);
}

static void test_explicit_listeners(void **state) {
    (void)state;
    static const struct row rows[] = {
        {"outbound: {listeners: [{listen: '127.0.0.1:7000', destination: '127.0.0.1:7000'}]}\n",
         "f:1:64: destination: this is one of the agent's own listeners, a loop\n", NULL},
        {"outbound: {listeners: [{listen: '127.0.0.1:7000', destination: '10.0.0.9:15008'}]}\n",
         "f:1:64: destination: this is one of the agent's own listeners, a loop\n", NULL},
        {"outbound: {listeners: [{listen: '127.0.0.1:7000', destination: '0.0.0.0:80'}]}\n",
         "f:1:64: destination: connections cannot go to the unspecified address\n", NULL},
        {"outbound: {listeners: [{listen: '0.0.0.0:7000', destination: '10.0.0.9:7000'}]}\n", "",
         "f:1:33: warning: listen: whoever reaches this address acts with this host's "
         "identity\n"},
        {"outbound: {listeners: [{listen: '127.0.0.1:7000', destination: '127.0.0.2:7000'}]}\n", "",
         NULL},
    };
    EXPECT_ROWS(rows);
}

static void test_destinations(void **state) {
    (void)state;
    static const struct row rows[] = {
        {"outbound: {destinations: [{tls: deny, peers: ['spiffe://a/b']}]}\n",
         "f:1:39: peers: tls: deny verifies nobody\n", NULL},
        {"outbound: {destinations: [{tls: passthrough, peers: ['spiffe://a/b']}]}\n",
         "f:1:46: peers: tls: passthrough verifies nobody\n", NULL},
        {"outbound: {destinations: [{serverName: a.b}]}\n",
         "f:1:28: serverName: only tls: mutual and tls: simple use it, and this rule says tls: "
         "mesh\n",
         NULL},
        {"outbound: {destinations: [{tls: mutual, serverName: a.b}]}\n", "", NULL},
        {"outbound: {destinations: [{tls: mutual, minVersion: '1.3'}]}\n", "", NULL},
        {"outbound: {destinations: [{tls: mesh, minVersion: '1.3'}]}\n", "", NULL},
        {"outbound: {destinations: [{tls: deny, minVersion: '1.3'}]}\n",
         "f:1:39: minVersion: only tls: mutual and tls: simple use it, and this rule says tls: "
         "deny\n",
         NULL},
        {"outbound: {destinations: [{tls: passthrough, minVersion: '1.3'}]}\n",
         "f:1:46: minVersion: only tls: mutual and tls: simple use it, and this rule says tls: "
         "passthrough\n",
         NULL},
        {"outbound: {destinations: [{tls: simple}]}\n", "", NULL},
        {"outbound: {destinations: [{tls: simple, serverCerts: [{file: /a}]}]}\n", "", NULL},
        {"outbound: {destinations: [{tls: simple, serverCerts: []}]}\n",
         "f:1:41: serverCerts: an empty list would let no server be verified\n", NULL},
        {"outbound: {destinations: [{tls: simple, serverCerts: [{name: a, file: /a}]}]}\n",
         "f:1:55: serverCerts: an item is a name of trustStore.certificates or {file: PATH}\n",
         NULL},
        {"outbound: {destinations: [{tls: mutual, ciphers: A}]}\n",
         "f:1:41: ciphers: tls: mutual has them only with serverCerts\n", NULL},
        {"outbound: {destinations: [{tls: simple, peers: ['spiffe://a/b']}]}\n",
         "f:1:41: peers: SPIFFE IDs are verified by the SPIFFE bundle alone, so only by tls: "
         "mutual "
         "without serverCerts\n",
         NULL},
        {"outbound: {destinations: [{tls: simple, verify: false}]}\n", "",
         "f:1:41: warning: verify: whoever answers at the address is taken for the server\n"},
        {"outbound: {destinations: [{tls: deny, serverCerts: [{file: /a}]}]}\n",
         "f:1:39: serverCerts: only tls: mutual and tls: simple use it, and this rule says tls: "
         "deny\n",
         NULL},
        {"outbound: {destinations: [{match: {hosts: []}}]}\n", "",
         "f:1:35: warning: match: an empty list matches nothing, so this rule never applies\n"},
        {"outbound: {destinations: [{match: {ports: []}}]}\n", "",
         "f:1:35: warning: match: an empty list matches nothing, so this rule never applies\n"},
        {"outbound:\n  destinations:\n    - {tls: deny}\n    - {tls: mesh}\n", "",
         "f:4:7: warning: this rule is never reached: the one in line 3 matches everything\n"},
        // A rule with a mistake of its own is not judged further.
        {"outbound: {destinations: [{tls: other, serverName: a.b}]}\n",
         "f:1:33: tls: \"other\" is not one of mesh, mutual, simple, passthrough, deny\n", NULL},
    };
    EXPECT_ROWS(rows);
}

static void test_what_servers_are_shown_and_asked(void **state) {
    (void)state;
    static const struct row rows[] = {
        {"outbound: {certificates: [{name: a, certFile: /a, keyFile: /b}], destinations:\n"
         " [{match: {ports: [1]}, tls: mutual, serverCerts: [{file: /a}], clientCert: a, alpn: "
         "[h2]},\n"
         "  {match: {ports: [2]}, tls: mutual, clientCert: workload}]}\n",
         "", NULL},
        {"outbound: {destinations: [{tls: mutual, clientCert: a}]}\n",
         "f:1:41: clientCert: needs serverCerts: the SPIFFE bundle judges only servers that are "
         "shown the workload certificate\n",
         NULL},
        {"outbound: {destinations: [{tls: simple, clientCert: a}]}\n",
         "f:1:41: clientCert: only tls: mutual shows a certificate\n", NULL},
        {"outbound: {destinations: [{tls: mutual, serverCerts: [{file: /a}], clientCert: b}]}\n",
         "f:1:68: clientCert: there is no outbound.certificates entry of this name\n", NULL},
        {"outbound: {certificates: [{name: workload, certFile: /a, keyFile: /b},\n"
         "  {name: a, certFile: /a, keyFile: /b}, {name: a, certFile: /a, keyFile: /b}]}\n",
         "f:1:27: name: \"workload\" is the workload certificate's\n"
         "f:2:41: name: there is a certificate a already\n",
         NULL},
        {"outbound: {destinations: [{tls: simple, authorizedSubjects: [{CN: a}]}]}\n", "", NULL},
        {"outbound: {destinations: [{tls: simple, authorizedSubjects: []}]}\n",
         "f:1:41: authorizedSubjects: an empty list would let no server be verified\n", NULL},
        {"outbound: {destinations: [{tls: mutual, authorizedSubjects: [{CN: a}]}]}\n",
         "f:1:41: authorizedSubjects: tls: mutual has them only with serverCerts\n", NULL},
        {"outbound: {destinations: [{tls: deny, alpn: [h2]}]}\n",
         "f:1:39: alpn: only tls: mutual and tls: simple use it, and this rule says tls: deny\n",
         NULL},
    };
    EXPECT_ROWS(rows);
}

static void test_authorization(void **state) {
    (void)state;
    static const struct row rows[] = {
        {"inbound:\n  authorization:\n    - {action: deny}\n    - {action: allow}\n", "",
         "f:4:7: warning: this rule is never reached: the one in line 3 matches everything\n"},
        {"inbound: {authorization: []}\n", "", NULL},
    };
    EXPECT_ROWS(rows);
}

static void test_ports(void **state) {
    (void)state;
    static const struct row rows[] = {
        {"inbound:\n  ports:\n    - {port: 80}\n    - {port: 80}\n",
         "f:4:14: port: there is an entry for 80 in line 3 already\n", NULL},
        {"inbound: {ports: [{port: 15008}]}\n",
         "f:1:26: port: 15008 is a port of the agent itself, not of the application\n", NULL},
        {"inbound: {mode: permissive, ports: [{port: 80, listen: '10.0.0.1:80'}]}\n",
         "f:1:48: listen needs deliver: another address or port, where the application is\n", NULL},
        {"inbound: {mode: permissive,\n"
         " ports: [{port: 80, listen: '10.0.0.1:80', deliver: '10.0.0.1:80'}]}\n",
         "f:2:53: deliver: the agent itself listens there (inbound.ports: 10.0.0.1:80), so this "
         "would be a loop\n",
         NULL},
        {"inbound: {mode: permissive,\n"
         " ports: [{port: 80, listen: '0.0.0.0:80', deliver: '127.0.0.1:80'}]}\n",
         "f:2:52: deliver: the agent itself listens there (inbound.ports: 0.0.0.0:80), so this "
         "would be a loop\n",
         NULL},
        {"inbound: {ports: [{port: 80, deliver: '127.0.0.1:15020'}]}\n",
         "f:1:39: deliver: the agent itself listens there (status.listen: 127.0.0.1:15020), so "
         "this would be a loop\n",
         NULL},
        {"inbound: {ports: [{port: 80, deliver: '0.0.0.0:81'}]}\n",
         "f:1:39: deliver: connections cannot go to the unspecified address\n", NULL},
        {"inbound: {ports: [{port: 80, listen: '10.0.0.1:80', deliver: '127.0.0.1:80'}]}\n", "",
         "f:1:30: warning: listen: direct connections to this port are all refused (tlsMode and "
         "mode)\n"},
        {"inbound: {ports: [{port: 80, listen: '10.0.0.1:80', deliver: '127.0.0.1:80',\n"
         "  tlsMode: disabled}]}\n",
         "", NULL},
    };
    EXPECT_ROWS(rows);
}

static void test_the_rest(void **state) {
    (void)state;
    static const struct row rows[] = {
        {"status: {listen: '0.0.0.0:15020'}\n",
         "f:1:18: listen: the status port has to be on a loopback address; status.health is for "
         "probes from outside\n",
         NULL},
        {"status: {listen: '[::1]:15020'}\n", "", NULL},
        {"status: {audit: {address: '127.0.0.1:15020'}}\n",
         "f:1:27: address: the agent itself listens there (status.listen), so this would be a "
         "loop\n",
         NULL},
        {"status: {audit: {address: '10.0.0.1:15008'}}\n",
         "f:1:27: address: the agent itself listens there (inbound.tunnel), so this would be a "
         "loop\n",
         NULL},
        {"status: {audit: {address: '0.0.0.0:9'}}\n",
         "f:1:27: address: connections cannot go to the unspecified address\n", NULL},
        {"outbound: {listeners: [{listen: '127.0.0.1:9', destination: '10.0.0.1:9'}]}\n"
         "status: {audit: {address: '127.0.0.1:9'}}\n",
         "", NULL}, // by way of mutual TLS
        {"status: {audit: {address: 'collector.example:15008'}}\n", "", NULL},
        {"status: {health: '0.0.0.0:9', probes: [{container: a, probe: livez, port: 80},\n"
         "  {container: a, probe: readyz, port: 80}, {container: b, probe: livez, port: 80}]}\n",
         "", NULL},
        {"status: {health: '0.0.0.0:9', probes: [{container: a, probe: livez, port: 80},\n"
         "  {container: a, probe: livez, port: 81}]}\n",
         "f:2:3: this probe of a was already given in line 1\n", NULL},
        {"status: {health: '0.0.0.0:9', probes: [{container: a, probe: livez, port: 15008}]}\n",
         "f:1:75: port: the agent itself listens at 15008\n", NULL},
        {"status: {probes: [{container: a, probe: livez, port: 80}]}\n",
         "f:1:10: probes: they are answered at status.health, which is not set\n", NULL},
        // What could not be read is not judged as well.
        {"status: {listen: nowhere}\n",
         "f:1:18: listen: \"nowhere\" is not an address with a port, like 1.2.3.4:80 or "
         "[::1]:80\n",
         NULL},
        {"intercept: {uid: 0, appUids: [x]}\n",
         "f:1:31: appUids: \"x\" is not a number from 0 to 4294967294\n", NULL},
        {"intercept: {uid: 5, appUids: [4, 5]}\n",
         "f:1:34: appUids: 5 is the agent's own uid, which is never captured\n", NULL},
        {"trustStore: {sources: [/a]}\n", "", NULL},
    };
    EXPECT_ROWS(rows);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_clashes),
        cmocka_unit_test(test_explicit_listeners),
        cmocka_unit_test(test_destinations),
        cmocka_unit_test(test_what_servers_are_shown_and_asked),
        cmocka_unit_test(test_authorization),
        cmocka_unit_test(test_ports),
        cmocka_unit_test(test_the_rest),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
