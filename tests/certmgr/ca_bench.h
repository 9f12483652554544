// What the tests of the Istio CA source share: a folder with a token and roots, a scripted CA, a
// source and its consumer.
#ifndef TESTS_CERTMGR_CA_BENCH_H
#define TESTS_CERTMGR_CA_BENCH_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "certmgr/source_istio_ca.h"
#include "tests/testing/fake_ca.h"
#include "tests/testing/pki.h"
#include "tests/testing/sink_probe.h"

#define CA_BENCH_TOKEN "token-of-the-test-0001"

// How the CA answers.
enum ca_answer {
    CA_GOOD,
    CA_SHORT, // a certificate that is due for renewal within about a second
    CA_SILENT,
    CA_UNAUTHENTICATED,
    CA_PERMISSION_DENIED,
    CA_UNAVAILABLE,
    CA_UNIMPLEMENTED,
    CA_EMPTY_CHAIN,
    CA_ONE_ELEMENT,
    CA_WRONG_KEY,
    CA_OTHER_ID,
    CA_NO_ID,
    CA_EXPIRED,
    CA_OTHER_ROOT,
    CA_GARBAGE,
    CA_NOT_PEM,
    CA_HUGE,
    CA_MANY_PARTS,
};

struct ca_bench {
    char folder[64];
    char token_path[96];
    char roots_path[96];
    char address[64];
    struct pki_cert *root;
    struct pki_cert *other_root;
    struct pki_cert *other_leaf; // of `root`, for a key that is not the request's
    struct fake_ca *fake;        // freed at the end, as is the source
    struct source *source;
    struct source_istio_ca_options options;
    struct sink_probe probe;
    _Atomic(enum ca_answer) answer;
    atomic_int_least64_t validity_s; // of the last request
};

int ca_bench_set_up(void **state); // with the CA
int ca_bench_tear_down(void **state);

void ca_bench_write(const char *path, const char *text);
void ca_bench_write_roots(const struct ca_bench *bench, const struct pki_cert *root);
void ca_bench_serve(struct ca_bench *bench, uint16_t port, const struct pki_cert *shown);
void ca_bench_fetch(struct ca_bench *bench);

// Each waits for what it asserts. The update is the caller's.
struct update *ca_bench_take_update(struct ca_bench *bench) MUST_USE;
void ca_bench_assert_update(struct ca_bench *bench);
void ca_bench_assert_report(struct ca_bench *bench, enum source_state state, const char *part);

#endif
