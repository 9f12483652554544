// What good configurations become, and the answers that they give.
#include "agent/config/config.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#include "base/buf.h"

static struct config *parse(const char *text) {
    struct buf errors = {0};
    struct config *config = config_parse("f", span_of_text(text), &errors, NULL);
    if (config == NULL) {
        struct span bytes = buf_span(&errors);
        print_error("%.*s\n", (int)bytes.len, (const char *)bytes.ptr);
        fail();
    }
    assert_int_equal(errors.len, 0);
    return config;
}

static void expect_addr(const struct netaddr *addr, const char *text) {
    char shown[NETADDR_TEXT_MAX];
    assert_string_equal(netaddr_format(addr, shown), text);
}

static void expect_prefix(const struct netaddr_prefix *prefix, const char *text) {
    char shown[NETADDR_TEXT_MAX];
    assert_string_equal(netaddr_prefix_format(prefix, shown), text);
}

static void test_default_listeners(void **state) {
    (void)state;
    static const char *const texts[] = {"", "# nothing\n", "inbound:\n", "{}", "~"};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        struct config *config = parse(texts[i]);
        assert_int_equal(config->outbound.listen.num, 2);
        expect_addr(&config->outbound.listen.items[0], "127.0.0.1:15001");
        expect_addr(&config->outbound.listen.items[1], "[::1]:15001");
        assert_int_equal(config->inbound.listen.num, 2);
        expect_addr(&config->inbound.listen.items[0], "0.0.0.0:15006");
        expect_addr(&config->inbound.listen.items[1], "[::]:15006");
        assert_int_equal(config->inbound.tunnel.num, 2);
        expect_addr(&config->inbound.tunnel.items[0], "0.0.0.0:15008");
        expect_addr(&config->inbound.tunnel.items[1], "[::]:15008");
        assert_true(config->status.has_listen);
        expect_addr(&config->status.listen, "127.0.0.1:15020");
        assert_false(config->status.has_health);
        config_unref(config);
    }
}

static void test_default_values(void **state) {
    (void)state;
    struct config *config = parse("");
    assert_int_equal(config->identity.source, IDENTITY_WORKLOAD_API);
    assert_null(config->identity.endpoint);
    assert_null(config->identity.hint);
    assert_null(config->identity.spiffe_id);
    assert_false(config->identity.close_at_expiry);
    assert_int_equal(config->outbound.mesh_networks.num, 4);
    expect_prefix(&config->outbound.mesh_networks.items[0], "10.0.0.0/8");
    expect_prefix(&config->outbound.mesh_networks.items[1], "172.16.0.0/12");
    expect_prefix(&config->outbound.mesh_networks.items[2], "192.168.0.0/16");
    expect_prefix(&config->outbound.mesh_networks.items[3], "fc00::/7");
    assert_int_equal(config->outbound.mesh_port, 15008);
    assert_false(config->outbound.mesh_plaintext_when_unreachable);
    assert_false(config->kubernetes_services);
    assert_int_equal(config->outbound.mesh_pin_for_ms, 24 * 3600 * 1000);
    assert_int_equal(config->outbound.mesh_peers.num, 0);
    assert_int_equal(config->outbound.num_rules, 0);
    assert_int_equal(config->outbound.num_listeners, 0);
    assert_true(config->inbound.strict);
    assert_false(config->inbound.has_authorization);
    assert_int_equal(config->inbound.num_ports, 0);
    assert_int_equal(config->intercept.uid, 1337);
    assert_int_equal(config->intercept.num_app_uids, 0);
    assert_false(config->trust_store.is_set);
    assert_false(config->status.quit);
    assert_int_equal(config->drain_deadline_ms, 25000);
    assert_false(config->drain_with_application);
    assert_int_equal(config->workers, 0);
    assert_int_equal(config->log_level, LOG_INFO);
    assert_int_equal(config->log_format, LOG_LOGFMT);
    config_unref(config);
}

static void test_identity_and_rest(void **state) {
    (void)state;
    struct config *config =
        parse("identity:\n"
              "  source: workloadApi\n"
              "  endpoint: unix:///run/pavise/authority.sock\n"
              "  hint: internal\n"
              "  spiffeId: spiffe://example.org/ns/a/sa/b\n"
              "  closeAtExpiry: true\n"
              "drain: {deadline: 500ms, withApplication: true}\n"
              "status: {listen: '[::1]:16020', health: '0.0.0.0:15021', quit: true}\n"
              "log: {level: debug, format: json}\n"
              "workers: 64\n");
    assert_string_equal(config->identity.endpoint, "unix:///run/pavise/authority.sock");
    assert_string_equal(config->identity.hint, "internal");
    assert_string_equal(config->identity.spiffe_id, "spiffe://example.org/ns/a/sa/b");
    assert_true(config->identity.close_at_expiry);
    assert_int_equal(config->drain_deadline_ms, 500);
    assert_true(config->drain_with_application);
    expect_addr(&config->status.listen, "[::1]:16020");
    assert_true(config->status.has_health);
    expect_addr(&config->status.health, "0.0.0.0:15021");
    assert_true(config->status.quit);
    assert_int_equal(config->log_level, LOG_DEBUG);
    assert_int_equal(config->log_format, LOG_JSON);
    assert_int_equal(config->workers, 64);
    config_unref(config);
}

static void test_outbound(void **state) {
    (void)state;
    struct config *config =
        parse("outbound:\n"
              "  listen: []\n"
              "  listeners:\n"
              "    - {listen: '127.0.0.1:7000', destination: '10.0.0.2:6379'}\n"
              "    - {listen: '127.0.0.1:7001', destination: 'redis.internal:6380'}\n"
              "  mesh: {networks: [127.0.0.0/8], port: 16008, onUnreachable: plaintext,\n"
              "         pinFor: 7d, peers: ['spiffe://a.b/**']}\n"
              "  destinations:\n"
              "    - name: config-server\n"
              "      match: {hosts: [a.b, c], networks: [10.0.5.0/24, 'fd00::1'],\n"
              "              ports: [8888, '9000-9010', 1-2]}\n"
              "      tls: mutual\n"
              "      peers: ['spiffe://a.b/ns/x/sa/*']\n"
              "      serverName: config.internal\n"
              "      minVersion: 1.3\n"
              "    - {tls: deny, serverName: ''}\n");
    const struct config_outbound *outbound = &config->outbound;
    assert_int_equal(outbound->listen.num, 0);
    assert_int_equal(outbound->num_listeners, 2);
    expect_addr(&outbound->listeners[0].listen, "127.0.0.1:7000");
    expect_addr(&outbound->listeners[0].destination.addr, "10.0.0.2:6379");
    assert_null(outbound->listeners[0].destination.host);
    assert_string_equal(outbound->listeners[1].destination.host, "redis.internal");
    assert_int_equal(outbound->listeners[1].destination.addr.port, 6380);
    assert_ptr_equal(config_outbound_listener(config, &outbound->listeners[1].listen),
                     &outbound->listeners[1]);
    assert_int_equal(outbound->mesh_port, 16008);
    assert_true(outbound->mesh_plaintext_when_unreachable);
    assert_int_equal(outbound->mesh_pin_for_ms, 7LL * 24 * 3600 * 1000);
    assert_string_equal(outbound->mesh_peers.items[0], "spiffe://a.b/**");
    assert_int_equal(outbound->num_rules, 2);
    const struct outbound_rule *rule = &outbound->rules[0];
    assert_string_equal(rule->name, "config-server");
    assert_true(rule->has_hosts && rule->has_networks && rule->has_ports);
    assert_int_equal(rule->hosts.num, 2);
    assert_string_equal(rule->hosts.items[1], "c");
    expect_prefix(&rule->networks.items[1], "fd00::1/128");
    assert_int_equal(rule->ports.num, 3);
    assert_true(port_list_contains(&rule->ports, 9005));
    assert_false(port_list_contains(&rule->ports, 9011));
    assert_int_equal(rule->tls, OUTBOUND_MUTUAL);
    assert_string_equal(rule->server_name, "config.internal");
    assert_int_equal(rule->min_version, TLS_VERSION_1_3);
    assert_int_equal(rule->line, 9);
    assert_string_equal(outbound->rules[1].name, "destinations[1]");
    assert_int_equal(outbound->rules[1].tls, OUTBOUND_DENY);
    assert_false(outbound->rules[1].has_networks);
    assert_null(outbound->rules[1].server_name);
    assert_int_equal(outbound->rules[1].min_version, TLS_VERSION_1_2);
    assert_true(outbound->rules[1].verify);
    config_unref(config);
}

static void test_inbound(void **state) {
    (void)state;
    struct config *config = parse(
        "inbound:\n"
        "  mode: permissive\n"
        "  authorization:\n"
        "    - {action: deny, networks: [10.9.0.0/16]}\n"
        "    - {action: allow, peers: [], ports: [6379]}\n"
        "  ports:\n"
        "    - {port: 6379, deliver: '127.0.0.1:6379'}\n"
        "    - {port: 80, listen: '10.0.0.1:80', deliver: '127.0.0.1:80', tlsMode: disabled}\n"
        "    - {port: 81, tlsMode: tunnelOnly}\n");
    const struct config_inbound *inbound = &config->inbound;
    assert_false(inbound->strict);
    assert_true(inbound->has_authorization);
    assert_int_equal(inbound->num_authorization, 2);
    assert_false(inbound->authorization[0].allow);
    assert_false(inbound->authorization[0].has_peers);
    assert_true(inbound->authorization[0].has_networks);
    assert_true(inbound->authorization[1].allow);
    assert_true(inbound->authorization[1].has_peers);
    assert_int_equal(inbound->authorization[1].peers.num, 0);
    assert_int_equal(inbound->authorization[1].line, 5);
    assert_null(config_inbound_port(config, 82));
    const struct inbound_port *port = config_inbound_port(config, 80);
    assert_true(port->has_listen && port->has_deliver);
    expect_addr(&port->listen, "10.0.0.1:80");
    assert_int_equal(port->tls_mode, INBOUND_DISABLED);
    assert_int_equal(config_inbound_port(config, 6379)->tls_mode, INBOUND_FOLLOW_MODE);
    assert_int_equal(config_inbound_port(config, 81)->tls_mode, INBOUND_TUNNEL_ONLY);
    config_unref(config);
}

static void test_intercept(void **state) {
    (void)state;
    struct config *config = parse(
        "intercept:\n"
        "  uid: 0\n"
        "  appUids: [1000, 4294967294]\n"
        "  inbound: {includePorts: [80], excludePorts: ['22', 8000-8010]}\n"
        "  outbound: {includePorts: [1-65535], excludePorts: [], includeNetworks: [10.0.0.0/8],\n"
        "             excludeNetworks: [10.1.0.0/16, '::1']}\n"
        "  excludeInterfaces: [docker0]\n"
        "trustStore: {sources: [/etc/pavise/certs], output: /run/pavise/trust}\n");
    const struct config_intercept *intercept = &config->intercept;
    assert_int_equal(intercept->uid, 0);
    assert_int_equal(intercept->num_app_uids, 2);
    assert_int_equal(intercept->app_uids[1], 4294967294);
    assert_int_equal(intercept->inbound_include_ports.num, 1);
    assert_int_equal(intercept->inbound_exclude_ports.items[1].last, 8010);
    assert_true(port_list_contains(&intercept->outbound_include_ports, 65535));
    assert_int_equal(intercept->outbound_include_networks.num, 1);
    assert_int_equal(intercept->outbound_exclude_networks.num, 2);
    assert_string_equal(intercept->exclude_interfaces.items[0], "docker0");
    assert_true(config->trust_store.is_set);
    assert_string_equal(config->trust_store.sources.items[0], "/etc/pavise/certs");
    assert_string_equal(config->trust_store.output, "/run/pavise/trust");
    config_unref(config);
}

static void test_listeners_turn_off(void **state) {
    (void)state;
    static const char *const texts[] = {"status: {listen: ''}", "status: {listen: []}",
                                        "status: {listen: \"\", health: ''}"};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        struct config *config = parse(texts[i]);
        assert_false(config->status.has_listen);
        assert_false(config->status.has_health);
        assert_false(config_is_own_port(config, 15020));
        config_unref(config);
    }
}

static void test_own_ports_and_listeners(void **state) {
    (void)state;
    struct config *config = parse("outbound:\n"
                                  "  listeners:\n"
                                  "    - {listen: '0.0.0.0:7000', destination: '10.0.0.2:7000'}\n"
                                  "status: {health: '0.0.0.0:15021'}\n");
    static const uint16_t own[] = {15001, 15006, 15008, 15020, 15021};
    for (size_t i = 0; i < sizeof own / sizeof *own; i++) {
        assert_true(config_is_own_port(config, own[i]));
    }
    assert_false(config_is_own_port(config, 7000));
    static const struct {
        const char *addr;
        bool own;
    } rows[] = {
        {"127.0.0.1:15001", true}, {"127.0.0.2:15001", false}, {"10.0.0.9:15008", true},
        {"[fd00::9]:15008", true}, {"10.0.0.9:15021", false},  {"127.0.0.1:15021", true},
        {"10.0.0.2:7000", false},  {"127.0.0.3:7000", true},   {"[::1]:7000", false},
        {"127.0.0.1:15020", true}, {"10.0.0.9:15020", false},  {"10.0.0.9:80", false},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct netaddr addr;
        assert_true(netaddr_parse(&addr, span_of_text(rows[i].addr), NULL));
        if (config_is_own_listener(config, &addr) != rows[i].own) {
            fail_msg("%s", rows[i].addr);
        }
    }
    config_unref(config);
}

static void test_references_are_counted(void **state) {
    (void)state;
    struct config *config = parse("workers: 3");
    assert_ptr_equal(config_ref(config), config);
    config_unref(config);
    assert_int_equal(config->workers, 3); // AddressSanitizer sees it if this is too early
    config_unref(config);
    config_unref(NULL);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_default_listeners),
        cmocka_unit_test(test_default_values),
        cmocka_unit_test(test_identity_and_rest),
        cmocka_unit_test(test_outbound),
        cmocka_unit_test(test_inbound),
        cmocka_unit_test(test_intercept),
        cmocka_unit_test(test_listeners_turn_off),
        cmocka_unit_test(test_own_ports_and_listeners),
        cmocka_unit_test(test_references_are_counted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
