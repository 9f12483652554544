// From a malicious, clumsy or unlucky Workload API server through the source to the store (class
// 13, class 19): the last good identity stays, nothing opens, and what is removed is gone. Nothing
// is asserted about time; every wait ends with what is waited for.
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

#include "certmgr/grpc_code.h"
#include "certmgr/identity_store.h"
#include "certmgr/workload_codec.h"
#include "tests/certmgr/update_fixture.h"
#include "tests/certmgr/workload_bench.h"
#include "tests/testing/pki_identity.h"

#define WEB "spiffe://example.org/web"
#define OTHER "spiffe://example.org/other"
#define FLOOD 1000

struct world {
    struct workload_bench *bench;
    struct identity_store *store;
    struct pki_cert *ca;
};

static int set_up(void **state) {
    struct world *world = calloc(1, sizeof(*world));
    assert_non_null(world);
    void *bench = NULL;
    assert_int_equal(workload_bench_set_up(&bench), 0);
    world->bench = bench;
    world->store = identity_store_new((struct identity_choice){0});
    world->ca = pki_ca();
    *state = world;
    return 0;
}

static int tear_down(void **state) {
    struct world *world = *state;
    void *bench = world->bench;
    workload_bench_tear_down(&bench);
    identity_store_free(world->store);
    pki_free(world->ca);
    free(world);
    return 0;
}

// The wire of an update, which is freed.
static struct span wire_of(struct update *update, struct buf *out) {
    struct err err;
    assert_true(workload_encode_svids(update, out, &err));
    update_free(update);
    return buf_span(out);
}

// Takes the source's next update to the store.
static enum identity_outcome feed(struct world *world) {
    struct update *update = sink_probe_update(&world->bench->probe);
    assert_non_null(update);
    return update_fixture_apply(world->store, update, PKI_NOW, NULL);
}

static void assert_in_force(const struct world *world, const char *id) {
    struct identity *identity = identity_store_current(world->store, PKI_NOW);
    assert_non_null(identity);
    assert_string_equal(svid_id(identity_svid(identity))->text, id);
}

static void serve_and_take(struct world *world, const struct fake_call *script, const char *id) {
    workload_bench_serve(world->bench, script, 1);
    workload_bench_fetch(world->bench);
    assert_int_equal(feed(world), IDENTITY_CHANGED);
    assert_in_force(world, id);
}

// The server's next call says `message`, and the source is made to call.
static void say_next(struct world *world, struct fake_call *call) {
    fake_workload_api_script(world->bench->fake, call, 1);
    source_refresh(world->bench->source);
}

static void absent_fields_are_removed(void **state) {
    struct world *world = *state;
    struct pki_bytes *crl OWNED(pki_bytes_free) =
        pki_crl(world->ca, NULL, PKI_NOW - 1000, PKI_NOW + 1000);
    struct update *update = update_new(2, 1, 1);
    assert_non_null(update);
    update_fixture_fill(&update->svids[0], world->ca,
                        &(struct pki_options){.uris = {span_of_text(WEB)}});
    update_fixture_fill(&update->svids[1], world->ca,
                        &(struct pki_options){.uris = {span_of_text("spiffe://second/x")}});
    update_fixture_set(&update->federated[0].trust_domain_id, span_of_text("spiffe://friend"));
    update_fixture_set(&update->federated[0].der, pki_der(world->ca));
    update_fixture_set(&update->crls[0], pki_span(crl));
    struct buf full = {0};
    struct buf bare = {0};
    struct span full_wire = wire_of(update, &full);
    struct span bare_wire = wire_of(pki_update(world->ca, WEB), &bare);
    struct fake_call first = {.messages = &full_wire, .num_messages = 1, .hold = true};
    struct fake_call second = {.messages = &bare_wire, .num_messages = 1, .hold = true};
    serve_and_take(world, &first, WEB);
    const struct identity *identity = identity_store_current(world->store, PKI_NOW);
    assert_int_equal(identity_num_svids(identity), 2);
    assert_int_equal(bundle_set_num_domains(identity_bundles(identity)), 3);
    assert_true(bundle_set_has_crls(identity_bundles(identity)));
    say_next(world, &second);
    assert_int_equal(feed(world), IDENTITY_CHANGED);
    identity = identity_store_current(world->store, PKI_NOW);
    assert_int_equal(identity_num_svids(identity), 1);
    assert_int_equal(bundle_set_num_domains(identity_bundles(identity)), 1);
    assert_false(bundle_set_has_crls(identity_bundles(identity)));
    source_free(take(&world->bench->source));
    fake_workload_api_free(take(&world->bench->fake));
    buf_fini(&full);
    buf_fini(&bare);
}

// One defect each, in an update that is otherwise good.
enum defect {
    DEFECT_WRONG_KEY,
    DEFECT_FOREIGN_ID,
    DEFECT_FOREIGN_BUNDLE,
    DEFECT_CUT_CHAIN,
    DEFECT_CUT_KEY,
    DEFECT_CUT_BUNDLE,
    DEFECT_PADDED_CHAIN,
    DEFECT_HUGE_CHAIN,
    DEFECT_EXPIRED,
    DEFECT_COUNT,
};

static void cut(struct update_bytes *bytes) {
    bytes->len -= 7;
}

static struct update *defective(const struct pki_cert *ca, enum defect defect) {
    struct pki_cert *stranger OWNED(pki_free) = pki_ca();
    struct pki_cert *leaf OWNED(pki_free) = pki_leaf(ca, WEB);
    struct update *update = pki_update(ca, WEB);
    struct update_svid *svid = &update->svids[0];
    struct pki_options expired = {.uris = {span_of_text(WEB)}, .not_after = PKI_NOW - 1};
    uint8_t *huge = calloc(1, 1024 * 1024);
    assert_non_null(huge);
    switch (defect) {
    case DEFECT_WRONG_KEY:
        update_fixture_set(&svid->key, pki_key_der(leaf));
        break;
    case DEFECT_FOREIGN_ID:
        update_fixture_set(&svid->spiffe_id, span_of_text(OTHER));
        break;
    case DEFECT_FOREIGN_BUNDLE:
        update_fixture_set(&svid->bundle, pki_der(stranger));
        break;
    case DEFECT_CUT_CHAIN:
        cut(&svid->chain);
        break;
    case DEFECT_CUT_KEY:
        cut(&svid->key);
        break;
    case DEFECT_CUT_BUNDLE:
        cut(&svid->bundle);
        break;
    case DEFECT_PADDED_CHAIN:
        svid->chain.ptr = realloc(svid->chain.ptr, svid->chain.len + 1);
        assert_non_null(svid->chain.ptr);
        svid->chain.ptr[svid->chain.len++] = 0;
        break;
    case DEFECT_HUGE_CHAIN: // one leaf, then as many of its issuer as fit
        for (size_t len = 0; len + pki_der(ca).len <= 1024 * 1024; len += pki_der(ca).len) {
            memcpy(huge + len, len == 0 ? svid->chain.ptr : pki_der(ca).ptr,
                   len == 0 ? svid->chain.len : pki_der(ca).len);
        }
        update_fixture_set(&svid->chain, span_of(huge, 1024 * 1024));
        break;
    case DEFECT_EXPIRED:
        update_fixture_fill(svid, ca, &expired);
        break;
    case DEFECT_COUNT:
        break;
    }
    free(huge);
    return update;
}

static void every_defect_leaves_the_last_good_identity(void **state) {
    struct world *world = *state;
    struct buf good = {0};
    struct span good_wire = wire_of(pki_update(world->ca, OTHER), &good);
    struct fake_call first = {.messages = &good_wire, .num_messages = 1, .hold = true};
    serve_and_take(world, &first, OTHER);
    const struct identity *identity = identity_store_current(world->store, PKI_NOW);
    for (enum defect defect = 0; defect < DEFECT_COUNT; defect++) {
        struct buf bad = {0};
        struct span bad_wire = wire_of(defective(world->ca, defect), &bad);
        struct fake_call call = {.messages = &bad_wire, .num_messages = 1, .hold = true};
        say_next(world, &call);
        assert_int_equal(feed(world), IDENTITY_REFUSED);
        assert_ptr_equal(identity_store_current(world->store, PKI_NOW), identity);
        assert_int_equal(identity_store_counts(world->store).refused, defect + 1);
        assert_true(identity_store_last_refusal(world->store)[0] != '\0');
        fake_workload_api_script(world->bench->fake, &first, 1);
        buf_fini(&bad);
    }
    source_free(take(&world->bench->source));
    fake_workload_api_free(take(&world->bench->fake));
    buf_fini(&good);
}

static void every_empty_field_leaves_the_last_good_identity(void **state) {
    struct world *world = *state;
    struct buf good = {0};
    struct span good_wire = wire_of(pki_update(world->ca, WEB), &good);
    struct fake_call first = {.messages = &good_wire, .num_messages = 1, .hold = true};
    serve_and_take(world, &first, WEB);
    for (int field = 0; field < 4; field++) {
        struct update *update = pki_update(world->ca, WEB);
        struct update_svid *svid = &update->svids[0];
        struct update_bytes *fields[] = {&svid->spiffe_id, &svid->chain, &svid->key, &svid->bundle};
        fields[field]->len = 0;
        struct buf bad = {0};
        struct span bad_wire = wire_of(update, &bad);
        struct fake_call call = {.messages = &bad_wire, .num_messages = 1, .hold = true};
        say_next(world, &call);
        workload_bench_assert_report(world->bench, SOURCE_CONNECTED, "discarded");
        assert_null(mailbox_take(&world->bench->probe.sink.updates));
        assert_in_force(world, WEB);
        fake_workload_api_script(world->bench->fake, &first, 1);
        buf_fini(&bad);
    }
    source_free(take(&world->bench->source));
    fake_workload_api_free(take(&world->bench->fake));
    buf_fini(&good);
}

// A thousand in one go, each another certificate or the same again: none is torn, the last counts.
static void last_of_a_flood_counts(void **state) {
    struct world *world = *state;
    struct buf wires[3] = {{0}};
    struct span few[] = {wire_of(pki_update(world->ca, WEB), &wires[0]),
                         wire_of(pki_update(world->ca, WEB), &wires[1]),
                         wire_of(pki_update(world->ca, OTHER), &wires[2])};
    struct span *messages = calloc(FLOOD, sizeof(*messages));
    assert_non_null(messages);
    for (size_t i = 0; i < FLOOD; i++) {
        messages[i] = i + 1 == FLOOD ? few[2] : few[i % 2];
    }
    struct fake_call flood = {.messages = messages, .num_messages = FLOOD, .hold = true};
    workload_bench_serve(world->bench, &flood, 1);
    workload_bench_fetch(world->bench);
    struct identity *identity = NULL;
    do {
        enum identity_outcome outcome = feed(world);
        assert_true(outcome == IDENTITY_CHANGED || outcome == IDENTITY_UNCHANGED);
        identity = identity_store_current(world->store, PKI_NOW);
        assert_non_null(identity);
    } while (strcmp(svid_id(identity_svid(identity))->text, OTHER) != 0);
    assert_int_equal(identity_store_counts(world->store).refused, 0);
    source_free(take(&world->bench->source));
    fake_workload_api_free(take(&world->bench->fake));
    free(messages);
    for (size_t i = 0; i < 3; i++) {
        buf_fini(&wires[i]);
    }
}

static void flapping_ends_where_the_server_does(void **state) {
    struct world *world = *state;
    struct buf good = {0};
    struct span wire = wire_of(pki_update(world->ca, WEB), &good);
    struct fake_call once = {.messages = &wire, .num_messages = 1};
    struct fake_call held = {.messages = &wire, .num_messages = 1, .hold = true};
    once.status = GRPC_CODE_UNAVAILABLE;
    struct fake_call script[] = {once,
                                 WORKLOAD_BENCH_ENDED(GRPC_CODE_UNAVAILABLE, "down"),
                                 WORKLOAD_BENCH_ENDED(GRPC_CODE_PERMISSION_DENIED, "no"),
                                 once,
                                 WORKLOAD_BENCH_ENDED(GRPC_CODE_OK, ""),
                                 held};
    workload_bench_serve(world->bench, script, 6);
    workload_bench_fetch(world->bench);
    while (fake_workload_api_seen(world->bench->fake).num_calls < 6) {
        (void)feed(world);
    }
    while (identity_store_state(world->store, PKI_NOW) != IDENTITY_VALID) {
        (void)feed(world);
    }
    assert_in_force(world, WEB);
    source_free(take(&world->bench->source));
    fake_workload_api_free(take(&world->bench->fake));
    buf_fini(&good);
}

static void denied_identity_is_gone_until_it_is_back(void **state) {
    struct world *world = *state;
    struct buf good = {0};
    struct span wire = wire_of(pki_update(world->ca, WEB), &good);
    struct fake_call held = {.messages = &wire, .num_messages = 1, .hold = true};
    struct fake_call denied = WORKLOAD_BENCH_ENDED(GRPC_CODE_PERMISSION_DENIED, "no");
    serve_and_take(world, &held, WEB);
    say_next(world, &denied);
    assert_int_equal(feed(world), IDENTITY_GONE);
    assert_int_equal(identity_store_state(world->store, PKI_NOW), IDENTITY_WITHDRAWN);
    assert_null(identity_store_current(world->store, PKI_NOW));
    fake_workload_api_script(world->bench->fake, &held, 1);
    assert_int_equal(feed(world), IDENTITY_CHANGED);
    assert_in_force(world, WEB);
    source_free(take(&world->bench->source));
    fake_workload_api_free(take(&world->bench->fake));
    buf_fini(&good);
}

// SETTINGS, then GOAWAY: no stream was served, ENHANCE_YOUR_CALM, as grpc-go says it.
static const uint8_t GOAWAY[] = {
    0, 0, 0, 4, 0, 0,  0,   0,   0,   0,   0,   22,  7,   0,   0,   0,   0,   0,   0,   0,
    0, 0, 0, 0, 0, 11, 't', 'o', 'o', '_', 'm', 'a', 'n', 'y', '_', 'p', 'i', 'n', 'g', 's'};

static void goaway_keeps_the_identity(void **state) {
    struct world *world = *state;
    struct workload_bench *bench = world->bench;
    struct buf good = {0};
    struct span wire = wire_of(pki_update(world->ca, WEB), &good);
    struct fake_call held = {.messages = &wire, .num_messages = 1, .hold = true};
    serve_and_take(world, &held, WEB);
    fake_workload_api_free(take(&bench->fake));
    unlink(bench->path);
    struct sockaddr_un sa = {.sun_family = AF_UNIX};
    snprintf(sa.sun_path, sizeof(sa.sun_path), "%s", bench->path);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&sa, sizeof(sa)), 0);
    assert_int_equal(listen(fd, 8), 0);
    int peer = accept(fd, NULL, NULL);
    assert_true(peer >= 0);
    uint8_t preface[24];
    assert_int_equal(recv(peer, preface, sizeof(preface), MSG_WAITALL), sizeof(preface));
    assert_int_equal(send(peer, GOAWAY, sizeof(GOAWAY), MSG_NOSIGNAL), sizeof(GOAWAY));
    workload_bench_assert_report(bench, SOURCE_CONNECTING, "retrying");
    close(peer);
    close(fd);
    unlink(bench->path);
    assert_null(mailbox_take(&bench->probe.sink.updates));
    assert_in_force(world, WEB);
    workload_bench_serve(bench, &held, 1);
    assert_int_equal(feed(world), IDENTITY_UNCHANGED);
    source_free(take(&bench->source));
    fake_workload_api_free(take(&bench->fake));
    buf_fini(&good);
}

#define ROW(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void) {
    signal(SIGPIPE, SIG_IGN);
    const struct CMUnitTest tests[] = {
        ROW(absent_fields_are_removed),
        ROW(every_defect_leaves_the_last_good_identity),
        ROW(every_empty_field_leaves_the_last_good_identity),
        ROW(last_of_a_flood_counts),
        ROW(flapping_ends_where_the_server_does),
        ROW(denied_identity_is_gone_until_it_is_back),
        ROW(goaway_keeps_the_identity),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
