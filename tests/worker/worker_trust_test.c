// What becomes of open connections when trust changes: those that are still allowed go on, all
// others end and are counted. Once through a tunnel, once with `tls: mutual`.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <time.h>

#include "base/clock.h"
#include "tests/worker/worker_lab.h"

#define NO_METRIC METRIC_COUNT

struct change {
    const char *label;
    bool new_svid;
    bool revoked;
    bool other_revoked; // the list names somebody else
    bool root_removed;
    bool no_identity;
    enum identity_state state;
    enum close_reason reason; // CLOSE_NONE: the connection goes on
    enum metric cut;          // of tunnels
};

static const struct change changes[] = {
    {.label = "rotation", .new_svid = true, .state = IDENTITY_VALID, .cut = NO_METRIC},
    {.label = "somebody else revoked",
     .other_revoked = true,
     .state = IDENTITY_VALID,
     .cut = NO_METRIC},
    {.label = "own identity expired",
     .no_identity = true,
     .state = IDENTITY_EXPIRED,
     .cut = NO_METRIC},
    {.label = "peer revoked",
     .revoked = true,
     .state = IDENTITY_VALID,
     .reason = CLOSE_AUTHORIZATION_LOST,
     .cut = METRIC_TUNNELS_CUT_UNTRUSTED},
    {.label = "root removed",
     .root_removed = true,
     .state = IDENTITY_VALID,
     .reason = CLOSE_AUTHORIZATION_LOST,
     .cut = METRIC_TUNNELS_CUT_UNTRUSTED},
    {.label = "identity withdrawn",
     .no_identity = true,
     .state = IDENTITY_WITHDRAWN,
     .reason = CLOSE_IDENTITY_WITHDRAWN,
     .cut = METRIC_TUNNELS_CUT_WITHDRAWN},
};

static void apply(struct worker_lab *lab, const struct change *change) {
    OWNED(pki_free) struct pki_cert *other_ca = pki_ca();
    OWNED(pki_free) struct pki_cert *stranger = pki_leaf(lab->ca, "spiffe://example.org/stranger");
    OWNED(svid_unref)
    struct svid *svid = change->new_svid ? pki_svid(lab->ca, "spiffe://example.org/ns/a/sa/next")
                                         : svid_ref(lab->judged->svid);
    int64_t now = clock_wall_s();
    OWNED(pki_bytes_free)
    struct pki_bytes *crl =
        pki_crl(lab->ca, change->revoked ? lab->peer : stranger, now - 100, now + 100000);
    bool listed = change->revoked || change->other_revoked;
    OWNED(bundle_set_unref)
    struct bundle_set *bundles =
        worker_lab_bundles(change->root_removed ? other_ca : lab->ca, listed ? crl : NULL);
    worker_lab_command(lab, svid, change->no_identity ? NULL : bundles, change->state);
    worker_lab_settle(lab);
}

static void expect_end(struct worker_lab *lab, enum close_reason reason) {
    enum direction direction = lab->mutual ? OUTBOUND : INBOUND;
    struct counter_sums sums = {0};
    counters_sum(&sums, &lab->judged->worker->counters);
    assert_int_equal(sums.closed[direction][reason], 1);
}

static void check_change(const struct change *change, bool mutual) {
    print_message("    %s%s\n", change->label, mutual ? ", tls: mutual" : "");
    struct worker_lab lab;
    worker_lab_init(&lab, mutual, false);
    worker_lab_open(&lab);
    apply(&lab, change);
    bool goes_on = change->reason == CLOSE_NONE;
    assert_true(worker_lab_exchange(&lab) == goes_on);
    if (!goes_on) {
        expect_end(&lab, change->reason);
    }
    static const enum metric cuts[] = {METRIC_TUNNELS_CUT_UNTRUSTED, METRIC_TUNNELS_CUT_WITHDRAWN,
                                       METRIC_TUNNELS_CUT_EXPIRED};
    for (size_t i = 0; i < sizeof(cuts) / sizeof(cuts[0]); i++) {
        bool counted = !mutual && cuts[i] == change->cut;
        assert_int_equal(worker_lab_metric(&lab, cuts[i]), counted ? 1 : 0);
    }
    worker_lab_fini(&lab);
}

static void open_connections_follow_trust(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof(changes) / sizeof(changes[0]); i++) {
        check_change(&changes[i], false);
        check_change(&changes[i], true);
    }
}

// The worker looks once a second; how soon is not asserted.
static bool ends_soon(struct worker_lab *lab) {
    for (int i = 0; i < 200; i++) {
        if (!worker_lab_exchange(lab)) {
            return true;
        }
        nanosleep(&(struct timespec){.tv_nsec = 100000000}, NULL);
    }
    return false;
}

static void notafter_is_a_bound_when_configured(void **state) {
    (void)state;
    for (int mutual = 0; mutual < 2; mutual++) {
        struct worker_lab lab;
        worker_lab_init(&lab, mutual != 0, true);
        worker_lab_open(&lab);
        worker_lab_move_clock(LAB_SVID_S + 10);
        assert_true(ends_soon(&lab));
        expect_end(&lab, CLOSE_IDENTITY_EXPIRED);
        assert_int_equal(worker_lab_metric(&lab, METRIC_TUNNELS_CUT_EXPIRED), mutual ? 0 : 1);
        worker_lab_fini(&lab);
    }
}

static void notafter_ends_nothing_otherwise(void **state) {
    (void)state;
    for (int mutual = 0; mutual < 2; mutual++) {
        struct worker_lab lab;
        worker_lab_init(&lab, mutual != 0, false);
        worker_lab_open(&lab);
        worker_lab_move_clock(LAB_SVID_S + 10);
        for (int i = 0; i < 15; i++) { // over the next look
            assert_true(worker_lab_exchange(&lab));
            nanosleep(&(struct timespec){.tv_nsec = 100000000}, NULL);
        }
        worker_lab_fini(&lab);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(open_connections_follow_trust),
        cmocka_unit_test(notafter_is_a_bound_when_configured),
        cmocka_unit_test(notafter_ends_nothing_otherwise),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
