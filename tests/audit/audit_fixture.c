#include "tests/audit/audit_fixture.h"

#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

#include "agent/net/socket.h"
#include "base/text.h"

// Long enough that only a hang ends it.
#define WAIT_MS 20000

static void wait_for(int fd) {
    struct pollfd in = {.fd = fd, .events = POLLIN};
    assert_int_equal(poll(&in, 1, WAIT_MS), 1);
}

void collector_open(struct collector *collector) {
    struct netaddr addr;
    struct err err = {0};
    *collector = (struct collector){.fd = -1};
    assert_true(netaddr_parse_ip(&addr, span_of_text("127.0.0.1"), NULL));
    collector->listener = socket_listen(&addr, false, &err);
    assert_true(collector->listener >= 0 && socket_local_address(collector->listener, &addr));
    netaddr_format(&addr, collector->address);
}

void collector_open_unix(struct collector *collector) {
    struct sockaddr_un sa = {.sun_family = AF_UNIX};
    char directory[] = "/tmp/audit-test-XXXXXX";
    *collector = (struct collector){.fd = -1};
    assert_non_null(mkdtemp(directory));
    snprintf(collector->path, sizeof(collector->path), "%s/s", directory);
    snprintf(collector->address, sizeof(collector->address), "unix://%s", collector->path);
    text_copy(sa.sun_path, sizeof(sa.sun_path), collector->path);
    collector->listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(collector->listener, (struct sockaddr *)&sa, sizeof(sa)), 0);
    assert_int_equal(listen(collector->listener, 4), 0);
}

void collector_accept(struct collector *collector) {
    wait_for(collector->listener);
    collector->fd = accept(collector->listener, NULL, NULL);
    assert_true(collector->fd >= 0);
}

void collector_hang_up(struct collector *collector) {
    socket_close(collector->fd);
    collector->fd = -1;
    collector->len = 0;
}

void collector_close(struct collector *collector) {
    collector_hang_up(collector);
    socket_close(collector->listener);
    if (collector->path[0] != '\0') {
        unlink(collector->path);
        *strrchr(collector->path, '/') = '\0';
        rmdir(collector->path);
    }
}

void collector_read_line(struct collector *collector, char *out, size_t cap) {
    char *end;
    while ((end = memchr(collector->text, '\n', collector->len)) == NULL) {
        wait_for(collector->fd);
        ssize_t n = recv(collector->fd, collector->text + collector->len,
                         sizeof(collector->text) - collector->len, 0);
        assert_true(n > 0);
        collector->len += (size_t)n;
    }
    size_t len = (size_t)(end - collector->text);
    assert_true(len < cap);
    memcpy(out, collector->text, len);
    out[len] = '\0';
    collector->len -= len + 1;
    memmove(collector->text, end + 1, collector->len);
}
