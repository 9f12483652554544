// Connecting to a CA: each way in which it can go wrong has a sentence of its own.
#include "certmgr/tls_client.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/netaddr.h"
#include "tests/certmgr/ca_bench.h"

static struct tls_pump *dial(const struct ca_bench *bench, const char *name, int64_t ms,
                             int cancel_fd, struct err *err) {
    const struct tls_client_options options = {
        .address = bench->address, .server_name = name, .roots_file = bench->roots_path};
    const struct patience patience = {.cancel_fd = cancel_fd, .deadline_ms = clock_mono_ms() + ms};
    return tls_client_connect(&options, &patience, err);
}

static void assert_refused(const struct ca_bench *bench, const char *name, const char *says) {
    struct err err = {0};
    struct tls_pump *pump OWNED(tls_pump_free) = dial(bench, name, 10000, -1, &err);
    if (pump != NULL || strstr(err.msg, says) == NULL) {
        fail_msg("no \"%s\" in \"%s\"", says, err.msg);
    }
}

static void assert_connects(const struct ca_bench *bench, const char *name) {
    struct err err = {0};
    struct tls_pump *pump OWNED(tls_pump_free) = dial(bench, name, 10000, -1, &err);
    if (pump == NULL) {
        fail_msg("%s", err.msg);
    }
}

static void names(void **state) {
    const struct ca_bench *bench = *state;
    assert_connects(bench, NULL); // 127.0.0.1, an IP SAN
    assert_connects(bench, "127.0.0.1");
    assert_connects(bench, "ca.test");
    assert_connects(bench, "CA.test");
    assert_refused(bench, "ca.test.example.org", "is not for the name");
    assert_refused(bench, "test", "is not for the name");
    assert_refused(bench, "127.0.0.2", "is not for the name");
    assert_refused(bench, "::1", "is not for the name");
}

static void serve_another(struct ca_bench *bench, const struct pki_cert *shown) {
    fake_ca_free(bench->fake);
    ca_bench_serve(bench, 0, shown);
}

// A common name is no name (RFC 6125), and a leaf must be one.
static void certificates_that_are_unfit(void **state) {
    struct ca_bench *bench = *state;
    const struct {
        struct pki_options options;
        bool by_other_root;
        const char *says;
    } rows[] = {
        {{.common_name = "ca.test"}, false, "is not for the name"},
        {{.dns = {span_of_text("x.test"), span_of_text("ca.test")}}, false, NULL},
        {{.dns = {span_of_text("*.test")}}, false, "is not for the name"},
        {{.dns = {span_of_text("*")}}, false, "is not for the name"},
        {{.dns = {span_of_text("ca.test")}, .not_after = 1000000000}, false, "expired"},
        {{.dns = {span_of_text("ca.test")}, .not_before = 4000000000}, false, "not yet valid"},
        {{.dns = {span_of_text("ca.test")}, .extended_key_usage = "clientAuth"},
         false,
         "not trusted"},
        {{.dns = {span_of_text("ca.test")}, .bad_signature = true}, false, "not trusted"},
        {{.dns = {span_of_text("ca.test")}}, true, "not trusted"},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct pki_cert *shown OWNED(pki_free) =
            pki_issue(rows[i].by_other_root ? bench->other_root : bench->root, &rows[i].options);
        serve_another(bench, shown);
        if (rows[i].says == NULL) {
            assert_connects(bench, "ca.test");
        } else {
            assert_refused(bench, "ca.test", rows[i].says);
        }
    }
}

static int listen_plain(struct ca_bench *bench) {
    struct sockaddr_storage sa;
    struct netaddr addr = {.family = NETADDR_V4, .ip = {127, 0, 0, 1}};
    socklen_t len = netaddr_to_sockaddr(&addr, &sa);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&sa, len), 0);
    assert_int_equal(listen(fd, 8), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&sa, &len), 0);
    assert_true(netaddr_from_sockaddr(&addr, &sa));
    netaddr_format(&addr, bench->address);
    return fd;
}

static void a_port_nobody_listens_on(void **state) {
    struct ca_bench *bench = *state;
    close(listen_plain(bench));
    assert_refused(bench, NULL, "cannot connect to 127.0.0.1");
}

static void a_server_that_says_nothing(void **state) {
    struct ca_bench *bench = *state;
    struct err err = {0};
    int fd = listen_plain(bench);
    assert_null(dial(bench, NULL, 200, -1, &err));
    assert_non_null(strstr(err.msg, "did not finish the TLS handshake"));
    int cancel_fd = eventfd(1, EFD_CLOEXEC);
    assert_null(dial(bench, NULL, 60000, cancel_fd, &err));
    assert_non_null(strstr(err.msg, "stopped"));
    close(cancel_fd);
    close(fd);
}

static void a_server_that_speaks_something_else(void **state) {
    struct ca_bench *bench = *state;
    static const char *const greetings[] = {"HTTP/1.1 400 Bad Request\r\n\r\n", "220 hello\r\n",
                                            "\x15\x03\x03\x00\x02\x02\x28", ""};
    static const char *const says[] = {"does not speak TLS", "does not speak TLS", "alert",
                                       "closed the connection"};
    const size_t lens[] = {28, 11, 7, 0};
    for (size_t i = 0; i < sizeof(greetings) / sizeof(greetings[0]); i++) {
        int listener = listen_plain(bench);
        pid_t child = fork();
        assert_true(child >= 0);
        if (child == 0) {
            char hello[4096];
            int fd = accept(listener, NULL, NULL);
            ssize_t got = recv(fd, hello, sizeof(hello), 0);
            got = send(fd, greetings[i], lens[i], MSG_NOSIGNAL);
            shutdown(fd, SHUT_WR);
            got = recv(fd, hello, sizeof(hello), 0);
            _exit(got < 0);
        }
        assert_refused(bench, NULL, says[i]);
        close(listener);
        kill(child, SIGKILL);
    }
}

static void roots_that_are_unfit(void **state) {
    const struct ca_bench *bench = *state;
    ca_bench_write(bench->roots_path, "no certificate at all\n");
    assert_refused(bench, NULL, bench->roots_path);
    unlink(bench->roots_path);
    assert_refused(bench, NULL, bench->roots_path);
}

static void addresses(void **state) {
    (void)state;
    static const struct {
        const char *text;
        const char *host; // NULL: refused
        uint16_t port;
    } rows[] = {
        {"istiod.istio-system.svc:15012", "istiod.istio-system.svc", 15012},
        {"10.0.0.1:1", "10.0.0.1", 1},
        {"[::1]:65535", "::1", 65535},
        {"host", NULL, 0},
        {"host:", NULL, 0},
        {":15012", NULL, 0},
        {"host:0", NULL, 0},
        {"host:65536", NULL, 0},
        {"host:15012x", NULL, 0},
        {"host: 15012", NULL, 0},
        {"host:+1", NULL, 0},
        {"::1:15012", NULL, 0},
        {"[]:1", NULL, 0},
        {"", NULL, 0},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        char host[TLS_CLIENT_HOST_MAX];
        uint16_t port;
        struct err err;
        bool ok = tls_client_parse_address(rows[i].text, host, &port, &err);
        assert_int_equal(ok, rows[i].host != NULL);
        if (ok) {
            assert_string_equal(host, rows[i].host);
            assert_int_equal(port, rows[i].port);
        }
    }
}

#define ROW(f) cmocka_unit_test_setup_teardown(f, ca_bench_set_up, ca_bench_tear_down)

int main(void) {
    signal(SIGPIPE, SIG_IGN);
    signal(SIGCHLD, SIG_IGN);
    const struct CMUnitTest tests[] = {
        ROW(names),
        ROW(certificates_that_are_unfit),
        ROW(a_port_nobody_listens_on),
        ROW(a_server_that_says_nothing),
        ROW(a_server_that_speaks_something_else),
        ROW(roots_that_are_unfit),
        cmocka_unit_test(addresses),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
