#include "agent/policy/policy.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#include "base/buf.h"

static struct config *parse(const char *text) {
    struct buf errors = {0};
    struct config *config = config_parse("f", span_of_text(text), &errors, NULL);
    if (config == NULL) {
        struct span bytes = buf_span(&errors);
        fail_msg("%.*s", (int)bytes.len, (const char *)bytes.ptr);
    }
    return config;
}

static struct netaddr addr(const char *text) {
    struct netaddr out;
    assert_true(netaddr_parse(&out, span_of_text(text), NULL));
    return out;
}

static struct spiffe_id id(const char *text) {
    struct spiffe_id out;
    assert_true(spiffe_id_parse(&out, span_of_text(text), NULL));
    return out;
}

static const char outbound_text[] =
    "outbound:\n"
    "  listeners:\n"
    "    - {listen: '127.0.0.1:7000', destination: '10.0.0.2:6379'}\n"
    "  mesh: {peers: ['spiffe://mesh.peers/a']}\n"
    "  destinations:\n"
    "    - {match: {ports: [53]}, tls: passthrough}\n"
    "    - {match: {networks: [10.0.5.0/24], ports: [8888]}, tls: mutual, serverName: a.b}\n"
    "    - {match: {networks: [10.0.0.0/16], ports: [1-99]}, tls: mesh}\n"
    "    - {match: {networks: [10.0.0.0/16], ports: [100]}, tls: mesh, peers: ['spiffe://r/x']}\n"
    "    - {match: {networks: [10.6.0.0/16, 'fd00::/64']}, tls: deny}\n"
    "    - {match: {networks: []}, tls: deny}\n";

struct outbound_row {
    const char *destination;
    bool redirected;
    enum outbound_action action;
    int rule;
    const char *peer; // the only pattern; NULL: none
};

static struct outbound_decision decide(const struct config *config, const struct host_table *hosts,
                                       const struct netaddr *destination, bool redirected) {
    struct outbound_target target = {.addr = destination, .redirected = redirected};
    return policy_outbound_decide(config, hosts, &target);
}

static void expect_outbound(const struct config *config, const struct outbound_row *row) {
    struct netaddr destination = addr(row->destination);
    struct outbound_decision decision = decide(config, NULL, &destination, row->redirected);
    if (decision.action != row->action) {
        fail_msg("%s: %d", row->destination, (int)decision.action);
    }
    assert_ptr_equal(decision.rule, row->rule < 0 ? NULL : &config->outbound.rules[row->rule]);
    assert_non_null(decision.peers);
    assert_int_equal(decision.peers->num, row->peer != NULL);
    if (row->peer != NULL) {
        assert_string_equal(decision.peers->items[0], row->peer);
    }
}

static void test_rules_with_lists_of_their_own(void **state) {
    (void)state;
    static const struct {
        const char *rule;
        enum outbound_action action;
    } rows[] = {
        {"tls: simple", OUTBOUND_TO_SERVER},
        {"tls: mutual", OUTBOUND_TO_MUTUAL},
        {"tls: mutual, serverCerts: [{file: /a}]", OUTBOUND_TO_SERVER},
        {"tls: mutual, verify: false", OUTBOUND_TO_SERVER},
    };
    struct netaddr destination = addr("1.2.3.4:80");
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        char text[128];
        snprintf(text, sizeof text, "outbound: {destinations: [{%s}]}", rows[i].rule);
        struct config *config = parse(text);
        struct outbound_decision decision = decide(config, NULL, &destination, true);
        assert_int_equal(decision.action, rows[i].action);
        assert_ptr_equal(decision.rule, &config->outbound.rules[0]);
        config_unref(config);
    }
}

// Has answered: a.example is 192.0.2.1, b.example does not exist; c.example is not known.
static struct host_table *some_hosts(const struct config *config) {
    struct host_table *table = host_table_new(config, NULL);
    assert_non_null(table);
    struct resolve_job found = {.outcome = RESOLVE_FOUND, .result = {.num = 1}};
    struct resolve_job absent = {.outcome = RESOLVE_ABSENT};
    found.result.addr[0] = addr("192.0.2.1:1");
    host_table_learn(table, &table->entries[0], &found, 1);
    host_table_learn(table, &table->entries[1], &absent, 1);
    return table;
}

static void test_hosts(void **state) {
    (void)state;
    static const struct {
        const char *destination;
        const char *host; // of the listener
        int rule;
        enum outbound_action action;
        const char *matched;
    } rows[] = {
        {"192.0.2.1:80", NULL, 0, OUTBOUND_TO_SERVER, "a.example"},
        {"192.0.2.1:81", NULL, 1, OUTBOUND_UNRESOLVED, NULL},
        {"192.0.2.2:80", NULL, 1, OUTBOUND_UNRESOLVED, NULL},
        {"192.0.2.2:90", NULL, -1, OUTBOUND_PLAIN, NULL},
        {"192.0.2.2:81", "C.example", 1, OUTBOUND_REFUSE, "c.example"},
        {"192.0.2.2:80", "b.example", 0, OUTBOUND_TO_SERVER, "b.example"},
        {"192.0.2.2:90", "d.example", -1, OUTBOUND_PLAIN, "d.example"},
        {"198.51.100.1:90", NULL, 2, OUTBOUND_UNRESOLVED, NULL},
    };
    struct config *config =
        parse("outbound: {destinations: [\n"
              "  {match: {hosts: [a.example, b.example], ports: [80]}, tls: simple},\n"
              "  {match: {hosts: [c.example], ports: [80, 81]}, tls: deny},\n"
              "  {match: {hosts: [c.example], networks: [198.51.100.0/24]}, tls: deny}]}");
    struct host_table *hosts = some_hosts(config);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct netaddr destination = addr(rows[i].destination);
        struct outbound_target target = {
            .addr = &destination, .host = rows[i].host, .redirected = true};
        struct outbound_decision decision = policy_outbound_decide(config, hosts, &target);
        if (decision.action != rows[i].action) {
            fail_msg("row %zu: %d", i, (int)decision.action);
        }
        assert_ptr_equal(decision.rule,
                         rows[i].rule < 0 ? NULL : &config->outbound.rules[rows[i].rule]);
        assert_true((decision.host == NULL) == (rows[i].matched == NULL));
        if (rows[i].matched != NULL) {
            assert_string_equal(decision.host, rows[i].matched);
        }
    }
    host_table_unref(hosts);
    struct netaddr destination = addr("192.0.2.1:80"); // nothing is known without a table
    assert_int_equal(decide(config, NULL, &destination, true).action, OUTBOUND_UNRESOLVED);
    config_unref(config);
}

static void test_outbound(void **state) {
    (void)state;
    static const char mesh_peer[] = "spiffe://mesh.peers/a";
    static const struct outbound_row rows[] = {
        {"1.2.3.4:53", true, OUTBOUND_PLAIN, 0, NULL},
        {"10.0.5.1:8888", true, OUTBOUND_TO_MUTUAL, 1, NULL},
        {"10.0.5.1:80", true, OUTBOUND_TO_MESH, 2, mesh_peer},
        {"10.0.5.1:100", true, OUTBOUND_TO_MESH, 3, "spiffe://r/x"},
        {"10.6.0.1:80", true, OUTBOUND_REFUSE, 4, NULL},
        {"[fd00::1]:80", true, OUTBOUND_REFUSE, 4, NULL},
        {"10.0.0.1:101", true, OUTBOUND_TRY_MESH, -1, mesh_peer},
        {"[fd00:1::1]:80", true, OUTBOUND_TRY_MESH, -1, mesh_peer},
        {"1.2.3.4:80", true, OUTBOUND_PLAIN, -1, mesh_peer},
        {"[2001:db8::1]:80", false, OUTBOUND_PLAIN, -1, mesh_peer},
        // loopback: only explicit listeners may go there, and nobody to the agent itself
        {"127.0.0.1:80", true, OUTBOUND_REFUSE_OWN, -1, mesh_peer},
        {"127.1.2.3:53", true, OUTBOUND_REFUSE_OWN, -1, mesh_peer},
        {"[::1]:80", true, OUTBOUND_REFUSE_OWN, -1, mesh_peer},
        {"[::ffff:127.0.0.1]:80", true, OUTBOUND_REFUSE_OWN, -1, mesh_peer},
        {"127.0.0.1:80", false, OUTBOUND_PLAIN, -1, mesh_peer},
        {"127.0.0.1:15001", false, OUTBOUND_REFUSE_OWN, -1, mesh_peer},
        {"127.0.0.1:7000", false, OUTBOUND_REFUSE_OWN, -1, mesh_peer},
        {"127.0.0.1:15020", false, OUTBOUND_REFUSE_OWN, -1, mesh_peer},
        {"10.0.0.1:15006", true, OUTBOUND_REFUSE_OWN, -1, mesh_peer},
        {"10.0.0.1:15008", false, OUTBOUND_REFUSE_OWN, -1, mesh_peer},
        {"0.0.0.0:80", false, OUTBOUND_REFUSE_OWN, -1, mesh_peer},
        {"[::]:80", false, OUTBOUND_REFUSE_OWN, -1, mesh_peer},
    };
    struct config *config = parse(outbound_text);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        expect_outbound(config, &rows[i]);
    }
    config_unref(config);
}

static void test_peers(void **state) {
    (void)state;
    char *items[] = {"spiffe://b/ns/*/sa/web", "spiffe://b/x/**"};
    struct string_list none = {0};
    struct string_list two = {.items = items, .num = 2};
    struct span own = span_of_text("a");
    struct spiffe_id a = id("spiffe://a/x/y");
    struct spiffe_id web = id("spiffe://b/ns/n/sa/web");
    struct spiffe_id deep = id("spiffe://b/x/y/z");
    struct spiffe_id top = id("spiffe://b/x");
    assert_true(policy_peer_is_acceptable(&none, own, &a));
    assert_false(policy_peer_is_acceptable(&none, own, &web));
    assert_false(policy_peer_is_acceptable(&none, span_of_text("a.a"), &a));
    assert_false(policy_peer_is_acceptable(&none, span_of(NULL, 0), &a));
    assert_false(policy_peer_is_acceptable(&two, own, &a)); // a list replaces the default
    assert_true(policy_peer_is_acceptable(&two, own, &web));
    assert_true(policy_peer_is_acceptable(&two, own, &deep));
    assert_false(policy_peer_is_acceptable(&two, own, &top));
}

static void expect_authorization(const struct config *config, const char *peer, const char *from,
                                 uint16_t port, struct authorization_decision wanted) {
    struct spiffe_id who = id(peer);
    struct netaddr source = addr(from);
    struct authorization_decision decision =
        policy_authorize(config, span_of_text("a"), &who, &source, port);
    assert_int_equal(decision.allow, wanted.allow);
    assert_int_equal(decision.rule, wanted.rule);
}

static void test_authorization(void **state) {
    (void)state;
    struct config *config =
        parse("inbound:\n"
              "  authorization:\n"
              "    - {action: deny, networks: [10.9.0.0/16]}\n"
              "    - {action: allow, peers: ['spiffe://a/ns/*/sa/web'], ports: [6379, 80-81]}\n"
              "    - {action: allow, peers: [], ports: [1]}\n"
              "    - {action: deny, peers: ['spiffe://a/**'], ports: [2]}\n"
              "    - {action: allow, ports: [2]}\n");
    const struct {
        const char *peer, *from;
        uint16_t port;
        struct authorization_decision wanted;
    } rows[] = {
        {"spiffe://a/ns/x/sa/web", "10.9.0.1:5", 6379, {false, 0}},
        {"spiffe://a/ns/x/sa/web", "10.8.0.1:5", 6379, {true, 1}},
        {"spiffe://a/ns/x/sa/web", "10.8.0.1:5", 81, {true, 1}},
        {"spiffe://a/ns/x/sa/web", "10.8.0.1:5", 82, {false, -1}},
        {"spiffe://a/ns/x/sa/api", "[fd00::1]:5", 80, {false, -1}},
        {"spiffe://a/x", "10.8.0.1:5", 1, {false, -1}}, // an empty list matches nobody
        {"spiffe://a/x", "10.8.0.1:5", 2, {false, 3}},
        {"spiffe://b/x", "10.8.0.1:5", 2, {true, 4}},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        expect_authorization(config, rows[i].peer, rows[i].from, rows[i].port, rows[i].wanted);
    }
    config_unref(config);
}

static void test_authorization_by_default(void **state) {
    (void)state;
    struct config *absent = parse("");
    struct config *empty = parse("inbound: {authorization: []}");
    struct authorization_decision yes = {true, -1}, no = {false, -1};
    expect_authorization(absent, "spiffe://a/x", "10.0.0.1:1", 80, yes);
    expect_authorization(absent, "spiffe://b/x", "10.0.0.1:1", 80, no);
    expect_authorization(absent, "spiffe://a.b/x", "10.0.0.1:1", 80, no);
    expect_authorization(empty, "spiffe://a/x", "10.0.0.1:1", 80, no);
    config_unref(absent);
    config_unref(empty);
}

static void test_direct_connections(void **state) {
    (void)state;
    struct config *strict = parse("inbound: {ports: [{port: 1, tlsMode: disabled}, {port: 2},\n"
                                  "  {port: 3, tlsMode: tunnelOnly}]}");
    struct config *permissive =
        parse("inbound: {mode: permissive, ports: [{port: 1, tlsMode: disabled},\n"
              "  {port: 2}, {port: 3, tlsMode: tunnelOnly}]}");
    assert_int_equal(policy_inbound_direct_decide(strict, 1), INBOUND_PASS);
    assert_int_equal(policy_inbound_direct_decide(strict, 2), INBOUND_REFUSE);
    assert_int_equal(policy_inbound_direct_decide(strict, 3), INBOUND_REFUSE);
    assert_int_equal(policy_inbound_direct_decide(strict, 4), INBOUND_REFUSE);
    assert_int_equal(policy_inbound_direct_decide(permissive, 1), INBOUND_PASS);
    assert_int_equal(policy_inbound_direct_decide(permissive, 2), INBOUND_PASS);
    assert_int_equal(policy_inbound_direct_decide(permissive, 3), INBOUND_REFUSE);
    assert_int_equal(policy_inbound_direct_decide(permissive, 4), INBOUND_PASS);
    config_unref(strict);
    config_unref(permissive);
}

static void expect_target(const struct config *config, const char *authority, bool is_own,
                          const char *wanted) {
    struct netaddr asked = addr(authority);
    struct netaddr before = addr("9.9.9.9:9");
    struct netaddr deliver = before;
    const char *why = policy_connect_target(config, &asked, is_own, &deliver);
    if ((why == NULL) != (wanted != NULL)) {
        fail_msg("%s: %s", authority, why == NULL ? "accepted" : why);
    }
    struct netaddr target = wanted == NULL ? before : addr(wanted);
    assert_true(netaddr_equal(&deliver, &target));
}

static void test_connect_targets(void **state) {
    (void)state;
    struct config *config =
        parse("outbound: {listeners: [{listen: '0.0.0.0:7000', destination: '10.0.0.2:1'}]}\n"
              "inbound: {mode: permissive, ports: [{port: 6379, deliver: '127.0.0.1:6380'},\n"
              "  {port: 80, listen: '10.0.0.1:8080', deliver: '127.0.0.1:80'}, {port: 81}]}\n"
              "status: {health: '0.0.0.0:15021'}\n");
    expect_target(config, "10.0.0.1:5000", true, "10.0.0.1:5000");
    expect_target(config, "[fd00::1]:5000", true, "[fd00::1]:5000");
    expect_target(config, "10.0.0.1:81", true, "10.0.0.1:81");
    expect_target(config, "10.0.0.1:6379", true, "127.0.0.1:6380");
    expect_target(config, "127.0.0.2:6379", true, "127.0.0.1:6380");
    expect_target(config, "[::1]:80", true, "127.0.0.1:80");
    expect_target(config, "10.0.0.9:5000", false, NULL); // foreign
    expect_target(config, "10.0.0.9:6379", false, NULL); // deliver does not change that
    expect_target(config, "0.0.0.0:5000", true, NULL);
    expect_target(config, "127.0.0.1:5000", true, NULL);
    expect_target(config, "[::1]:81", true, NULL); // an entry without deliver
    static const uint16_t own[] = {15001, 15006, 15008, 15020, 15021};
    for (size_t i = 0; i < sizeof own / sizeof *own; i++) {
        struct netaddr asked =
            netaddr_with_port(&(struct netaddr){.family = NETADDR_V4, .ip = {10, 0, 0, 1}}, own[i]);
        struct netaddr deliver;
        assert_non_null(policy_connect_target(config, &asked, true, &deliver));
    }
    expect_target(config, "10.0.0.1:7000", true, NULL); // would use this host's identity
    expect_target(config, "10.0.0.1:8080", true, NULL);
    expect_target(config, "10.0.0.3:8080", true, "10.0.0.3:8080");
    config_unref(config);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rules_with_lists_of_their_own),
        cmocka_unit_test(test_outbound),
        cmocka_unit_test(test_hosts),
        cmocka_unit_test(test_peers),
        cmocka_unit_test(test_authorization),
        cmocka_unit_test(test_authorization_by_default),
        cmocka_unit_test(test_direct_connections),
        cmocka_unit_test(test_connect_targets),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
