#include "agent/status/page.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "agent/status/page_assets.h"
#include "base/clock.h"
#include "tests/status/fake_backend.h"

#define NONCE "00112233445566778899aabbccddeeff"

static char *render(const struct fake_backend *fake) {
    struct buf out = {0};
    struct page_input input = {
        .tables = {.identity = &fake->identity,
                   .view = &fake->view,
                   .trust = &fake->trust,
                   .now_ms = clock_wall_ms()},
        .checks = fake->checks,
        .num_checks = fake->num_checks,
        .nonce = NONCE,
    };
    assert_true(page_render(&out, &input));
    char *text = buf_take_text(&out);
    assert_non_null(text);
    return text;
}

static void test_shows_everything(void **state UNUSED) {
    struct fake_backend fake;
    fake_backend_init(&fake);
    char *text = render(&fake);
    static const char *const words[] = {
        FAKE_BACKEND_ID, "spiffe://example.org/ns/default/sa/redis",
        "10.0.0.1:6379", "127.0.0.1:7000",
        "pinned",        "X25519Kyber768Draft00",
        "1.5 KiB",       "inbound.authorization refused the peer",
        ">59m<",         "<progress max=\"100\" value=\"98\"",
        ">ready</span>", "<p id=\"pending\" hidden>",
    };
    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
        if (strstr(text, words[i]) == NULL) {
            fail_msg("the page does not say %s", words[i]);
        }
    }
    free(text);
    fake_backend_fini(&fake);
}

static void test_says_what_is_pending(void **state UNUSED) {
    struct fake_backend fake;
    fake_backend_init(&fake);
    identity_unref(take(&fake.identity.identity));
    fake.identity.state = IDENTITY_PENDING;
    fake.checks[1].ready = false;
    (void)snprintf(fake.checks[1].pending, sizeof(fake.checks[1].pending),
                   "waiting for <the> source");
    char *text = render(&fake);
    assert_non_null(strstr(text, "identity: waiting for &lt;the&gt; source"));
    assert_non_null(strstr(text, ">not ready</span>"));
    assert_non_null(strstr(text, "There is no certificate yet."));
    free(text);
    fake_backend_fini(&fake);
}

// No tag but our own, whatever a peer calls itself.
static void test_hostile_text(void **state UNUSED) {
    static const char hostile[] = "\"'><script>alert(1)</script><img src=x onerror=alert(1)>\xff";
    struct fake_backend fake;
    fake_backend_init(&fake);
    (void)snprintf(fake.view.connections[0].peer_id, 256, "%s", hostile);
    (void)snprintf(fake.view.connections[0].rule, 64, "%s", hostile);
    (void)snprintf(fake.view.tunnels[0].peer_serial, SVID_SERIAL_TEXT_MAX, "%.40s", hostile);
    (void)snprintf(fake.view.destinations[0].last_error, 128, "%s", hostile);
    (void)snprintf(fake.view.refusals[0].detail, 256, "%s", hostile);
    (void)snprintf(fake.identity.source.last_error, 512, "%s", hostile);
    char *text = render(&fake);
    assert_null(strstr(text, "<script>"));
    assert_null(strstr(text, "<img"));
    assert_null(strstr(text, "\"'>"));
    assert_null(strchr(text, '\xff'));
    size_t scripts = 0;
    for (const char *at = strstr(text, "<script"); at != NULL; at = strstr(at + 1, "<script")) {
        assert_memory_equal(at, "<script nonce=\"" NONCE "\">", 24);
        scripts++;
    }
    assert_int_equal(scripts, 1);
    free(text);
    fake_backend_fini(&fake);
}

static void test_size_is_bounded(void **state UNUSED) {
    struct fake_backend fake;
    fake_backend_init(&fake);
    for (size_t i = 0; i < 3000; i++) {
        struct connection_view *c = view_add_connection(&fake.view);
        *c = fake.view.connections[0];
        memset(c->peer_id, '"', sizeof(c->peer_id) - 1);
        struct tunnel_view *t = view_add_tunnel(&fake.view);
        *t = fake.view.tunnels[0];
        memset(t->peer_id, '<', sizeof(t->peer_id) - 1);
        struct refusal_view *r = view_add_refusal(&fake.view);
        *r = fake.view.refusals[0];
        memset(r->detail, '\'', sizeof(r->detail) - 1);
        struct destination_view *d = view_add_destination(&fake.view);
        *d = fake.view.destinations[0];
    }
    char *text = render(&fake);
    assert_true(strlen(text) < 50000);
    assert_non_null(strstr(text, "id=\"n-connections\">3001<"));
    assert_non_null(strstr(text, "id=\"m-connections\">There are more"));
    assert_non_null(strstr(text, "id=\"m-listeners\" hidden>"));
    free(text);
    fake_backend_fini(&fake);
}

static void test_no_other_asset(void **state UNUSED) {
    struct fake_backend fake;
    fake_backend_init(&fake);
    char *text = render(&fake);
    assert_null(strstr(text, "http://"));
    assert_null(strstr(text, "https://"));
    assert_null(strstr(text, "innerHTML"));
    assert_null(strstr(text, " style=")); // the policy would not let it work
    assert_null(strstr(text, " onclick="));
    assert_null(strstr(page_assets_script(), "</script"));
    assert_null(strstr(page_assets_style(), "url("));
    free(text);
    fake_backend_fini(&fake);
}

static void test_policy(void **state UNUSED) {
    char policy[320];
    page_policy(NONCE, policy, sizeof(policy));
    assert_memory_equal(policy, "default-src 'none'; ", 20);
    assert_non_null(strstr(policy, "script-src 'nonce-" NONCE "'; "));
    assert_non_null(strstr(policy, "frame-ancestors 'none'")); // all of it fitted
    assert_null(strstr(policy, "unsafe"));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_shows_everything), cmocka_unit_test(test_says_what_is_pending),
        cmocka_unit_test(test_hostile_text),     cmocka_unit_test(test_size_is_bounded),
        cmocka_unit_test(test_no_other_asset),   cmocka_unit_test(test_policy),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
