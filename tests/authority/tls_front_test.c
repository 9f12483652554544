// The TLS listener against callers that mean no good: limits, garbage, silence, disappearance. It
// goes on serving, and gives every descriptor back.
#include "authority/tls_front.h"

#include <dirent.h>
#include <fcntl.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>
#include <openssl/ssl.h>

#include "certmgr/tls_pump.h"
#include "tests/testing/pki.h"

struct bench {
    struct tls_front *front;
    int served; // the last one's descriptor; -1
    unsigned num_served;
    unsigned num_refused;
    char reason[256];
    bool refuse;
};

static bool on_serve(void *arg, int fd) {
    struct bench *bench = arg;
    if (bench->served >= 0) {
        close(bench->served);
    }
    bench->served = fd;
    bench->num_served++;
    return !bench->refuse;
}

static void on_refused(void *arg, const struct netaddr *peer, const char *reason) {
    struct bench *bench = arg;
    assert_true(netaddr_is_loopback(peer));
    bench->num_refused++;
    (void)snprintf(bench->reason, sizeof(bench->reason), "%s", reason);
}

static int setup(void **state) {
    struct pki_cert *root OWNED(pki_free) = pki_ca();
    struct pki_cert *leaf OWNED(pki_free) = pki_leaf(root, "spiffe://td/a");
    struct bench *bench = calloc(1, sizeof(*bench));
    const struct netaddr listen = {.family = NETADDR_V4, .ip = {127, 0, 0, 1}};
    const struct tls_front_handler handler = {
        .serve = on_serve, .refused = on_refused, .arg = bench};
    struct err err;
    bench->served = -1;
    bench->front = tls_front_new(&listen, &handler, &err);
    assert_non_null(bench->front);
    assert_true(tls_front_set_certificate(bench->front, pki_der(leaf), pki_key_der(leaf), &err));
    *state = bench;
    return 0;
}

static int teardown(void **state) {
    struct bench *bench = *state;
    tls_front_free(bench->front);
    if (bench->served >= 0) {
        close(bench->served);
    }
    free(bench);
    return 0;
}

static int dial(const struct bench *bench) {
    struct sockaddr_storage sa;
    struct netaddr addr = {
        .family = NETADDR_V4, .ip = {127, 0, 0, 1}, .port = tls_front_port(bench->front)};
    socklen_t len = netaddr_to_sockaddr(&addr, &sa);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&sa, len), 0);
    return fd;
}

static struct tls_pump *client(const struct bench *bench) {
    SSL_CTX *ctx = SSL_CTX_new(TLS_method());
    assert_int_equal(SSL_CTX_set_alpn_protos(ctx, (const uint8_t *)"\x02h2", 3), 0);
    SSL *ssl = SSL_new(ctx);
    SSL_CTX_free(ctx);
    SSL_set_connect_state(ssl);
    int fd = dial(bench);
    assert_int_equal(fcntl(fd, F_SETFL, O_NONBLOCK), 0);
    return tls_pump_new(ssl, fd);
}

static void run_until(struct bench *bench, const unsigned *counter, unsigned value) {
    while (*counter < value) {
        struct pollfd ready = {.fd = tls_front_fd(bench->front), .events = POLLIN};
        (void)poll(&ready, 1, 100);
        tls_front_process(bench->front);
    }
}

static struct tls_pump *connected(struct bench *bench) {
    struct tls_pump *pump = client(bench);
    unsigned before = bench->num_served;
    while (tls_pump_step(pump) == TLS_PUMP_HANDSHAKE) {
        tls_front_process(bench->front);
    }
    run_until(bench, &bench->num_served, before + 1);
    return pump;
}

static void serves_and_moves_bytes(void **state) {
    struct bench *bench = *state;
    struct err err;
    char got[8] = "";
    struct tls_pump *pump OWNED(tls_pump_free) = connected(bench);
    int fd = tls_pump_attach(pump, &err);
    assert_int_equal(send(fd, "hello", 5, 0), 5);
    while (recv(bench->served, got, sizeof(got), MSG_DONTWAIT) < 5) {
        (void)tls_pump_step(pump);
        tls_front_process(bench->front);
    }
    assert_string_equal(got, "hello");
    close(fd);
}

static void garbage_and_disappearance(void **state) {
    struct bench *bench = *state;
    static const char *const garbage[] = {"GET / HTTP/1.1\r\n\r\n", "\x16\x03\x01\xff\xff", "",
                                          "x"};
    for (unsigned i = 0; i < 40; i++) {
        const char *text = garbage[i % 4];
        int fd = dial(bench);
        (void)send(fd, text, strlen(text), MSG_NOSIGNAL);
        close(fd);
        run_until(bench, &bench->num_refused, i + 1);
    }
    assert_int_equal(bench->num_served, 0);
    struct tls_pump *pump OWNED(tls_pump_free) = connected(bench);
    assert_non_null(pump);
}

static void one_address_has_a_limit(void **state) {
    struct bench *bench = *state;
    int fds[TLS_FRONT_PER_ADDRESS_MAX + 1];
    for (size_t i = 0; i <= TLS_FRONT_PER_ADDRESS_MAX; i++) {
        fds[i] = dial(bench);
        tls_front_process(bench->front);
    }
    run_until(bench, &bench->num_refused, 1);
    assert_non_null(strstr(bench->reason, "too many"));
    for (size_t i = 0; i <= TLS_FRONT_PER_ADDRESS_MAX; i++) {
        close(fds[i]);
    }
    run_until(bench, &bench->num_refused, TLS_FRONT_PER_ADDRESS_MAX + 1);
    struct tls_pump *pump OWNED(tls_pump_free) = connected(bench);
    assert_non_null(pump);
}

static void who_is_not_served_is_cut(void **state) {
    struct bench *bench = *state;
    struct err err;
    bench->refuse = true;
    struct tls_pump *pump OWNED(tls_pump_free) = connected(bench);
    int fd = tls_pump_attach(pump, &err);
    while (tls_pump_step(pump) != TLS_PUMP_ENDED) {
        tls_front_process(bench->front);
    }
    close(fd);
}

static unsigned num_fds(void) {
    DIR *dir = opendir("/proc/self/fd");
    unsigned num = 0;
    while (readdir(dir) != NULL) {
        num++;
    }
    closedir(dir);
    return num;
}

static void descriptors_are_given_back(void **state) {
    struct bench *bench = *state;
    unsigned before = num_fds();
    for (int i = 0; i < 50; i++) {
        struct tls_pump *pump OWNED(tls_pump_free) = connected(bench);
        close(bench->served);
        bench->served = -1;
        while (tls_pump_step(pump) == TLS_PUMP_HANDSHAKE) {
        }
    }
    while (num_fds() > before) { // what a bug here leaves is a test that does not end
        tls_front_process(bench->front);
    }
}

static void an_address_in_use(void **state) {
    const struct bench *bench = *state;
    const struct netaddr listen = {
        .family = NETADDR_V4, .ip = {127, 0, 0, 1}, .port = tls_front_port(bench->front)};
    const struct tls_front_handler handler = {0};
    struct err err = {0};
    assert_null(tls_front_new(&listen, &handler, &err));
    assert_int_equal(err.class, ERR_ENVIRONMENT);
    assert_non_null(strstr(err.msg, "cannot listen on 127.0.0.1:"));
}

#define ROW(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void) {
    signal(SIGPIPE, SIG_IGN);
    const struct CMUnitTest tests[] = {
        ROW(serves_and_moves_bytes),     ROW(garbage_and_disappearance),
        ROW(one_address_has_a_limit),    ROW(who_is_not_served_is_cut),
        ROW(descriptors_are_given_back), ROW(an_address_in_use),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
