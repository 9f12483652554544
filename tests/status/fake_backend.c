#include "tests/status/fake_backend.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/clock.h"
#include "tests/testing/pki_identity.h"

static void collect(void *arg, unsigned parts, struct view *out) {
    const struct view *from = &((struct fake_backend *)arg)->view;
    for (size_t i = 0; (parts & VIEW_CONNECTIONS) != 0 && i < from->num_connections; i++) {
        *view_add_connection(out) = from->connections[i];
    }
    for (size_t i = 0; (parts & VIEW_TUNNELS) != 0 && i < from->num_tunnels; i++) {
        *view_add_tunnel(out) = from->tunnels[i];
    }
    for (size_t i = 0; (parts & VIEW_LISTENERS) != 0 && i < from->num_listeners; i++) {
        *view_add_listener(out) = from->listeners[i];
    }
    for (size_t i = 0; (parts & VIEW_DESTINATIONS) != 0 && i < from->num_destinations; i++) {
        *view_add_destination(out) = from->destinations[i];
    }
    for (size_t i = 0; (parts & VIEW_REFUSALS) != 0 && i < from->num_refusals; i++) {
        *view_add_refusal(out) = from->refusals[i];
    }
    out->workers_missing = from->workers_missing;
}

static void sum_counters(void *arg, struct counter_sums *out) {
    *out = ((struct fake_backend *)arg)->sums;
}

static void identity(void *arg, struct identity_view *out) {
    *out = ((struct fake_backend *)arg)->identity;
    if (out->identity != NULL) {
        out->identity = identity_ref(out->identity);
    }
}

static void reload(void *arg, struct reload_view *out) {
    *out = ((struct fake_backend *)arg)->reload;
}

static void trust(void *arg, struct trust_view *out) {
    *out = ((struct fake_backend *)arg)->trust;
    if (out->set != NULL) {
        trust_set_ref(out->set);
    }
}

static size_t readiness(void *arg, struct readiness out[READINESS_MAX]) {
    const struct fake_backend *fake = arg;
    memcpy(out, fake->checks, sizeof(fake->checks));
    return fake->num_checks;
}

static bool is_alive(void *arg, char *why, size_t why_len) {
    if (!((struct fake_backend *)arg)->alive) {
        (void)snprintf(why, why_len, "worker 1 has not turned for 7s");
        return false;
    }
    return true;
}

static const struct config *config(void *arg) {
    return &((struct fake_backend *)arg)->config;
}

static bool rotate(void *arg, struct err *err) {
    struct fake_backend *fake = arg;
    fake->num_rotate++;
    return fake->rotate_error == NULL || ERR_SET(err, ERR_ENVIRONMENT, "%s", fake->rotate_error);
}

static void drain(void *arg) {
    ((struct fake_backend *)arg)->num_drain++;
}

static void quit(void *arg) {
    ((struct fake_backend *)arg)->num_quit++;
}

static bool forget(void *arg, const struct netaddr *address) {
    struct fake_backend *fake = arg;
    struct netaddr known;
    fake->num_forget++;
    fake->forgotten = *address;
    assert_true(netaddr_parse_ip(&known, span_of_text("10.0.0.1"), NULL));
    return netaddr_equal(&known, address);
}

static struct netaddr address(const char *text) {
    struct netaddr out;
    assert_true(netaddr_parse(&out, span_of_text(text), NULL));
    return out;
}

static void add_traffic(struct view *view, int64_t now_ms) {
    *view_add_connection(view) = (struct connection_view){
        .id = 7,
        .direction = OUTBOUND,
        .state = "open",
        .security = "mutual_tls",
        .source = address("10.0.0.2:40000"),
        .destination = address("10.0.0.1:6379"),
        .via = address("10.0.0.1:15008"),
        .own_id = FAKE_BACKEND_ID,
        .peer_id = "spiffe://example.org/ns/default/sa/redis",
        .peer_serial = "0a1b",
        .peer_not_after = now_ms / 1000 + 3000,
        .opened_at_ms = now_ms - 90000,
        .bytes_sent = 1536,
        .bytes_received = 70000000,
        .tunnel_id = 3,
    };
    *view_add_tunnel(view) = (struct tunnel_view){
        .id = 3,
        .direction = OUTBOUND,
        .state = "open",
        .peer = address("10.0.0.1:15008"),
        .own_id = FAKE_BACKEND_ID,
        .own_serial = "ff01",
        .peer_id = "spiffe://example.org/ns/default/sa/redis",
        .peer_serial = "0a1b",
        .peer_not_after = now_ms / 1000 + 3000,
        .identity_generation = 4,
        .streams_open = 1,
        .streams_total = 12,
        .opened_at_ms = now_ms - 100000,
        .tls_version = "TLSv1.3",
        .cipher = "TLS_AES_128_GCM_SHA256",
        .group = "X25519Kyber768Draft00",
        .aead = "boringssl",
        .worker = 1,
    };
}

static void add_rest(struct view *view, int64_t now_ms) {
    *view_add_listener(view) = (struct listener_view){
        .kind = "explicit",
        .address = address("127.0.0.1:7000"),
        .destination = address("10.0.0.1:6379"),
        .mode = "",
        .accepting = true,
    };
    *view_add_destination(view) = (struct destination_view){
        .address = netaddr_with_port(&view->tunnels[0].peer, 0),
        .state = "pinned",
        .peer_id = "spiffe://example.org/ns/default/sa/redis",
        .since_ms = now_ms - 100000,
        .until_ms = now_ms + 86000000,
    };
    *view_add_refusal(view) = (struct refusal_view){
        .at_ms = now_ms - 5000,
        .direction = INBOUND,
        .reason = CLOSE_UNAUTHORIZED,
        .source = address("10.0.0.9:50000"),
        .destination = address("10.0.0.2:8080"),
        .peer_id = "spiffe://example.org/ns/default/sa/other",
        .detail = "port 8080 is for spiffe://example.org/ns/*/sa/front only",
    };
}

void fake_backend_init(struct fake_backend *fake) {
    int64_t now_ms = clock_wall_ms();
    memset(fake, 0, sizeof(*fake));
    OWNED(pki_free) struct pki_cert *ca = pki_ca();
    struct pki_options options = {
        .uris = {span_of_text(FAKE_BACKEND_ID)},
        .not_before = now_ms / 1000 - 60,
        .not_after = now_ms / 1000 + 3600,
    };
    OWNED(svid_unref) struct svid *svid = pki_svid_with(ca, &options);
    OWNED(bundle_set_unref) struct bundle_set *bundles = pki_bundles("example.org", ca);
    fake->identity.identity = identity_new(4, &svid, 1, bundles);
    assert_non_null(fake->identity.identity);
    fake->identity.state = IDENTITY_VALID;
    fake->identity.counts = (struct identity_counts){.rotations = 3, .updates = 4, .refused = 1};
    fake->identity.source_kind = "workloadApi";
    fake->identity.source.state = SOURCE_CONNECTED;
    fake->identity.last_change_ms = now_ms - 60000;
    fake->reload = (struct reload_view){.last_successful = true, .last_success_ms = now_ms};
    fake->checks[0] = (struct readiness){.check = "listeners", .ready = true};
    fake->checks[1] = (struct readiness){.check = "identity", .ready = true};
    fake->num_checks = 2;
    fake->alive = true;
    add_traffic(&fake->view, now_ms);
    add_rest(&fake->view, now_ms);
}

static void audit(void *arg, struct audit_view *out) {
    *out = ((struct fake_backend *)arg)->audit;
}

static size_t sandbox(void *arg, struct sandbox_view out[SANDBOX_VIEW_MAX]) {
    (void)arg;
    out[0] = (struct sandbox_view){.layer = "landlock", .is_on = false};
    out[1] = (struct sandbox_view){.layer = "seccomp", .is_on = true};
    return 2;
}

void fake_backend_fini(struct fake_backend *fake) {
    identity_unref(fake->identity.identity);
    view_fini(&fake->view);
}

struct status_backend fake_backend_ops(struct fake_backend *fake) {
    return (struct status_backend){
        .arg = fake,
        .collect = collect,
        .sum_counters = sum_counters,
        .identity = identity,
        .reload = reload,
        .trust = trust,
        .audit = audit,
        .readiness = readiness,
        .is_alive = is_alive,
        .sandbox = sandbox,
        .config = config,
        .rotate = rotate,
        .drain = drain,
        .quit = quit,
        .forget = forget,
    };
}
