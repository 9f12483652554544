// Policy decisions against a slow oracle: random rules are kept in a plain form of their own,
// written out as YAML for the real parser, and judged here bit by bit and segment by segment.
#include "agent/policy/policy.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "base/buf.h"
#include "tests/base/prng.h"

#define NUM_CONFIGS 400
#define NUM_QUESTIONS 60
#define RULES_MAX 6
#define ITEMS_MAX 3

static const char *const ids[] = {"spiffe://a/x",           "spiffe://a/ns/x/sa/p",
                                  "spiffe://a/ns/y/sa/q",   "spiffe://b/ns/x/sa/p",
                                  "spiffe://b/ns/x/sa/p/q", "spiffe://aa/x"};
static const char *const patterns[] = {"spiffe://a/x",           "spiffe://a/**",
                                       "spiffe://a/ns/*/sa/p",   "spiffe://b/*/x/*/*",
                                       "spiffe://b/ns/x/sa/p/*", "spiffe://b/ns/x/**"};
static const char *const tls_words[] = {"mesh", "mutual", "passthrough", "deny"};
#define COUNT(array) (sizeof(array) / sizeof *(array))

// One rule, of either kind.
struct plain_rule {
    bool has_nets, has_ports, has_peers;
    size_t num_nets, num_ports, num_peers;
    uint32_t nets[ITEMS_MAX];
    unsigned bits[ITEMS_MAX];
    unsigned firsts[ITEMS_MAX], lasts[ITEMS_MAX];
    const char *peers[ITEMS_MAX];
    unsigned choice; // tls word, or 0 deny and 1 allow
};

struct plain_config {
    struct plain_rule rules[RULES_MAX];
    size_t num;
};

struct question {
    uint32_t ip;
    unsigned port;
    const char *id;
};

static bool coin(struct prng *prng) {
    return prng_below(prng, 2) == 0;
}

// 10.0.{0-3}.{0-3}, seldom 127.0.0.1 or 11.0.0.1.
static uint32_t random_ip(struct prng *prng) {
    switch (prng_below(prng, 12)) {
    case 0:
        return 0x7f000001;
    case 1:
        return 0x0b000001;
    default:
        return 0x0a000000 | (uint32_t)prng_below(prng, 4) << 8 | (uint32_t)prng_below(prng, 4);
    }
}

static struct plain_rule random_rule(struct prng *prng) {
    struct plain_rule rule = {0};
    rule.has_nets = coin(prng);
    rule.num_nets = prng_below(prng, ITEMS_MAX + 1);
    rule.has_ports = coin(prng);
    rule.num_ports = prng_below(prng, ITEMS_MAX + 1);
    rule.has_peers = coin(prng);
    rule.num_peers = prng_below(prng, ITEMS_MAX + 1);
    for (size_t i = 0; i < ITEMS_MAX; i++) {
        rule.bits[i] = 20 + (unsigned)prng_below(prng, 13);
        rule.nets[i] = random_ip(prng) & ~(uint32_t)((UINT64_C(1) << (32 - rule.bits[i])) - 1);
        rule.firsts[i] = 1 + (unsigned)prng_below(prng, 6);
        rule.lasts[i] = rule.firsts[i] + (unsigned)prng_below(prng, 3);
        rule.peers[i] = patterns[prng_below(prng, COUNT(patterns))];
    }
    rule.choice = (unsigned)prng_below(prng, COUNT(tls_words));
    return rule;
}

static struct plain_config random_config(struct prng *prng) {
    struct plain_config plain = {.num = prng_below(prng, RULES_MAX + 1)};
    for (size_t i = 0; i < plain.num; i++) {
        plain.rules[i] = random_rule(prng);
    }
    return plain;
}

static void write_nets(struct buf *out, const struct plain_rule *rule) {
    assert_true(buf_append_text(out, "networks: ["));
    for (size_t i = 0; i < rule->num_nets; i++) {
        uint32_t net = rule->nets[i];
        assert_true(buf_printf(out, "%s%u.%u.%u.%u/%u", i == 0 ? "" : ", ", net >> 24,
                               net >> 16 & 255, net >> 8 & 255, net & 255, rule->bits[i]));
    }
    assert_true(buf_append_text(out, "], "));
}

static void write_ports(struct buf *out, const struct plain_rule *rule) {
    assert_true(buf_append_text(out, "ports: ["));
    for (size_t i = 0; i < rule->num_ports; i++) {
        assert_true(
            buf_printf(out, "%s%u-%u", i == 0 ? "" : ", ", rule->firsts[i], rule->lasts[i]));
    }
    assert_true(buf_append_text(out, "], "));
}

static void write_conditions(struct buf *out, const struct plain_rule *rule) {
    if (rule->has_nets) {
        write_nets(out, rule);
    }
    if (rule->has_ports) {
        write_ports(out, rule);
    }
}

static void write_peers(struct buf *out, const struct plain_rule *rule) {
    assert_true(buf_append_text(out, "peers: ["));
    for (size_t i = 0; i < rule->num_peers; i++) {
        assert_true(buf_printf(out, "%s'%s'", i == 0 ? "" : ", ", rule->peers[i]));
    }
    assert_true(buf_append_text(out, "], "));
}

static bool verifies(const struct plain_rule *rule) {
    return rule->choice <= 1; // mesh, mutual: others may not have peers
}

static struct config *parse(struct buf *text) {
    struct buf errors = {0};
    struct config *config = config_parse("f", buf_span(text), &errors, NULL);
    if (config == NULL) {
        struct span bytes = buf_span(&errors);
        fail_msg("%.*s", (int)bytes.len, (const char *)bytes.ptr);
    }
    buf_fini(text);
    return config;
}

static struct config *outbound_config(const struct plain_config *plain) {
    struct buf text = {0};
    assert_true(buf_append_text(&text, "outbound:\n  mesh: {networks: [10.0.0.0/23]}\n"
                                       "  destinations:\n    [\n"));
    for (size_t i = 0; i < plain->num; i++) {
        const struct plain_rule *rule = &plain->rules[i];
        assert_true(buf_append_text(&text, "    {match: {"));
        write_conditions(&text, rule);
        assert_true(buf_append_text(&text, "}, "));
        if (rule->has_peers && verifies(rule)) {
            write_peers(&text, rule);
        }
        assert_true(buf_printf(&text, "tls: %s},\n", tls_words[rule->choice]));
    }
    assert_true(buf_append_text(&text, "    ]\n"));
    return parse(&text);
}

static struct config *inbound_config(const struct plain_config *plain) {
    struct buf text = {0};
    assert_true(buf_append_text(&text, "inbound:\n  authorization:\n    [\n"));
    for (size_t i = 0; i < plain->num; i++) {
        const struct plain_rule *rule = &plain->rules[i];
        assert_true(buf_append_text(&text, "    {"));
        write_conditions(&text, rule);
        if (rule->has_peers) {
            write_peers(&text, rule);
        }
        assert_true(buf_printf(&text, "action: %s},\n", rule->choice % 2 ? "allow" : "deny"));
    }
    assert_true(buf_append_text(&text, "    ]\n"));
    return parse(&text);
}

// The oracle.

static bool net_has(uint32_t net, unsigned bits, uint32_t ip) {
    for (unsigned bit = 0; bit < bits; bit++) {
        if ((net >> (31 - bit) & 1) != (ip >> (31 - bit) & 1)) {
            return false;
        }
    }
    return true;
}

static bool oracle_conditions(const struct plain_rule *rule, const struct question *question) {
    bool net_ok = !rule->has_nets;
    for (size_t i = 0; rule->has_nets && i < rule->num_nets; i++) {
        net_ok = net_ok || net_has(rule->nets[i], rule->bits[i], question->ip);
    }
    bool port_ok = !rule->has_ports;
    for (size_t i = 0; rule->has_ports && i < rule->num_ports; i++) {
        for (unsigned port = rule->firsts[i]; port <= rule->lasts[i]; port++) {
            port_ok = port_ok || port == question->port;
        }
    }
    return net_ok && port_ok;
}

// Segment by segment; `**` is one or more.
static bool oracle_pattern(const char *pattern, const char *id) {
    size_t pattern_len = strcspn(pattern, "/");
    size_t id_len = strcspn(id, "/");
    if (strcmp(pattern, "**") == 0) {
        return id_len > 0;
    }
    bool star = pattern_len == 1 && pattern[0] == '*';
    if (!star && (pattern_len != id_len || strncmp(pattern, id, id_len) != 0)) {
        return false;
    }
    bool pattern_ends = pattern[pattern_len] == '\0';
    bool id_ends = id[id_len] == '\0';
    if (pattern_ends || id_ends) {
        return pattern_ends && id_ends;
    }
    return oracle_pattern(pattern + pattern_len + 1, id + id_len + 1);
}

static bool oracle_peers(const struct plain_rule *rule, const char *id) {
    for (size_t i = 0; i < rule->num_peers; i++) {
        if (oracle_pattern(rule->peers[i], id)) {
            return true;
        }
    }
    return false;
}

static struct question random_question(struct prng *prng) {
    return (struct question){.ip = random_ip(prng),
                             .port = 1 + (unsigned)prng_below(prng, 9),
                             .id = ids[prng_below(prng, COUNT(ids))]};
}

static struct netaddr address_of(const struct question *question) {
    struct netaddr addr = {.family = NETADDR_V4, .port = (uint16_t)question->port};
    for (unsigned i = 0; i < 4; i++) {
        addr.ip[i] = (uint8_t)(question->ip >> (24 - 8 * i));
    }
    return addr;
}

static void check_outbound(const struct plain_config *plain, const struct config *config,
                           const struct question *question, bool redirected) {
    static const enum outbound_action by_choice[] = {OUTBOUND_TO_MESH, OUTBOUND_TO_MUTUAL,
                                                     OUTBOUND_PLAIN, OUTBOUND_REFUSE};
    struct netaddr destination = address_of(question);
    struct outbound_target target = {.addr = &destination, .redirected = redirected};
    struct outbound_decision decision = policy_outbound_decide(config, NULL, &target);
    if (redirected && question->ip >> 24 == 127) {
        assert_int_equal(decision.action, OUTBOUND_REFUSE_OWN);
        return;
    }
    size_t i = 0;
    while (i < plain->num && !oracle_conditions(&plain->rules[i], question)) {
        i++;
    }
    if (i == plain->num) {
        bool in_mesh = net_has(0x0a000000, 23, question->ip);
        assert_int_equal(decision.action, in_mesh ? OUTBOUND_TRY_MESH : OUTBOUND_PLAIN);
        assert_null(decision.rule);
        return;
    }
    const struct plain_rule *rule = &plain->rules[i];
    assert_int_equal(decision.action, by_choice[rule->choice]);
    assert_ptr_equal(decision.rule, &config->outbound.rules[i]);
    struct spiffe_id id;
    assert_true(spiffe_id_parse(&id, span_of_text(question->id), NULL));
    bool names_peers = rule->has_peers && rule->num_peers > 0 && verifies(rule);
    bool wanted = names_peers ? oracle_peers(rule, question->id)
                              : strncmp(question->id, "spiffe://a/", 11) == 0;
    assert_int_equal(policy_peer_is_acceptable(decision.peers, span_of_text("a"), &id), wanted);
}

static void check_inbound(const struct plain_config *plain, const struct config *config,
                          const struct question *question) {
    struct netaddr source = address_of(question);
    source.port = 40000;
    struct spiffe_id id;
    assert_true(spiffe_id_parse(&id, span_of_text(question->id), NULL));
    struct authorization_decision decision =
        policy_authorize(config, span_of_text("a"), &id, &source, (uint16_t)question->port);
    for (size_t i = 0; i < plain->num; i++) {
        const struct plain_rule *rule = &plain->rules[i];
        if (oracle_conditions(rule, question) &&
            (!rule->has_peers || oracle_peers(rule, question->id))) {
            assert_int_equal(decision.rule, (int)i);
            assert_int_equal(decision.allow, rule->choice % 2);
            return;
        }
    }
    assert_int_equal(decision.rule, -1);
    assert_false(decision.allow);
}

static void test_decisions_are_the_oracles(void **state) {
    (void)state;
    struct prng prng = prng_new();
    for (int i = 0; i < NUM_CONFIGS; i++) {
        struct plain_config plain = random_config(&prng);
        struct config *outbound = outbound_config(&plain);
        struct config *inbound = inbound_config(&plain);
        for (int j = 0; j < NUM_QUESTIONS; j++) {
            struct question question = random_question(&prng);
            check_outbound(&plain, outbound, &question, coin(&prng));
            check_inbound(&plain, inbound, &question);
        }
        config_unref(outbound);
        config_unref(inbound);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_decisions_are_the_oracles)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
