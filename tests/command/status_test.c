// The whole command against a status port in a child process.
#include "agent/command/status.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>
#include <ev.h>

#include "agent/net/socket.h"
#include "tests/status/fake_backend.h"
#include "tests/status/http_probe.h"

struct agent {
    pid_t pid;
    struct netaddr address;
    char text[NETADDR_TEXT_MAX]; // of the address
};

static void serve(const struct netaddr *address, bool ready) {
    struct fake_backend fake;
    struct ev_loop *loop = ev_loop_new(EVFLAG_AUTO);
    fake_backend_init(&fake);
    fake.config.status = (struct config_status){.has_listen = true, .listen = *address};
    fake.checks[1].ready = ready;
    (void)snprintf(fake.checks[1].pending, 256, "the source does not answer");
    struct status_backend ops = fake_backend_ops(&fake);
    struct status_server *server = status_server_new(loop, &fake.config, &ops, NULL, NULL);
    if (server != NULL) {
        ev_run(loop, 0);
    }
    _exit(1);
}

static struct agent start(bool ready) {
    struct agent agent = {.address = http_probe_free_address()};
    (void)netaddr_format(&agent.address, agent.text);
    agent.pid = fork();
    assert_true(agent.pid >= 0);
    if (agent.pid == 0) {
        serve(&agent.address, ready);
    }
    struct sockaddr_storage sa;
    socklen_t len = netaddr_to_sockaddr(&agent.address, &sa);
    for (int i = 0; i < 10000; i++) { // until it listens
        int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        int result = connect(fd, (struct sockaddr *)&sa, len);
        close(fd);
        if (result == 0) {
            return agent;
        }
        usleep(1000);
    }
    fail_msg("the child does not listen");
    return agent;
}

static void stop(const struct agent *agent) {
    kill(agent->pid, SIGKILL);
    waitpid(agent->pid, NULL, 0);
}

struct outcome {
    int code;
    char out[65536];
    char err[4096];
};

static int redirect(FILE *stream, int *saved) {
    int fd = memfd_create("output", MFD_CLOEXEC);
    assert_true(fd >= 0);
    fflush(stream);
    *saved = dup(fileno(stream));
    assert_true(dup2(fd, fileno(stream)) >= 0);
    return fd;
}

static void restore(FILE *stream, int saved, int fd, char *into, size_t max) {
    fflush(stream);
    assert_true(dup2(saved, fileno(stream)) >= 0);
    close(saved);
    ssize_t len = pread(fd, into, max - 1, 0);
    into[len < 0 ? 0 : len] = '\0';
    close(fd);
}

#define ARGUMENTS_MAX 8

// Runs `pavise status` with the arguments up to NULL.
static struct outcome *run(const char *const arguments[]) {
    static struct outcome outcome;
    char *argv[ARGUMENTS_MAX + 2] = {"status"};
    int argc = 1, out_saved, err_saved;
    for (; arguments[argc - 1] != NULL; argc++) {
        argv[argc] = (char *)arguments[argc - 1];
    }
    int out = redirect(stdout, &out_saved), err = redirect(stderr, &err_saved);
    outcome.code = status_run(argc, argv);
    restore(stderr, err_saved, err, outcome.err, sizeof(outcome.err));
    restore(stdout, out_saved, out, outcome.out, sizeof(outcome.out));
    return &outcome;
}

#define RUN(...) run((const char *const[]){__VA_ARGS__, NULL})

static void test_overview(void **state UNUSED) {
    struct agent agent = start(true);
    struct outcome *o = RUN("--address", agent.text);
    assert_int_equal(o->code, 0);
    assert_memory_equal(o->out, "ready\nidentity     valid, " FAKE_BACKEND_ID ", time left ", 68);
    assert_non_null(strstr(o->out, "\nconnections  1\n"));
    o = RUN("--address", agent.text, "-o", "json");
    assert_int_equal(o->code, 0);
    assert_memory_equal(o->out, "{\"identity\": {", 14);
    stop(&agent);
}

static void test_subjects(void **state UNUSED) {
    struct agent agent = start(true);
    static const struct {
        const char *what, *word;
    } rows[] = {
        {"identity", "TIME LEFT"},
        {"connections", "10.0.0.1:6379"},
        {"tunnels", "X25519Kyber"},
        {"destinations", "pinned"},
        {"listeners", "explicit"},
        {"refusals", "unauthorized"},
        {"certs", "trust_bundle"},
        {"config", "\"status\""},
        {"metrics", "pavise_build_info{version="},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct outcome *o = RUN(rows[i].what, "--address", agent.text);
        assert_int_equal(o->code, 0);
        assert_non_null(strstr(o->out, rows[i].word));
        assert_string_equal(o->err, "");
    }
    struct outcome *o = RUN("identity", "-o", "json", "--address", agent.text);
    assert_int_equal(o->code, 0);
    assert_memory_equal(o->out, "{\n  \"state\": \"valid\"", 20); // untouched
    stop(&agent);
}

static void test_ready(void **state UNUSED) {
    struct agent agent = start(true);
    struct outcome *o = RUN("--ready", "--address", agent.text);
    assert_int_equal(o->code, 0);
    assert_string_equal(o->out, "ready\n");
    stop(&agent);
    agent = start(false);
    o = RUN("--ready", "--address", agent.text);
    assert_int_equal(o->code, 1);
    assert_string_equal(o->out, "not ready\n  identity: the source does not answer\n");
    stop(&agent);
}

static void test_from_config(void **state UNUSED) {
    struct agent agent = start(true);
    char path[] = "/tmp/pavise-status-test-XXXXXX";
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    dprintf(fd, "status: {listen: \"%s\"}\n", agent.text);
    struct outcome *o = RUN("--ready", "--config", path);
    assert_int_equal(o->code, 0);
    assert_int_equal(ftruncate(fd, 0), 0);
    assert_int_equal(pwrite(fd, "statu: 1\n", 9, 0), 9);
    o = RUN("--config", path);
    assert_int_equal(o->code, 1);
    assert_non_null(strstr(o->err, "statu"));
    close(fd);
    unlink(path);
    o = RUN("--config", path);
    assert_int_equal(o->code, 1);
    stop(&agent);
}

static void test_nobody_there(void **state UNUSED) {
    struct netaddr address = http_probe_free_address();
    char text[NETADDR_TEXT_MAX];
    (void)netaddr_format(&address, text);
    for (int i = 0; i < 2; i++) {
        struct outcome *o = RUN("--address", text, i == 0 ? "--ready" : "identity");
        assert_int_equal(o->code, 3);
        assert_string_equal(o->out, "");
        assert_non_null(strstr(o->err, text));
        assert_non_null(strstr(o->err, "--address"));
    }
}

// Something else listens there.
static void test_not_ours(void **state UNUSED) {
    struct netaddr address = http_probe_free_address();
    char text[NETADDR_TEXT_MAX];
    int listener = socket_listen(&address, false, NULL);
    pid_t pid = fork();
    if (pid == 0) {
        for (;;) {
            int fd = accept(listener, NULL, NULL);
            if (fd >= 0) {
                dprintf(fd, "220 smtp.example ESMTP\r\n");
                close(fd);
            }
            usleep(1000);
        }
    }
    struct outcome *o = RUN("--address", netaddr_format(&address, text));
    assert_int_not_equal(o->code, 0);
    assert_string_equal(o->out, "");
    assert_non_null(strstr(o->err, text));
    kill(pid, SIGKILL);
    waitpid(pid, NULL, 0);
    close(listener);
}

// It listens when somebody has waited for it for a while; and what is not ready in time is not.
static void test_waits_until_ready(void **state UNUSED) {
    struct agent agent = {.address = http_probe_free_address()};
    (void)netaddr_format(&agent.address, agent.text);
    agent.pid = fork();
    assert_true(agent.pid >= 0);
    if (agent.pid == 0) {
        usleep(300 * 1000);
        serve(&agent.address, true);
    }
    assert_int_equal(RUN("--ready", "--address", agent.text)->code, 3); // the control
    struct outcome *o = RUN("--ready", "--wait", "60s", "--address", agent.text);
    assert_int_equal(o->code, 0);
    assert_string_equal(o->out, "ready\n");
    assert_string_equal(o->err, "");
    stop(&agent);
    agent = start(false);
    o = RUN("--ready", "--wait", "300ms", "--address", agent.text);
    assert_int_equal(o->code, 1);
    assert_int_equal(strncmp(o->out, "not ready\n", 10), 0);
    stop(&agent);
}

static void test_usage(void **state UNUSED) {
    assert_int_equal(RUN("everything")->code, 2);
    assert_int_equal(RUN("identity", "tunnels")->code, 2);
    assert_int_equal(RUN("--what")->code, 2);
    assert_int_equal(RUN("-o", "yaml")->code, 2);
    assert_int_equal(RUN("metrics", "-o", "json")->code, 2);
    assert_int_equal(RUN("--ready", "identity")->code, 2);
    assert_int_equal(RUN("--wait", "5s")->code, 2);
    assert_int_equal(RUN("--ready", "--wait", "5")->code, 2);
    assert_int_equal(RUN("--address", "127.0.0.1:1", "--config", "x")->code, 2);
    assert_int_equal(RUN("--address", "nowhere")->code, 1);
    struct outcome *o = RUN("--help");
    assert_int_equal(o->code, 0);
    assert_memory_equal(o->out, "usage: pavise status", 20);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_overview),
        cmocka_unit_test(test_subjects),
        cmocka_unit_test(test_ready),
        cmocka_unit_test(test_from_config),
        cmocka_unit_test(test_nobody_there),
        cmocka_unit_test(test_not_ours),
        cmocka_unit_test(test_waits_until_ready),
        cmocka_unit_test(test_usage),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
