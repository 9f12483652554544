// Memory runs short at every allocation in turn, from the first byte of a handshake to the end of
// a transfer: that connection fails, or nothing was lost; nobody is let in by it.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "tests/tls/tls_fixture.h"

// The linker sends every call of the linked code here.
void *__real_malloc(size_t len);
void *__real_calloc(size_t num, size_t len);
void *__real_realloc(void *old, size_t len);
void *__wrap_malloc(size_t len);
void *__wrap_calloc(size_t num, size_t len);
void *__wrap_realloc(void *old, size_t len);

static bool is_armed;
static long left; // allocations that still succeed; then one fails

static bool is_next_to_fail(void) {
    return is_armed && left-- == 0;
}

void *__wrap_malloc(size_t len) {
    return is_next_to_fail() ? NULL : __real_malloc(len);
}

void *__wrap_calloc(size_t num, size_t len) {
    return is_next_to_fail() ? NULL : __real_calloc(num, len);
}

void *__wrap_realloc(void *old, size_t len) {
    return is_next_to_fail() ? NULL : __real_realloc(old, len);
}

#define MESSAGE 20000
#define NUM_MESSAGES 3

struct wire {
    size_t len;
    uint8_t bytes[128 * 1024];
};

struct end {
    struct tls_stream *stream;
    struct wire in;
    enum tls_status status;
    size_t received;
};

static uint8_t byte_at(size_t i) {
    return (uint8_t)(i * 7 + (i >> 8));
}

static void post(struct end *from, struct end *to) {
    struct span rest = tls_stream_unread(from->stream);
    if (rest.len > 0) {
        memmove(from->in.bytes, rest.ptr, rest.len);
    }
    from->in.len = rest.len;
    struct span out = tls_stream_backlog(from->stream);
    assert_true(out.len <= sizeof(to->in.bytes) - to->in.len);
    if (out.len > 0) {
        memcpy(to->in.bytes + to->in.len, out.ptr, out.len);
        to->in.len += out.len;
        tls_stream_backlog_sent(from->stream, out.len);
    }
}

static void shake(struct end *end, struct end *peer) {
    tls_stream_feed(end->stream, span_of(end->in.bytes, end->in.len));
    is_armed = true;
    end->status = tls_stream_handshake(end->stream);
    is_armed = false;
    post(end, peer);
}

static void send_message(struct end *from, struct end *to, size_t at) {
    uint8_t bytes[MESSAGE];
    for (size_t i = 0; i < MESSAGE; i++) {
        bytes[i] = byte_at(at + i);
    }
    size_t done = 0;
    while (done < MESSAGE && from->status == TLS_OK) {
        size_t n = 0;
        tls_stream_feed(from->stream, span_of(from->in.bytes, from->in.len));
        is_armed = true;
        from->status = tls_stream_write(from->stream, bytes + done, MESSAGE - done, &n);
        is_armed = false;
        done += n;
        post(from, to);
    }
}

static void receive(struct end *end, struct end *peer) {
    uint8_t bytes[32768];
    for (;;) {
        size_t n = 0;
        tls_stream_feed(end->stream, span_of(end->in.bytes, end->in.len));
        is_armed = true;
        end->status = tls_stream_read(end->stream, bytes, sizeof(bytes), &n);
        is_armed = false;
        post(end, peer);
        if (end->status != TLS_OK) {
            return;
        }
        for (size_t i = 0; i < n; i++) {
            assert_int_equal(bytes[i], byte_at(end->received + i));
        }
        end->received += n;
    }
}

static void transfer(struct end *client, struct end *server) {
    tls_stream_set_key_update_after(client->stream, 2);
    for (size_t i = 0; i < NUM_MESSAGES && client->status == TLS_OK; i++) {
        send_message(client, server, i * MESSAGE);
    }
    if (client->status != TLS_OK) {
        return;
    }
    is_armed = true;
    tls_stream_close_notify(client->stream);
    is_armed = false;
    post(client, server);
    receive(server, client);
}

static struct tls_stream *stream_new(struct tls_context *context, enum tls_use use) {
    struct tls_expectation expect = {.server_name = NULL};
    return tls_stream_new(context, use, &expect);
}

// One life of a connection in which allocation `nth` fails. False: there were not so many.
static bool run(struct tls_context *client_context, struct tls_context *server_context, long nth,
                bool is_trusted) {
    static struct end client;
    static struct end server;
    client = (struct end){.stream = stream_new(client_context, TLS_MESH_CLIENT)};
    server = (struct end){.stream = stream_new(server_context, TLS_MESH_SERVER)};
    assert_true(client.stream != NULL && server.stream != NULL);
    left = nth;
    for (int i = 0; i < 4; i++) {
        shake(&client, &server);
        shake(&server, &client);
    }
    bool is_up = client.status == TLS_OK && server.status == TLS_OK;
    assert_true(is_trusted || server.status == TLS_FAILED || server.status == TLS_AGAIN);
    assert_true((tls_stream_peer(server.stream) != NULL) == (server.status == TLS_OK));
    if (is_up) {
        transfer(&client, &server);
    }
    bool has_failed = left < 0;
    bool is_complete = server.status == TLS_EOF && server.received == MESSAGE * NUM_MESSAGES;
    bool is_failed = client.status == TLS_FAILED || server.status == TLS_FAILED ||
                     tls_stream_error(client.stream)[0] != '\0';
    assert_true(is_complete || is_failed);
    assert_true(has_failed || is_complete == is_trusted);
    tls_stream_free(client.stream);
    tls_stream_free(server.stream);
    return has_failed;
}

static void no_allocation_failure_loses_or_admits(void **state) {
    const struct tls_fixture *fixture = *state;
    OWNED(pki_free) struct pki_cert *other_ca = pki_ca();
    OWNED(tls_context_unref)
    struct tls_context *stranger = tls_fixture_context_of(pki_svid(other_ca, CLIENT_ID),
                                                          pki_bundles("example.org", fixture->ca));
    long nth = 0;
    while (run(fixture->client, fixture->server, nth, true)) {
        nth++;
    }
    print_message("    %ld allocations\n", nth);
    assert_true(nth > 100);
    for (nth = 0; run(stranger, fixture->server, nth, false); nth++) {
    }
    assert_true(nth > 100);
}

static void a_stream_that_cannot_be_made_is_null(void **state) {
    const struct tls_fixture *fixture = *state;
    static const struct tls_expectation expect = {.server_name = "config.internal"};
    for (long nth = 0;; nth++) {
        left = nth;
        is_armed = true;
        struct tls_stream *stream = tls_stream_new(fixture->client, TLS_MUTUAL_CLIENT, &expect);
        is_armed = false;
        tls_stream_free(stream);
        if (stream != NULL) {
            assert_true(nth > 3);
            return;
        }
    }
}

static void unsent_bytes_that_cannot_be_kept_end_the_stream(void **state) {
    const struct tls_fixture *fixture = *state;
    struct tls_pair pair;
    tls_fixture_connect(fixture, &pair, false);
    left = 0;
    is_armed = true;
    bool kept = tls_stream_keep_unsent(pair.client.stream, span_of_text("ciphertext"));
    is_armed = false;
    assert_false(kept);
    size_t n = 0;
    assert_int_equal(tls_side_write(&pair, &pair.client, span_of_text("x"), &n), TLS_FAILED);
    assert_string_equal(tls_stream_error(pair.client.stream),
                        "cannot allocate memory for bytes to send");
    tls_pair_fini(&pair);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(no_allocation_failure_loses_or_admits),
        cmocka_unit_test(a_stream_that_cannot_be_made_is_null),
        cmocka_unit_test(unsent_bytes_that_cannot_be_kept_end_the_stream),
    };
    return cmocka_run_group_tests(tests, tls_fixture_set_up, tls_fixture_tear_down);
}
