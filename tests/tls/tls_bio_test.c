// The transport under the library: order of scratch and backlog, ends, room.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include <openssl/bio.h>

#include "agent/tls/tls_bio.h"

struct fixture {
    struct tls_bio bio;
    struct tls_scratch scratch;
    BIO *handle;
};

static int set_up(void **state) {
    struct fixture *fixture = calloc(1, sizeof(*fixture));
    assert_non_null(fixture);
    fixture->handle = tls_bio_open(&fixture->bio);
    assert_non_null(fixture->handle);
    *state = fixture;
    return 0;
}

static int tear_down(void **state) {
    struct fixture *fixture = *state;
    BIO_free(fixture->handle);
    tls_bio_fini(&fixture->bio);
    free(fixture);
    return 0;
}

static void reads_what_was_fed(void **state) {
    struct fixture *fixture = *state;
    uint8_t out[8];
    assert_int_equal(BIO_read(fixture->handle, out, sizeof(out)), -1);
    assert_true(BIO_should_read(fixture->handle));
    fixture->bio.fed = span_of_text("hello world");
    assert_int_equal(BIO_read(fixture->handle, out, 5), 5);
    assert_memory_equal(out, "hello", 5);
    assert_int_equal(BIO_read(fixture->handle, out, 8), 6);
    assert_memory_equal(out, " world", 6);
    assert_int_equal(BIO_read(fixture->handle, out, 8), -1);
    assert_false(fixture->bio.saw_end);
    fixture->bio.input_ended = true;
    assert_int_equal(BIO_read(fixture->handle, out, 8), 0);
    assert_false(BIO_should_retry(fixture->handle));
    assert_true(fixture->bio.saw_end);
}

static void writes_to_the_backlog_without_a_scratch(void **state) {
    struct fixture *fixture = *state;
    assert_int_equal(BIO_write(fixture->handle, "abc", 3), 3);
    assert_true(span_equal_text(buf_span(&fixture->bio.backlog), "abc"));
    // And on while something is in it: the backlog goes first.
    fixture->bio.scratch = &fixture->scratch;
    assert_int_equal(BIO_write(fixture->handle, "def", 3), 3);
    assert_int_equal(fixture->scratch.len, 0);
    assert_true(span_equal_text(buf_span(&fixture->bio.backlog), "abcdef"));
    buf_clear(&fixture->bio.backlog);
    assert_int_equal(BIO_write(fixture->handle, "ghi", 3), 3);
    assert_int_equal(fixture->scratch.len, 3);
}

static void a_full_scratch_moves_to_the_backlog(void **state) {
    struct fixture *fixture = *state;
    fixture->bio.scratch = &fixture->scratch;
    memset(fixture->scratch.bytes, 'a', TLS_SCRATCH_SIZE);
    fixture->scratch.len = TLS_SCRATCH_SIZE - 2;
    assert_true(tls_bio_has_room(&fixture->bio, 2));
    assert_false(tls_bio_has_room(&fixture->bio, 3));
    assert_int_equal(BIO_write(fixture->handle, "bcd", 3), 3);
    assert_int_equal(fixture->scratch.len, 0);
    struct span backlog = buf_span(&fixture->bio.backlog);
    assert_int_equal(backlog.len, TLS_SCRATCH_SIZE + 1);
    assert_memory_equal(backlog.ptr + TLS_SCRATCH_SIZE - 3, "abcd", 4);
    assert_false(tls_bio_has_room(&fixture->bio, 1)); // over TLS_BACKLOG_MAX
}

static void keeps_what_was_not_sent(void **state) {
    struct fixture *fixture = *state;
    fixture->bio.scratch = &fixture->scratch;
    assert_int_equal(BIO_write(fixture->handle, "sent-unsent", 11), 11);
    assert_true(tls_bio_keep(&fixture->bio, span_of(fixture->scratch.bytes + 5, 6)));
    assert_int_equal(fixture->scratch.len, 0);
    assert_true(span_equal_text(buf_span(&fixture->bio.backlog), "unsent"));
    assert_true(tls_bio_keep(&fixture->bio, span_of(NULL, 0)));
    assert_true(tls_bio_has_room(&fixture->bio, TLS_BACKLOG_MAX - 6));
    assert_false(tls_bio_has_room(&fixture->bio, TLS_BACKLOG_MAX - 5));
}

static void short_memory_breaks_the_stream_for_good(void **state) {
    struct fixture *fixture = *state;
    fixture->bio.is_out_of_memory = true;
    assert_int_equal(BIO_write(fixture->handle, "abc", 3), -1);
    assert_false(BIO_should_retry(fixture->handle));
    assert_int_equal(fixture->bio.backlog.len, 0);
}

#define WITH_FIXTURE(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void) {
    const struct CMUnitTest tests[] = {
        WITH_FIXTURE(reads_what_was_fed),
        WITH_FIXTURE(writes_to_the_backlog_without_a_scratch),
        WITH_FIXTURE(a_full_scratch_moves_to_the_backlog),
        WITH_FIXTURE(keeps_what_was_not_sent),
        WITH_FIXTURE(short_memory_breaks_the_stream_for_good),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
