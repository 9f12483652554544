// The authority's life: entries and SIGHUP, restarts, start errors and their exit codes.
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/own.h"
#include "certmgr/grpc_code.h"
#include "tests/authority/authority_process.h"
#include "tests/authority/workload_client.h"

#define NOBODY 65534

static int setup(void **state) {
    struct authority_process *process = calloc(1, sizeof(*process));
    assert_non_null(process);
    authority_process_init(process);
    *state = process;
    return 0;
}

static int teardown(void **state) {
    authority_process_fini(*state);
    free(*state);
    return 0;
}

static void write_entries(const struct authority_process *process, const char *text,
                          char path[TEMP_PATH_MAX]) {
    temp_dir_write(&process->dir, "entries.yaml", text, strlen(text), path);
}

static void entry_for_us(char out[128], const char *path) {
    (void)snprintf(out, 128, "- {uid: %u, spiffeId: \"spiffe://example.org/%s\"}\n",
                   (unsigned)geteuid(), path);
}

static void assert_next_is(struct grpc_stream *stream, const char *spiffe_id) {
    OWNED(update_free) struct update *update = workload_client_next(stream);
    assert_non_null(update);
    svid_unref(workload_client_svid(update, spiffe_id));
}

static void assert_new_call_ends(const struct authority_process *process, int status) {
    OWNED(grpc_stream_free) struct grpc_stream *svids = workload_client_svids(process->target);
    OWNED(grpc_stream_free) struct grpc_stream *bundles = workload_client_bundles(process->target);
    assert_int_equal(workload_client_status(svids), status);
    assert_int_equal(workload_client_status(bundles), status);
}

// Entries decide, at once, also for streams that are open.
static void test_entries(void **state) {
    struct authority_process *process = *state;
    char path[TEMP_PATH_MAX];
    char text[128];
    const char *const args[] = {"--entries", path, NULL};
    entry_for_us(text, "web");
    write_entries(process, text, path);
    authority_process_start(process, args);
    OWNED(grpc_stream_free) struct grpc_stream *stream = workload_client_svids(process->target);
    assert_next_is(stream, "spiffe://example.org/web");
    OWNED(grpc_stream_free) struct grpc_stream *bundles = workload_client_bundles(process->target);
    update_free(workload_client_next_bundles(bundles));

    entry_for_us(text, "db");
    write_entries(process, text, path);
    assert_int_equal(kill(process->pid, SIGHUP), 0);
    assert_next_is(stream, "spiffe://example.org/db");

    write_entries(process, "- {uid: 1", path); // refused: the old ones stay
    assert_int_equal(kill(process->pid, SIGHUP), 0);
    authority_process_wait_log(process, "event=entries_refused", 1);
    OWNED(grpc_stream_free) struct grpc_stream *other = workload_client_svids(process->target);
    assert_next_is(other, "spiffe://example.org/db");

    write_entries(process, "[]", path);
    assert_int_equal(kill(process->pid, SIGHUP), 0);
    assert_int_equal(workload_client_status(stream), GRPC_CODE_PERMISSION_DENIED);
    assert_int_equal(workload_client_status(other), GRPC_CODE_PERMISSION_DENIED);
    assert_int_equal(workload_client_status(bundles), GRPC_CODE_PERMISSION_DENIED);
    assert_new_call_ends(process, GRPC_CODE_PERMISSION_DENIED);

    entry_for_us(text, "back");
    write_entries(process, text, path);
    assert_int_equal(kill(process->pid, SIGHUP), 0);
    authority_process_wait_log(process, "event=entries_reloaded", 3);
    OWNED(grpc_stream_free) struct grpc_stream *again = workload_client_svids(process->target);
    assert_next_is(again, "spiffe://example.org/back");
    assert_int_equal(authority_process_end(process, SIGTERM), 0);
}

static struct update *first_state(const struct authority_process *process) {
    OWNED(grpc_stream_free) struct grpc_stream *stream = workload_client_svids(process->target);
    struct update *update = workload_client_next(stream);
    assert_non_null(update);
    return update;
}

static bool same_bundle(const struct update *a, const struct update *b) {
    return span_equal(update_bytes_span(&a->svids[0].bundle),
                      update_bytes_span(&b->svids[0].bundle));
}

static void test_restart_keeps_the_ca(void **state) {
    struct authority_process *process = *state;
    char path[TEMP_PATH_MAX];
    const char *const args[] = {"--state", path, NULL};
    temp_dir_path(&process->dir, "state", path);
    authority_process_start(process, args);
    OWNED(update_free) struct update *before = first_state(process);
    assert_int_equal(authority_process_end(process, SIGTERM), 0);
    authority_process_start(process, args);
    OWNED(update_free) struct update *after = first_state(process);
    assert_true(same_bundle(before, after));
    assert_int_equal(authority_process_end(process, SIGKILL), 1000 + SIGKILL);
    authority_process_start(process, args); // the socket file is stale now
    OWNED(update_free) struct update *killed = first_state(process);
    assert_true(same_bundle(before, killed));
    assert_int_equal(authority_process_end(process, SIGINT), 0);
    authority_process_start(process, NULL); // the control: in memory it is another one
    OWNED(update_free) struct update *other = first_state(process);
    assert_false(same_bundle(before, other));
}

static void test_end_ends_streams(void **state) {
    struct authority_process *process = *state;
    authority_process_start(process, NULL);
    OWNED(grpc_stream_free) struct grpc_stream *stream = workload_client_svids(process->target);
    update_free(workload_client_next(stream));
    assert_int_equal(authority_process_end(process, SIGTERM), 0);
    assert_int_equal(workload_client_status(stream), GRPC_CODE_UNAVAILABLE);
    assert_int_not_equal(access(process->socket_path, F_OK), 0);
}

static void assert_start_fails(struct authority_process *process, const char *const *args, int code,
                               const char *says) {
    authority_process_spawn(process, args, 0);
    assert_int_equal(authority_process_end(process, 0), code);
    authority_process_wait_log(process, says, 1);
}

static void test_start_errors(void **state) {
    struct authority_process *process = *state;
    struct authority_process live;
    char path[TEMP_PATH_MAX];
    const char *const usage[] = {"--ttl", "1s", NULL};
    const char *const entries[] = {"--entries", path, NULL};
    const char *const state_dir[] = {"--state", path, NULL};
    assert_start_fails(process, usage, 2, "--ttl must be");
    write_entries(process, "- {uid: 1, spiffeId: x}\n", path);
    assert_start_fails(process, entries, 1, "entries.yaml:1:22: ");
    temp_dir_path(&process->dir, "nowhere", path);
    assert_start_fails(process, entries, 1, "nowhere");
    temp_dir_path(&process->dir, "open", path);
    assert_int_equal(mkdir(path, 0755), 0);
    assert_start_fails(process, state_dir, 3, "open to others");

    live = *process;
    live.pid = 0;
    authority_process_start(&live, NULL);
    assert_start_fails(process, NULL, 3, "address in use");
    update_free(first_state(&live)); // unharmed
    assert_int_equal(authority_process_end(&live, SIGTERM), 0);

    temp_dir_write(&process->dir, "s", "x", 1, path);
    assert_start_fails(process, NULL, 3, "not a socket");
}

// As an ordinary user, and closed to that user's other processes.
static void test_plain_user(void **state) {
    struct authority_process *process = *state;
    struct stat st;
    char path[TEMP_PATH_MAX];
    char state_dir[TEMP_PATH_MAX];
    const char *const args[] = {"--state", state_dir, NULL};
    if (geteuid() != 0) {
        print_message("SKIPPED: only root can start it as another user\n");
        skip();
    }
    temp_dir_path(&process->dir, "state", state_dir);
    assert_int_equal(chown(process->dir.path, NOBODY, NOBODY), 0);
    authority_process_spawn(process, args, NOBODY);
    authority_process_wait_ready(process);
    OWNED(grpc_stream_free) struct grpc_stream *stream = workload_client_svids(process->target);
    assert_next_is(stream, "spiffe://example.org/uid/0"); // the caller's uid, not the server's
    (void)snprintf(path, sizeof(path), "/proc/%d/environ", (int)process->pid);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_uid, 0); // proc(5): not dumpable
    assert_int_equal(authority_process_end(process, SIGTERM), 0);
}

static int library_init(void **state) {
    (void)state;
    grpc_stream_library_init();
    return 0;
}

static int library_fini(void **state) {
    (void)state;
    grpc_stream_library_fini();
    return 0;
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_entries, setup, teardown),
        cmocka_unit_test_setup_teardown(test_restart_keeps_the_ca, setup, teardown),
        cmocka_unit_test_setup_teardown(test_end_ends_streams, setup, teardown),
        cmocka_unit_test_setup_teardown(test_start_errors, setup, teardown),
        cmocka_unit_test_setup_teardown(test_plain_user, setup, teardown),
    };
    return cmocka_run_group_tests(tests, library_init, library_fini);
}
