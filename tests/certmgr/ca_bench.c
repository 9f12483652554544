#include "tests/certmgr/ca_bench.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/file.h"
#include "certmgr/istio_ca_codec.h"
#include "certmgr/pem.h"

#define FOREVER 0 // the PKI's default

static void encode(struct span chain, const struct pki_cert *root, struct buf *out) {
    struct err err;
    assert_true(istio_ca_codec_encode_response(chain, pki_der(root), out, &err));
}

// A message by hand: entries of cert_chain with these bytes.
static void entry(struct buf *out, const void *bytes, size_t len) {
    uint8_t head[4] = {0x0a, (uint8_t)(len | 0x80), (uint8_t)((len >> 7) | 0x80),
                       (uint8_t)(len >> 14)};
    assert_true(buf_append(out, head, sizeof(head)));
    assert_true(buf_append(out, bytes, len));
}

static void entry_pem(struct buf *out, const struct pki_cert *cert) {
    struct buf pem = {0};
    assert_true(pem_render("CERTIFICATE", pki_der(cert), &pem));
    entry(out, buf_span(&pem).ptr, pem.len);
    buf_fini(&pem);
}

static void huge(struct buf *out) {
    size_t len = ISTIO_CA_RESPONSE_MAX + 1;
    uint8_t *to = buf_reserve(out, len);
    assert_non_null(to);
    memset(to, 'A', len);
    buf_commit(out, len);
}

static void answer_status(enum ca_answer how, struct fake_ca_reply *reply) {
    static const struct {
        enum ca_answer how;
        enum grpc_code code;
    } codes[] = {
        {CA_UNAUTHENTICATED, GRPC_CODE_UNAUTHENTICATED},
        {CA_PERMISSION_DENIED, GRPC_CODE_PERMISSION_DENIED},
        {CA_UNAVAILABLE, GRPC_CODE_UNAVAILABLE},
        {CA_UNIMPLEMENTED, GRPC_CODE_UNIMPLEMENTED},
    };
    reply->is_silent = how == CA_SILENT;
    for (size_t i = 0; i < sizeof(codes) / sizeof(codes[0]); i++) {
        if (codes[i].how == how) {
            reply->code = codes[i].code;
            reply->reason = "said the test";
        }
    }
}

static void answer_raw(const struct ca_bench *bench, enum ca_answer how, struct buf *out) {
    switch (how) {
    case CA_ONE_ELEMENT:
        entry_pem(out, bench->other_leaf);
        break;
    case CA_WRONG_KEY:
        encode(pki_der(bench->other_leaf), bench->root, out);
        break;
    case CA_GARBAGE:
        assert_true(buf_append_text(out, "\xff\xff\xff garbage"));
        break;
    case CA_NOT_PEM:
        entry(out, "hello", 5);
        entry(out, "hello", 5);
        break;
    case CA_HUGE:
        huge(out);
        break;
    case CA_MANY_PARTS:
        for (int i = 0; i < 1000; i++) {
            entry_pem(out, bench->root);
        }
        break;
    default: // CA_EMPTY_CHAIN and those without a message
        break;
    }
}

// A chain that does not lead to the root that comes with it.
static void answer_other_root(const struct ca_bench *bench, struct span request, struct buf *out) {
    struct buf message = {0};
    struct buf chain = {0};
    struct buf roots = {0};
    struct err err;
    fake_ca_certify(bench->other_root, request, FAKE_CA_ID, FOREVER, &message);
    assert_true(istio_ca_codec_decode_response(buf_span(&message), &chain, &roots, &err));
    encode(buf_span(&chain), bench->root, out);
    buf_fini(&message);
    buf_fini(&chain);
    buf_fini(&roots);
}

static void answer_certificate(const struct ca_bench *bench, enum ca_answer how,
                               struct span request, struct buf *out) {
    const char *id = how == CA_OTHER_ID ? "spiffe://td/other"
                     : how == CA_NO_ID  ? "https://td/a"
                                        : FAKE_CA_ID;
    int64_t now = clock_wall_s();
    int64_t not_after = how == CA_SHORT ? now + 3 : how == CA_EXPIRED ? now - 10 : FOREVER;
    fake_ca_certify(bench->root, request, id, not_after, out);
}

static void answer(void *arg, struct span request, struct fake_ca_reply *reply) {
    struct ca_bench *bench = arg;
    enum ca_answer how = atomic_load(&bench->answer);
    struct istio_ca_request opened = {0};
    struct err err;
    assert_true(istio_ca_codec_decode_request(request, &opened, &err));
    atomic_store(&bench->validity_s, opened.validity_s);
    buf_fini(&opened.csr_pem);
    switch (how) {
    case CA_GOOD:
    case CA_SHORT:
    case CA_OTHER_ID:
    case CA_NO_ID:
    case CA_EXPIRED:
        answer_certificate(bench, how, request, &reply->message);
        break;
    case CA_OTHER_ROOT:
        answer_other_root(bench, request, &reply->message);
        break;
    default:
        answer_status(how, reply);
        answer_raw(bench, how, &reply->message);
        break;
    }
}

void ca_bench_write(const char *path, const char *text) {
    struct err err;
    assert_true(file_write_atomic(path, span_of_text(text), 0600, &err));
}

void ca_bench_write_roots(const struct ca_bench *bench, const struct pki_cert *root) {
    struct buf pem = {0};
    struct err err;
    assert_true(pem_render("CERTIFICATE", pki_der(root), &pem));
    assert_true(file_write_atomic(bench->roots_path, buf_span(&pem), 0600, &err));
    buf_fini(&pem);
}

void ca_bench_serve(struct ca_bench *bench, uint16_t port, const struct pki_cert *shown) {
    const struct fake_ca_options options = {
        .root = bench->root, .shown = shown, .port = port, .answer = answer, .arg = bench};
    bench->fake = fake_ca_new(&options);
    snprintf(bench->address, sizeof(bench->address), "127.0.0.1:%u",
             (unsigned)fake_ca_port(bench->fake));
}

int ca_bench_set_up(void **state) {
    struct ca_bench *bench = calloc(1, sizeof(*bench));
    assert_non_null(bench);
    snprintf(bench->folder, sizeof(bench->folder), "/tmp/pavise-ca-XXXXXX");
    assert_non_null(mkdtemp(bench->folder));
    snprintf(bench->token_path, sizeof(bench->token_path), "%s/token", bench->folder);
    snprintf(bench->roots_path, sizeof(bench->roots_path), "%s/roots.pem", bench->folder);
    bench->root = pki_ca();
    bench->other_root = pki_ca();
    bench->other_leaf = pki_leaf(bench->root, FAKE_CA_ID);
    ca_bench_write(bench->token_path, CA_BENCH_TOKEN "\n");
    ca_bench_write_roots(bench, bench->root);
    sink_probe_init(&bench->probe);
    ca_bench_serve(bench, 0, NULL);
    bench->options = (struct source_istio_ca_options){.address = bench->address,
                                                      .roots_file = bench->roots_path,
                                                      .token_file = bench->token_path,
                                                      .cluster_id = "Kubernetes",
                                                      .lifetime_ms = 3600 * 1000};
    *state = bench;
    return 0;
}

int ca_bench_tear_down(void **state) {
    struct ca_bench *bench = *state;
    source_free(bench->source);
    fake_ca_free(bench->fake);
    sink_probe_fini(&bench->probe);
    pki_free(bench->root);
    pki_free(bench->other_root);
    pki_free(bench->other_leaf);
    unlink(bench->token_path);
    unlink(bench->roots_path);
    rmdir(bench->folder);
    free(bench);
    return 0;
}

void ca_bench_fetch(struct ca_bench *bench) {
    struct err err;
    bench->source = source_istio_ca_new(&bench->options, &bench->probe.sink, &err);
    assert_non_null(bench->source);
}

struct update *ca_bench_take_update(struct ca_bench *bench) {
    struct update *update = sink_probe_update(&bench->probe);
    assert_non_null(update);
    return update;
}

void ca_bench_assert_update(struct ca_bench *bench) {
    struct update *update OWNED(update_free) = ca_bench_take_update(bench);
    assert_false(update->withdrawn);
    assert_int_equal(update->num_svids, 1);
    assert_true(span_equal_text(update_bytes_span(&update->svids[0].spiffe_id), FAKE_CA_ID));
}

void ca_bench_assert_report(struct ca_bench *bench, enum source_state state, const char *part) {
    assert_true(sink_probe_report(&bench->probe, state, part));
}
