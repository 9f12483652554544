// Callers of two users connect and disconnect at the same time, hundreds of times, so descriptor
// numbers are reused all the while: every answer carries the caller's own identity.
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/own.h"
#include "tests/authority/authority_process.h"
#include "tests/authority/workload_client.h"

#define ROUNDS 200
#define CHILDREN_PER_UID 3

static const uid_t uids[] = {1001, 1002};
#define NUM_CHILDREN (CHILDREN_PER_UID * sizeof(uids) / sizeof(uids[0]))

// One round: some connections are dropped at once, some after half a preface, most make a call,
// and some of these wait for a rotation too.
static void one_round(const struct authority_process *process, const char *spiffe_id, unsigned i) {
    if (i % 5 == 0) {
        int fd = authority_process_connect(process);
        if (i % 2 == 0) {
            (void)send(fd, "PRI * HTTP/2.0\r\n", 16, MSG_NOSIGNAL);
        }
        (void)close(fd);
    }
    OWNED(grpc_stream_free) struct grpc_stream *stream = workload_client_svids(process->target);
    if (i % 7 == 0) {
        return; // gone before the answer
    }
    size_t num = i % 50 == 1 ? 2 : 1;
    for (size_t k = 0; k < num; k++) {
        OWNED(update_free) struct update *update = workload_client_next(stream);
        if (update == NULL) {
            (void)fprintf(stderr, "the stream ended\n");
            _exit(2);
        }
        svid_unref(workload_client_svid(update, spiffe_id)); // aborts for another identity
    }
}

static pid_t start_child(const struct authority_process *process, uid_t uid, unsigned seed) {
    pid_t pid = fork(); // before this process ever touched gRPC
    assert_true(pid >= 0);
    if (pid > 0) {
        return pid;
    }
    char spiffe_id[64];
    if (setgid(uid) != 0 || setuid(uid) != 0) {
        _exit(3);
    }
    (void)snprintf(spiffe_id, sizeof(spiffe_id), "spiffe://example.org/uid/%u", (unsigned)uid);
    grpc_stream_library_init();
    for (unsigned i = 0; i < ROUNDS; i++) {
        one_round(process, spiffe_id, i + seed);
    }
    grpc_stream_library_fini();
    _exit(0);
}

// All connections are gone: so are their descriptors.
static void wait_for_fds(const struct authority_process *process, int expected) {
    int num = 0;
    for (unsigned i = 0; i < AUTHORITY_WAIT_MS / 10; i++) {
        struct timespec pause = {.tv_nsec = 10000000};
        num = authority_process_num_fds(process);
        if (num <= expected) {
            return;
        }
        (void)nanosleep(&pause, NULL);
    }
    fail_msg("%d descriptors are open, %d were at the start", num, expected);
}

static void test_two_users(void **state) {
    (void)state;
    static const char *const args[] = {"--ttl", "10s", "--rotate-every", "500ms", NULL};
    struct authority_process process;
    pid_t children[NUM_CHILDREN];
    if (geteuid() != 0) {
        print_message("SKIPPED: only root can call as two users\n");
        skip();
    }
    authority_process_init(&process);
    authority_process_start(&process, args);
    authority_process_wait_log(&process, "event=authority_started", 1);
    int num_fds = authority_process_num_fds(&process);
    for (size_t i = 0; i < NUM_CHILDREN; i++) {
        children[i] =
            start_child(&process, uids[i % (sizeof(uids) / sizeof(uids[0]))], (unsigned)i);
    }
    unsigned num_failed = 0;
    for (size_t i = 0; i < NUM_CHILDREN; i++) {
        int status = 0;
        assert_int_equal(waitpid(children[i], &status, 0), children[i]);
        num_failed += status != 0 ? 1U : 0U;
    }
    assert_int_equal(num_failed, 0);
    wait_for_fds(&process, num_fds);
    assert_int_equal(authority_process_end(&process, SIGTERM), 0);
    authority_process_fini(&process);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_two_users)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
