// netaddr against slow, independent readings of the same rules.
#include "base/netaddr.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "tests/base/prng.h"

static struct netaddr random_address(struct prng *prng) {
    struct netaddr addr = {0};
    bool v4 = prng_below(prng, 2) == 0;
    addr.family = v4 ? NETADDR_V4 : NETADDR_V6;
    for (size_t i = 0; i < (v4 ? 4u : 16u); i++) {
        // Many zeros, so that "::" comes up.
        addr.ip[i] = (uint8_t)(prng_below(prng, 2) == 0 ? 0 : prng_next(prng));
    }
    if (!v4 && prng_below(prng, 8) == 0) {
        addr.ip[0] = 0xfe;
        addr.ip[1] = (uint8_t)(0x80 + prng_below(prng, 64));
        addr.scope = (uint32_t)prng_next(prng);
    }
    if (!v4 && memcmp(addr.ip, (uint8_t[12]){[10] = 0xff, [11] = 0xff}, 12) == 0) {
        addr.ip[0] = 1;
    }
    addr.port = (uint16_t)(1 + prng_below(prng, 65535));
    return addr;
}

static void test_format_then_parse_is_identity(void **state) {
    (void)state;
    struct prng prng = prng_new();
    for (int i = 0; i < 50000; i++) {
        struct netaddr addr = random_address(&prng), back;
        struct err err = {0};
        char text[NETADDR_TEXT_MAX];
        assert_true(netaddr_parse(&back, span_of_text(netaddr_format(&addr, text)), &err));
        assert_true(netaddr_equal(&addr, &back));
        struct netaddr ip = netaddr_with_port(&addr, 0);
        assert_true(netaddr_parse_ip(&back, span_of_text(netaddr_format_ip(&addr, text)), &err));
        assert_true(netaddr_equal(&ip, &back));
        struct sockaddr_storage sa;
        assert_true(netaddr_to_sockaddr(&addr, &sa) > 0);
        assert_true(netaddr_from_sockaddr(&back, &sa));
        assert_true(netaddr_equal(&addr, &back));
        assert_true(netaddr_hash(&addr, true) == netaddr_hash(&back, true));
    }
}

static int bit_of(const struct netaddr *addr, unsigned bit) {
    return addr->ip[bit / 8] >> (7 - bit % 8) & 1;
}

static bool slow_contains(const struct netaddr_prefix *prefix, const struct netaddr *addr) {
    if (prefix->base.family != addr->family) {
        return false;
    }
    for (unsigned bit = 0; bit < prefix->bits; bit++) {
        if (bit_of(&prefix->base, bit) != bit_of(addr, bit)) {
            return false;
        }
    }
    return true;
}

static void test_prefix_contains_like_bit_by_bit(void **state) {
    (void)state;
    struct prng prng = prng_new();
    int contained = 0;
    for (int i = 0; i < 50000; i++) {
        struct netaddr addr = random_address(&prng);
        struct netaddr_prefix prefix = {.base = random_address(&prng)};
        unsigned most = prefix.base.family == NETADDR_V4 ? 32 : 128;
        prefix.bits = (uint8_t)prng_below(&prng, most + 1);
        if (prng_below(&prng, 2) == 0) { // near misses: one bit of a member flipped
            prefix.base = addr;
            prefix.bits = (uint8_t)prng_below(&prng, (addr.family == NETADDR_V4 ? 32 : 128) + 1);
            unsigned bit = (unsigned)prng_below(&prng, addr.family == NETADDR_V4 ? 32 : 128);
            addr.ip[bit / 8] ^= (uint8_t)(0x80u >> bit % 8);
        }
        bool expected = slow_contains(&prefix, &addr);
        assert_int_equal(netaddr_prefix_contains(&prefix, &addr), expected);
        contained += expected;
    }
    assert_true(contained > 1000);
}

static void test_prefix_parse_demands_clear_host_bits(void **state) {
    (void)state;
    struct prng prng = prng_new();
    for (int i = 0; i < 50000; i++) {
        struct netaddr addr = random_address(&prng);
        addr.scope = 0;
        unsigned most = addr.family == NETADDR_V4 ? 32 : 128;
        unsigned bits = (unsigned)prng_below(&prng, most + 1);
        bool clear = true;
        for (unsigned bit = bits; bit < most; bit++) {
            clear = clear && bit_of(&addr, bit) == 0;
        }
        char ip[NETADDR_TEXT_MAX], text[NETADDR_TEXT_MAX + 8], shown[NETADDR_TEXT_MAX];
        snprintf(text, sizeof text, "%s/%u", netaddr_format_ip(&addr, ip), bits);
        struct netaddr_prefix prefix;
        struct err err = {0};
        assert_int_equal(netaddr_prefix_parse(&prefix, span_of_text(text), &err), clear);
        if (clear) {
            assert_string_equal(netaddr_prefix_format(&prefix, shown), text);
        }
    }
}

// The oracle reads one group at a time, straight from RFC 4291 section 2.2.
static bool slow_number(const char **at, unsigned base, size_t digits, unsigned max,
                        unsigned *out) {
    static const char all[] = "0123456789abcdef";
    const char *start = *at;
    *out = 0;
    for (; **at != '\0'; (*at)++) {
        char c = **at >= 'A' && **at <= 'F' ? (char)(**at - 'A' + 'a') : **at;
        const char *digit = strchr(all, c);
        if (digit == NULL || (unsigned)(digit - all) >= base) {
            break;
        }
        *out = *out * base + (unsigned)(digit - all);
        if ((size_t)(*at - start) >= digits) {
            return false;
        }
    }
    size_t len = (size_t)(*at - start);
    return len > 0 && *out <= max && !(base == 10 && len > 1 && *start == '0');
}

static bool slow_v4(const char *text, uint8_t out[4]) {
    for (int i = 0; i < 4; i++) {
        unsigned octet;
        if (!slow_number(&text, 10, 3, 255, &octet) || *text != (i < 3 ? '.' : '\0')) {
            return false;
        }
        out[i] = (uint8_t)octet;
        text++;
    }
    return true;
}

// Groups up to the end of `text`; the number of bytes, or -1.
static int slow_groups(const char *text, bool v4_at_end, uint8_t out[16]) {
    int len = 0;
    if (*text == '\0') {
        return 0;
    }
    for (;;) {
        unsigned group;
        uint8_t v4[4];
        if (v4_at_end && len <= 12 && slow_v4(text, v4)) {
            memcpy(out + len, v4, 4);
            return len + 4;
        }
        if (len > 14 || !slow_number(&text, 16, 4, 0xffff, &group)) {
            return -1;
        }
        out[len++] = (uint8_t)(group >> 8);
        out[len++] = (uint8_t)group;
        if (*text == '\0') {
            return len;
        }
        if (*text++ != ':') {
            return -1;
        }
    }
}

static bool slow_v6(const char *text, uint8_t out[16]) {
    char head[64];
    uint8_t tail_bytes[16] = {0};
    memset(out, 0, 16);
    const char *gap = strstr(text, "::");
    if (gap == NULL) {
        return slow_groups(text, true, out) == 16;
    }
    snprintf(head, sizeof head, "%.*s", (int)(gap - text), text);
    int head_len = slow_groups(head, false, out);
    int tail_len = slow_groups(gap + 2, true, tail_bytes);
    // "::" stands for at least one group.
    if (head_len < 0 || tail_len < 0 || head_len + tail_len > 14) {
        return false;
    }
    memcpy(out + 16 - tail_len, tail_bytes, (size_t)tail_len);
    return true;
}

static bool slow_parse_ip(const char *text, struct netaddr *out) {
    *out = (struct netaddr){0};
    uint8_t ip[16];
    if (slow_v4(text, out->ip)) {
        out->family = NETADDR_V4;
        return true;
    }
    if (strchr(text, ':') == NULL || !slow_v6(text, ip)) {
        return false;
    }
    if (memcmp(ip, (uint8_t[12]){[10] = 0xff, [11] = 0xff}, 12) == 0) {
        out->family = NETADDR_V4;
        memcpy(out->ip, ip + 12, 4);
        return true;
    }
    out->family = NETADDR_V6;
    memcpy(out->ip, ip, 16);
    return true;
}

// Texts near the grammar: a valid one with a few characters changed, taken out or put in.
static void mutate(struct prng *prng, char *text, size_t max) {
    static const char alphabet[] = "0123456789abcdefF:::...";
    for (uint64_t n = prng_below(prng, 4); n > 0; n--) {
        size_t len = strlen(text), at = (size_t)prng_below(prng, len + 1);
        char c = alphabet[prng_below(prng, sizeof alphabet - 1)];
        uint64_t what = prng_below(prng, 3);
        if (what == 0 && at < len) {
            text[at] = c;
        } else if (what == 1 && at < len) {
            memmove(text + at, text + at + 1, len - at);
        } else if (len + 1 < max) {
            memmove(text + at + 1, text + at, len - at + 1);
            text[at] = c;
        }
    }
}

static void test_parse_ip_like_the_oracle(void **state) {
    (void)state;
    struct prng prng = prng_new();
    int good = 0, bad = 0;
    for (int i = 0; i < 200000; i++) {
        char text[NETADDR_TEXT_MAX];
        struct netaddr addr = random_address(&prng), expected, got;
        addr.scope = 0;
        netaddr_format_ip(&addr, text);
        if (addr.family == NETADDR_V4 && prng_below(&prng, 2) == 0) {
            char v4[NETADDR_TEXT_MAX];
            strcpy(v4, text);
            snprintf(text, sizeof text, "::ffff:%.20s", v4);
        }
        mutate(&prng, text, 45);
        bool ok = slow_parse_ip(text, &expected);
        struct err err = {0};
        if (netaddr_parse_ip(&got, span_of_text(text), &err) != ok) {
            fail_msg("\"%s\": the oracle says %d", text, ok);
        }
        if (ok) {
            assert_true(netaddr_equal(&expected, &got));
        }
        good += ok;
        bad += !ok;
    }
    assert_true(good > 10000 && bad > 10000);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_format_then_parse_is_identity),
        cmocka_unit_test(test_prefix_contains_like_bit_by_bit),
        cmocka_unit_test(test_prefix_parse_demands_clear_host_bits),
        cmocka_unit_test(test_parse_ip_like_the_oracle),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
