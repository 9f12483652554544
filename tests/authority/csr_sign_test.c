// CSR signing as a caller sees it: who gets which certificate, for how long, and who gets none.
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/own.h"
#include "certmgr/csr.h"
#include "certmgr/grpc_code.h"
#include "certmgr/grpc_stream.h"
#include "certmgr/istio_ca_codec.h"
#include "certmgr/istio_ca_reply.h"
#include "tests/authority/authority_process.h"
#include "tests/authority/csr_client.h"

#define WEB_TOKEN "the-token-of-web-0001"
#define DB_TOKEN "the-token-of-db-00002"
#define WEB "spiffe://example.org/ns/default/sa/web"
#define DB "spiffe://example.org/ns/default/sa/db"
#define BEARER "Bearer "

static const char BOTH[] = "- {token: \"" WEB_TOKEN "\", spiffeId: \"" WEB "\"}\n"
                           "- {token: \"" DB_TOKEN "\", spiffeId: \"" DB "\"}\n";
static const char DB_ONLY[] = "- {token: \"" DB_TOKEN "\", spiffeId: \"" DB "\"}\n";

struct bench {
    struct authority_process process;
    struct csr_client client;
    char tokens_path[TEMP_PATH_MAX];
};

static void start(struct bench *bench) {
    char state_path[TEMP_PATH_MAX];
    temp_dir_path(&bench->process.dir, "state", state_path);
    const char *const args[] = {"--state",  state_path,         "--ttl",
                                "1h",       "--listen",         bench->client.address,
                                "--tokens", bench->tokens_path, NULL};
    authority_process_start(&bench->process, args);
}

static int setup(void **state) {
    struct bench *bench = calloc(1, sizeof(*bench));
    assert_non_null(bench);
    authority_process_init(&bench->process);
    temp_dir_write(&bench->process.dir, "tokens.yaml", BOTH, sizeof(BOTH) - 1, bench->tokens_path);
    (void)snprintf(bench->client.address, sizeof(bench->client.address), "127.0.0.1:%u",
                   (unsigned)csr_client_free_port());
    temp_dir_path(&bench->process.dir, "state/ca.crt", bench->client.roots_file);
    start(bench);
    *state = bench;
    return 0;
}

static int teardown(void **state) {
    struct bench *bench = *state;
    authority_process_fini(&bench->process);
    free(bench);
    return 0;
}

struct request {
    struct buf message;
    struct buf key;
};

static void request_init(struct request *request, const char *claimed_id, int64_t validity_s) {
    struct buf csr = {0};
    struct err err;
    *request = (struct request){0};
    assert_true(csr_new(claimed_id, &csr, &request->key, &err));
    assert_true(istio_ca_codec_encode_request(buf_span(&csr), validity_s, &request->message, &err));
    buf_fini(&csr);
}

static void request_fini(struct request *request) {
    buf_fini(&request->message);
    buf_clear_secret(&request->key);
}

static struct grpc_unary_result call(const struct bench *bench, const char *authorization,
                                     const struct request *request, struct buf *response) {
    return csr_client_call(&bench->client, ISTIO_CA_METHOD, authorization,
                           buf_span(&request->message), response);
}

// The certificate is good, of `id`, and lives `life_s` from now.
static void assert_signed(const struct bench *bench, const char *token, const char *id,
                          int64_t validity_s, int64_t life_s) {
    struct request request;
    struct buf response = {0};
    struct istio_ca_validity validity;
    struct err err = {0};
    request_init(&request, "spiffe://example.org/claimed/by/the/csr", validity_s);
    int64_t before = clock_wall_s();
    struct grpc_unary_result result = call(bench, token, &request, &response);
    assert_int_equal(result.code, GRPC_CODE_OK);
    const struct istio_ca_question question = {.key_der = buf_span(&request.key), .spiffe_id = id};
    OWNED(update_free)
    struct update *update =
        istio_ca_reply_open(buf_span(&response), &question, clock_wall_s(), &validity, &err);
    if (update == NULL) {
        fail_msg("%s", err.msg);
    }
    assert_in_range(validity.not_after, before + life_s, clock_wall_s() + life_s + 1);
    buf_fini(&response);
    request_fini(&request);
}

static void test_the_token_decides(void **state) {
    const struct bench *bench = *state;
    assert_signed(bench, BEARER WEB_TOKEN, WEB, 600, 600);
    assert_signed(bench, BEARER DB_TOKEN, DB, 600, 600);
}

static void test_validity_is_at_most_the_ttl(void **state) {
    const struct bench *bench = *state;
    static const int64_t asked[] = {3600, 3601, 86400, 0, -1, INT64_MIN, INT64_MAX};
    for (size_t i = 0; i < sizeof(asked) / sizeof(asked[0]); i++) {
        assert_signed(bench, BEARER WEB_TOKEN, WEB, asked[i], 3600);
    }
    assert_signed(bench, BEARER WEB_TOKEN, WEB, 1, 1);
}

static void test_bad_tokens(void **state) {
    const struct bench *bench = *state;
    static const char *const bad[] = {NULL,
                                      "",
                                      "Bearer",
                                      "Bearer ",
                                      "bearer " WEB_TOKEN,
                                      "Basic " WEB_TOKEN,
                                      WEB_TOKEN,
                                      "Bearer  " WEB_TOKEN,
                                      "Bearer " WEB_TOKEN "x",
                                      "Bearer the-token-of-web-000",
                                      "Bearer the-token-of-nobody"};
    struct request request;
    request_init(&request, NULL, 600);
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct buf response = {0};
        struct grpc_unary_result result = call(bench, bad[i], &request, &response);
        assert_int_equal(result.code, GRPC_CODE_UNAUTHENTICATED);
        assert_string_equal(result.details, "request authenticate failure");
        assert_int_equal(response.len, 0);
    }
    request_fini(&request);
}

static void test_bad_requests(void **state) {
    const struct bench *bench = *state;
    static const struct {
        const char *bytes;
        size_t len;
    } bad[] = {{"", 0}, {"\x18\x01", 2}, {"\x0a\x05hello", 7}, {"\xff\xff", 2}};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct buf response = {0};
        struct grpc_unary_result result =
            csr_client_call(&bench->client, ISTIO_CA_METHOD, BEARER WEB_TOKEN,
                            span_of(bad[i].bytes, bad[i].len), &response);
        assert_int_equal(result.code, GRPC_CODE_INVALID_ARGUMENT);
    }
}

// The Workload API identifies callers by uid: over TLS there is none, and so no such service.
static void test_other_methods(void **state) {
    const struct bench *bench = *state;
    static const char *const methods[] = {"/SpiffeWorkloadAPI/FetchX509SVID",
                                          "/istio.v1.auth.IstioCertificateService/Other"};
    for (size_t i = 0; i < sizeof(methods) / sizeof(methods[0]); i++) {
        struct buf response = {0};
        struct grpc_unary_result result = csr_client_call(
            &bench->client, methods[i], BEARER WEB_TOKEN, span_of(NULL, 0), &response);
        assert_int_equal(result.code, GRPC_CODE_UNIMPLEMENTED);
    }
}

static int code_of(const struct bench *bench, const char *token) {
    struct request request;
    struct buf response = {0};
    request_init(&request, NULL, 600);
    struct grpc_unary_result result = call(bench, token, &request, &response);
    buf_fini(&response);
    request_fini(&request);
    return result.code;
}

static void test_tokens_are_read_again(void **state) {
    struct bench *bench = *state;
    char path[TEMP_PATH_MAX];
    temp_dir_write(&bench->process.dir, "tokens.yaml", DB_ONLY, sizeof(DB_ONLY) - 1, path);
    assert_int_equal(code_of(bench, BEARER WEB_TOKEN), GRPC_CODE_OK); // not yet
    assert_int_equal(kill(bench->process.pid, SIGHUP), 0);
    authority_process_wait_log(&bench->process, "tokens_reloaded", 1);
    assert_int_equal(code_of(bench, BEARER WEB_TOKEN), GRPC_CODE_UNAUTHENTICATED);
    assert_int_equal(code_of(bench, BEARER DB_TOKEN), GRPC_CODE_OK);
    temp_dir_write(&bench->process.dir, "tokens.yaml", "nonsense", 8, path);
    assert_int_equal(kill(bench->process.pid, SIGHUP), 0);
    authority_process_wait_log(&bench->process, "tokens_refused", 1);
    assert_int_equal(code_of(bench, BEARER DB_TOKEN), GRPC_CODE_OK); // the old ones stay
}

static void test_roots_survive_a_restart(void **state) {
    struct bench *bench = *state;
    assert_signed(bench, BEARER WEB_TOKEN, WEB, 600, 600);
    assert_int_equal(authority_process_end(&bench->process, SIGTERM), 0);
    start(bench);
    assert_signed(bench, BEARER WEB_TOKEN, WEB, 600, 600);
}

static void test_what_is_logged(void **state) {
    struct bench *bench = *state;
    assert_signed(bench, BEARER WEB_TOKEN, WEB, 600, 600);
    (void)code_of(bench, "Bearer wrong-but-secret-token");
    authority_process_wait_log(&bench->process, "csr_signed spiffe_id=" WEB, 1);
    authority_process_wait_log(&bench->process, "csr_refused", 1);
    FILE *log = fopen(bench->process.log_path, "r");
    char text[65536] = "";
    assert_non_null(log);
    assert_true(fread(text, 1, sizeof(text) - 1, log) > 0);
    (void)fclose(log);
    assert_null(strstr(text, WEB_TOKEN));
    assert_null(strstr(text, "wrong-but-secret-token"));
}

#define ROW(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

static int library_up(void **state) {
    (void)state;
    grpc_stream_library_init();
    return 0;
}

static int library_down(void **state) {
    (void)state;
    grpc_stream_library_fini();
    return 0;
}

int main(void) {
    (void)signal(SIGPIPE, SIG_IGN);
    const struct CMUnitTest tests[] = {
        ROW(test_the_token_decides),
        ROW(test_validity_is_at_most_the_ttl),
        ROW(test_bad_tokens),
        ROW(test_bad_requests),
        ROW(test_other_methods),
        ROW(test_tokens_are_read_again),
        ROW(test_roots_survive_a_restart),
        ROW(test_what_is_logged),
    };
    return cmocka_run_group_tests(tests, library_up, library_down);
}
