// Calls to the running authority: who gets what, and what is refused with which status.
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <unistd.h>

#include <cmocka.h>
#include <openssl/evp.h>
#include <openssl/pool.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/own.h"
#include "certmgr/bundle.h"
#include "certmgr/grpc_code.h"
#include "certmgr/verify.h"
#include "tests/authority/authority_process.h"
#include "tests/authority/raw_call.h"
#include "tests/authority/workload_client.h"

#define SVIDS "/SpiffeWorkloadAPI/FetchX509SVID"
#define BUNDLES "/SpiffeWorkloadAPI/FetchX509Bundles"

static struct authority_process process;

static int start(void **state) {
    (void)state;
    static const char *const args[] = {"--ttl", "1m", "--rotate-every", "500ms", NULL};
    grpc_stream_library_init();
    authority_process_init(&process);
    authority_process_start(&process, args);
    return 0;
}

static int stop(void **state) {
    (void)state;
    int code = authority_process_end(&process, SIGTERM);
    bool is_gone = access(process.socket_path, F_OK) != 0;
    authority_process_fini(&process);
    grpc_stream_library_fini();
    return code == 0 && is_gone ? 0 : 1;
}

static const char *own_id(void) {
    static char id[64];
    (void)snprintf(id, sizeof(id), "spiffe://example.org/uid/%u", (unsigned)geteuid());
    return id;
}

static void test_default_identity(void **state) {
    (void)state;
    struct err err = {0};
    struct peer peer;
    size_t num = 0;
    OWNED(grpc_stream_free) struct grpc_stream *stream = workload_client_svids(process.target);
    OWNED(update_free) struct update *update = workload_client_next(stream);
    assert_non_null(update);
    OWNED(svid_unref) struct svid *svid = workload_client_svid(update, own_id());
    struct bundle_builder *builder = bundle_builder_new();
    assert_true(bundle_builder_add(builder, span_of_text("example.org"),
                                   update_bytes_span(&update->svids[0].bundle), &err));
    OWNED(bundle_set_unref) struct bundle_set *bundles = bundle_builder_finish(builder);
    CRYPTO_BUFFER *const *chain = svid_chain(svid, &num);
    assert_int_equal(verify_peer(bundles,
                                 &(struct verify_question){.chain = chain,
                                                           .num_chain = num,
                                                           .role = VERIFY_SERVER,
                                                           .now = clock_wall_s()},
                                 &peer, &err),
                     VERIFY_OK);
    assert_string_equal(peer.id.text, own_id());

    OWNED(grpc_stream_free) struct grpc_stream *other = workload_client_bundles(process.target);
    OWNED(update_free) struct update *all = workload_client_next_bundles(other);
    assert_non_null(all);
    assert_int_equal(all->num_federated, 1);
    assert_true(span_equal_text(update_bytes_span(&all->federated[0].trust_domain_id),
                                "spiffe://example.org"));
    assert_true(span_equal(update_bytes_span(&all->federated[0].der),
                           update_bytes_span(&update->svids[0].bundle)));
}

// Each rotation is pushed to every open stream: a new serial and a new key.
static void test_rotation_is_pushed(void **state) {
    (void)state;
    enum { ROUNDS = 5 };
    struct svid *svids[ROUNDS];
    OWNED(grpc_stream_free) struct grpc_stream *stream = workload_client_svids(process.target);
    OWNED(grpc_stream_free) struct grpc_stream *second = workload_client_svids(process.target);
    for (size_t i = 0; i < ROUNDS; i++) {
        OWNED(update_free) struct update *update = workload_client_next(stream);
        OWNED(update_free) struct update *same = workload_client_next(second);
        assert_non_null(update);
        assert_non_null(same);
        svids[i] = workload_client_svid(update, own_id());
        for (size_t k = 0; k < i; k++) {
            assert_string_not_equal(svid_serial(svids[i]), svid_serial(svids[k]));
            assert_int_not_equal(EVP_PKEY_cmp(svid_key(svids[i]), svid_key(svids[k])), 1);
        }
    }
    for (size_t i = 0; i < ROUNDS; i++) {
        svid_unref(svids[i]);
    }
}

static const char *const mark[] = {"workload.spiffe.io", "true", NULL};
static const char *const none[] = {NULL};
static const char *const other_key[] = {"workload.spiffe.com", "true", NULL};
static const char *const upper[] = {"workload.spiffe.io", "True", NULL};
static const char *const empty[] = {"workload.spiffe.io", "", NULL};
static const char *const longer[] = {"workload.spiffe.io", "true,true", NULL};
static const char *const twice[] = {"workload.spiffe.io", "true", "workload.spiffe.io", "true",
                                    NULL};
static const char *const both[] = {"workload.spiffe.io", "false", "workload.spiffe.io", "true",
                                   NULL};
static const char *const more[] = {"x-other", "1", "workload.spiffe.io", "true", "x-more",
                                   "2",       NULL};

static const struct row {
    struct raw_call call;
    int status;
    size_t num_messages;
} rows[] = {
    {{.method = SVIDS, .metadata = mark}, GRPC_CODE_CANCELLED, 1},
    {{.method = BUNDLES, .metadata = mark}, GRPC_CODE_CANCELLED, 1},
    {{.method = SVIDS, .metadata = more}, GRPC_CODE_CANCELLED, 1},
    {{.method = SVIDS, .metadata = mark, .message_len = 4000}, GRPC_CODE_CANCELLED, 1},
    {{.method = SVIDS, .metadata = none}, GRPC_CODE_INVALID_ARGUMENT, 0},
    {{.method = BUNDLES, .metadata = none}, GRPC_CODE_INVALID_ARGUMENT, 0},
    {{.method = SVIDS, .metadata = other_key}, GRPC_CODE_INVALID_ARGUMENT, 0},
    {{.method = SVIDS, .metadata = upper}, GRPC_CODE_INVALID_ARGUMENT, 0},
    {{.method = SVIDS, .metadata = empty}, GRPC_CODE_INVALID_ARGUMENT, 0},
    {{.method = SVIDS, .metadata = longer}, GRPC_CODE_INVALID_ARGUMENT, 0},
    {{.method = SVIDS, .metadata = twice}, GRPC_CODE_INVALID_ARGUMENT, 0},
    {{.method = SVIDS, .metadata = both}, GRPC_CODE_INVALID_ARGUMENT, 0},
    {{.method = SVIDS, .metadata = mark, .no_message = true}, GRPC_CODE_INVALID_ARGUMENT, 0},
    {{.method = SVIDS, .metadata = mark, .message_len = 8192}, GRPC_CODE_RESOURCE_EXHAUSTED, 0},
    {{.method = "/SpiffeWorkloadAPI/FetchJWTSVID", .metadata = mark}, GRPC_CODE_UNIMPLEMENTED, 0},
    {{.method = "/SpiffeWorkloadAPI/FetchWITSVID", .metadata = none}, GRPC_CODE_UNIMPLEMENTED, 0},
    {{.method = SVIDS "/", .metadata = mark}, GRPC_CODE_UNIMPLEMENTED, 0},
    {{.method = "/spiffeworkloadapi/FetchX509SVID", .metadata = mark}, GRPC_CODE_UNIMPLEMENTED, 0},
    {{.method = "/grpc.health.v1.Health/Watch", .metadata = mark}, GRPC_CODE_UNIMPLEMENTED, 0},
};

static void test_statuses(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct raw_call call = rows[i].call;
        call.target = process.target;
        call.num_messages = 1; // a call that should have been refused ends, too
        struct raw_result result = raw_call(&call);
        if (result.status != rows[i].status || result.num_messages != rows[i].num_messages) {
            fail_msg("row %zu (%s): status %d \"%s\", %zu messages", i, call.method, result.status,
                     result.details, result.num_messages);
        }
    }
}

// Many streams on one connection are many subscriptions; the limit holds for one connection only.
static void test_many_streams(void **state) {
    (void)state;
    enum { STREAMS = 64 };
    struct grpc_stream *streams[STREAMS];
    for (size_t i = 0; i < STREAMS; i++) {
        streams[i] = workload_client_svids(process.target);
    }
    for (size_t i = 0; i < STREAMS; i++) {
        OWNED(update_free) struct update *update = workload_client_next(streams[i]);
        assert_non_null(update);
        svid_unref(workload_client_svid(update, own_id()));
    }
    for (size_t i = 0; i < STREAMS; i++) {
        grpc_stream_free(streams[i]);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_default_identity),
        cmocka_unit_test(test_rotation_is_pushed),
        cmocka_unit_test(test_statuses),
        cmocka_unit_test(test_many_streams),
    };
    return cmocka_run_group_tests(tests, start, stop);
}
