// Callers that misbehave: garbage, too many connections, no descriptors left, a reader that never
// reads. The authority serves the others all the while and forgets these without a trace.
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/err.h"
#include "base/own.h"
#include "certmgr/workload_codec.h"
#include "tests/authority/authority_process.h"
#include "tests/authority/raw_h2.h"
#include "tests/authority/workload_client.h"

#define PER_UID 256 // the authority's limit

static int setup(void **state) {
    static const char *const args[] = {"--ttl", "1m", "--rotate-every", "500ms", NULL};
    struct authority_process *process = calloc(1, sizeof(*process));
    assert_non_null(process);
    grpc_stream_library_init();
    authority_process_init(process);
    authority_process_start(process, args);
    authority_process_wait_log(process, "event=authority_started", 1);
    *state = process;
    return 0;
}

// A clean end also means, under ASan, that nothing leaked.
static int teardown(void **state) {
    int code = authority_process_end(*state, SIGTERM);
    authority_process_fini(*state);
    free(*state);
    grpc_stream_library_fini();
    return code;
}

static struct svid *fetch(const struct authority_process *process) {
    char id[64];
    (void)snprintf(id, sizeof(id), "spiffe://example.org/uid/%u", (unsigned)geteuid());
    OWNED(grpc_stream_free) struct grpc_stream *stream = workload_client_svids(process->target);
    OWNED(update_free) struct update *update = workload_client_next(stream);
    return update != NULL ? workload_client_svid(update, id) : NULL;
}

static void assert_serves(const struct authority_process *process) {
    struct svid *svid = fetch(process);
    assert_non_null(svid);
    svid_unref(svid);
}

// Where refusals in between are right.
static void assert_serves_soon(const struct authority_process *process) {
    struct svid *svid = NULL;
    for (unsigned i = 0; svid == NULL && i < AUTHORITY_WAIT_MS / 10; i++) {
        struct timespec pause = {.tv_nsec = 10000000};
        svid = fetch(process);
        (void)nanosleep(&pause, NULL);
    }
    assert_non_null(svid);
    svid_unref(svid);
}

static void wait_for_fds(const struct authority_process *process, int expected) {
    for (unsigned i = 0; i < AUTHORITY_WAIT_MS / 10; i++) {
        struct timespec pause = {.tv_nsec = 10000000};
        if (authority_process_num_fds(process) <= expected) {
            return;
        }
        (void)nanosleep(&pause, NULL);
    }
    fail_msg("%d descriptors are open, %d were at the start", authority_process_num_fds(process),
             expected);
}

// Random bytes, mostly behind a good preface so that they reach the frame parser.
static void send_garbage(int fd, unsigned *seed) {
    static const char preface[] = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
    size_t pieces = (size_t)rand_r(seed) % 4 + 1;
    if (rand_r(seed) % 4 != 0) {
        (void)send(fd, preface, sizeof(preface) - 1, MSG_NOSIGNAL);
    }
    for (size_t i = 0; i < pieces; i++) {
        uint8_t frame[64] = {0, 0, (uint8_t)(rand_r(seed) % 55)};
        for (size_t k = 3; k < sizeof(frame); k++) {
            frame[k] = (uint8_t)rand_r(seed);
        }
        frame[3] %= 12; // mostly known types
        frame[5] = frame[6] = frame[7] = 0;
        frame[8] %= 8;
        (void)send(fd, frame, 9U + frame[2], MSG_NOSIGNAL);
    }
}

static void test_garbage(void **state) {
    const struct authority_process *process = *state;
    unsigned seed = (unsigned)time(NULL);
    print_message("seed %u\n", seed);
    int num_fds = authority_process_num_fds(process);
    for (unsigned i = 0; i < 500; i++) {
        int fd = authority_process_connect(process);
        send_garbage(fd, &seed);
        if (i % 3 == 0) {
            (void)shutdown(fd, SHUT_WR);
        }
        (void)close(fd);
    }
    assert_serves(process);
    wait_for_fds(process, num_fds);
}

// Whether the server said something (its settings) before it closed.
static bool is_served(int fd) {
    struct timeval wait = {.tv_sec = AUTHORITY_WAIT_MS / 1000};
    char byte;
    assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof(wait)), 0);
    return recv(fd, &byte, 1, 0) == 1;
}

static void test_connections_per_uid(void **state) {
    const struct authority_process *process = *state;
    int num_fds = authority_process_num_fds(process);
    int fds[PER_UID];
    for (size_t i = 0; i < PER_UID; i++) {
        fds[i] = authority_process_connect(process);
    }
    for (size_t i = 0; i < PER_UID; i++) {
        assert_true(is_served(fds[i]));
    }
    int more = authority_process_connect(process);
    assert_false(is_served(more));
    (void)close(more);
    authority_process_wait_log(process, "event=connection_refused", 1);
    for (size_t i = 0; i < PER_UID; i++) {
        (void)close(fds[i]);
    }
    wait_for_fds(process, num_fds);
    assert_serves(process);
}

// A connection takes two descriptors: with an odd and with an even number of them the authority
// runs out at different places.
static void run_out(const struct authority_process *process, rlim_t max) {
    enum { CONNECTIONS = 100 };
    const struct rlimit few = {.rlim_cur = max, .rlim_max = max};
    int fds[CONNECTIONS];
    int num_fds = authority_process_num_fds(process);
    assert_int_equal(prlimit(process->pid, RLIMIT_NOFILE, &few, NULL), 0);
    for (size_t i = 0; i < CONNECTIONS; i++) {
        fds[i] = authority_process_connect(process);
    }
    assert_true(is_served(fds[0]));
    for (size_t i = 0; i < CONNECTIONS; i++) {
        (void)close(fds[i]);
    }
    assert_serves_soon(process); // it has not given up listening
    wait_for_fds(process, num_fds);
}

static void test_no_descriptors(void **state) {
    run_out(*state, 41);
    run_out(*state, 40);
}

static struct svid *next_raw(struct raw_h2 *h2) {
    struct err err = {0};
    struct buf message __attribute__((cleanup(buf_clear_secret))) = {0};
    char id[64];
    (void)snprintf(id, sizeof(id), "spiffe://example.org/uid/%u", (unsigned)geteuid());
    raw_h2_next(h2, &message);
    OWNED(update_free) struct update *update = workload_decode_svids(buf_span(&message), &err);
    assert_non_null(update);
    return workload_client_svid(update, id);
}

// Six rotations pass while a caller takes nothing. Then it gets the message that was on its way and
// the newest one; what lay between was not kept for it.
static void test_stalled_reader(void **state) {
    enum { ROTATIONS = 6 };
    const struct authority_process *process = *state;
    struct raw_h2 h2 __attribute__((cleanup(raw_h2_fini)));
    char id[64];
    char seen[ROTATIONS][SVID_SERIAL_TEXT_MAX];
    (void)snprintf(id, sizeof(id), "spiffe://example.org/uid/%u", (unsigned)geteuid());
    raw_h2_init(&h2, authority_process_connect(process));
    OWNED(grpc_stream_free) struct grpc_stream *stream = workload_client_svids(process->target);
    for (size_t i = 0; i < ROTATIONS; i++) {
        OWNED(update_free) struct update *update = workload_client_next(stream);
        assert_non_null(update);
        OWNED(svid_unref) struct svid *svid = workload_client_svid(update, id);
        memcpy(seen[i], svid_serial(svid), sizeof(seen[i]));
    }
    raw_h2_open_window(&h2);
    OWNED(svid_unref) struct svid *first = next_raw(&h2);
    OWNED(svid_unref) struct svid *second = next_raw(&h2);
    assert_string_not_equal(svid_serial(first), svid_serial(second));
    for (size_t i = 0; i + 1 < ROTATIONS; i++) {
        assert_string_not_equal(svid_serial(second), seen[i]);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_garbage, setup, teardown),
        cmocka_unit_test_setup_teardown(test_connections_per_uid, setup, teardown),
        cmocka_unit_test_setup_teardown(test_no_descriptors, setup, teardown),
        cmocka_unit_test_setup_teardown(test_stalled_reader, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
