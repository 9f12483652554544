#include "agent/control/handover.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

static void pair_of(int pair[2]) {
    assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair),
                     0);
}

static bool is_open(int fd) {
    return fcntl(fd, F_GETFD) >= 0;
}

static void test_messages_carry_descriptors(void **state) {
    (void)state;
    int pair[2];
    int pipe_fds[2];
    pair_of(pair);
    assert_int_equal(pipe(pipe_fds), 0);
    struct handover_message sent = {.kind = HANDOVER_SOCKETS, .num_fds = HANDOVER_FDS_MAX};
    for (size_t i = 0; i < HANDOVER_FDS_MAX; i++) {
        sent.fds[i] = pipe_fds[1];
    }
    struct handover_message got;
    assert_int_equal(handover_receive(pair[1], &got), HANDOVER_AGAIN);
    assert_true(handover_send(pair[0], &sent));
    assert_true(handover_say(pair[0], HANDOVER_READY));
    assert_int_equal(handover_receive(pair[1], &got), HANDOVER_OK);
    assert_int_equal(got.kind, HANDOVER_SOCKETS);
    assert_int_equal(got.num_fds, HANDOVER_FDS_MAX);
    char byte = 'x';
    assert_int_equal(write(got.fds[HANDOVER_FDS_MAX - 1], &byte, 1), 1); // the same pipe
    assert_int_equal(read(pipe_fds[0], &byte, 1), 1);
    assert_true((fcntl(got.fds[0], F_GETFD) & FD_CLOEXEC) != 0);
    handover_close_all(&got);
    assert_int_equal(handover_receive(pair[1], &got), HANDOVER_OK);
    assert_int_equal(got.kind, HANDOVER_READY);
    assert_int_equal(got.num_fds, 0);
    close(pair[0]);
    assert_int_equal(handover_receive(pair[1], &got), HANDOVER_ENDED);
    close(pair[1]);
    close(pipe_fds[0]);
    close(pipe_fds[1]);
}

// Sends bytes and a descriptor as another program might.
static void send_raw(int fd, const void *bytes, size_t len, int passed) {
    union {
        struct cmsghdr align;
        char bytes[CMSG_SPACE(sizeof(int))];
    } data = {0};
    struct iovec iov = {.iov_base = (void *)(uintptr_t)bytes, .iov_len = len};
    struct msghdr msg = {.msg_iov = &iov,
                         .msg_iovlen = 1,
                         .msg_control = data.bytes,
                         .msg_controllen = sizeof(data.bytes)};
    struct cmsghdr *header = CMSG_FIRSTHDR(&msg);
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(sizeof(int));
    memcpy(CMSG_DATA(header), &passed, sizeof(int));
    assert_int_equal(sendmsg(fd, &msg, 0), len);
}

// Nothing of what came along stays open: the next descriptor is the same before and after.
static void test_nonsense_is_refused_and_closed(void **state) {
    (void)state;
    int pair[2];
    pair_of(pair);
    struct {
        char magic[16];
        uint32_t version;
        uint32_t kind;
        char more[4];
    } wire;
    int before = dup(pair[0]);
    close(before);
    for (int i = 0; i < 6; i++) {
        memset(&wire, 0, sizeof(wire));
        memcpy(wire.magic, "pavise-handover", 16);
        wire.version = i == 0 ? 2 : 1;
        wire.kind = i == 1 ? 0 : i == 2 ? HANDOVER_BUSY + 1 : HANDOVER_FETCH;
        wire.magic[3] = i == 3 ? 'X' : wire.magic[3];
        size_t len = i == 4 ? 5 : i == 5 ? sizeof(wire) : sizeof(wire) - sizeof(wire.more);
        send_raw(pair[0], &wire, len, pair[0]);
        struct handover_message got;
        assert_int_equal(handover_receive(pair[1], &got), HANDOVER_BAD);
        assert_int_equal(got.num_fds, 0);
        assert_false(is_open(before));
    }
    close(pair[0]);
    close(pair[1]);
}

static void test_finds_its_predecessor(void **state) {
    (void)state;
    char name[HANDOVER_NAME_MAX];
    struct netaddr at = {.family = NETADDR_V4, .ip = {127, 0, 0, 1}};
    at.port = (uint16_t)(getpid() % 60000 + 1); // no socket with this number is opened
    handover_name(&at, name);
    struct err err = {0};
    assert_int_equal(handover_connect(name, 1, &err), -1);
    assert_non_null(strstr(err.msg, "no running agent"));
    int listener = handover_listen(name, &err);
    assert_true(listener >= 0);
    assert_int_equal(handover_listen(name, &err), -1); // one at a time
    pid_t pid = 0;
    assert_int_equal(handover_accept(listener, &pid), -1);
    int successor = handover_connect(name, 1, &err);
    assert_true(successor >= 0);
    int predecessor = handover_accept(listener, &pid);
    assert_true(predecessor >= 0);
    assert_int_equal(pid, getpid());
    struct handover_message got;
    assert_int_equal(handover_receive(successor, &got), HANDOVER_AGAIN); // after a second
    assert_true(handover_say(successor, HANDOVER_FETCH));
    assert_int_equal(handover_receive(predecessor, &got), HANDOVER_OK);
    assert_int_equal(got.kind, HANDOVER_FETCH);
    close(successor);
    assert_false(handover_say(predecessor, HANDOVER_BUSY));
    close(predecessor);
    close(listener);
}

// Somebody else's process must neither get the sockets nor hand in its own.
static void test_other_users_are_turned_away(void **state) {
    (void)state;
    char name[HANDOVER_NAME_MAX];
    struct netaddr at = {.family = NETADDR_V4, .ip = {127, 0, 0, 2}};
    at.port = (uint16_t)(getpid() % 60000 + 1);
    handover_name(&at, name);
    if (geteuid() != 0) {
        skip(); // only root can become somebody else
    }
    int listener = handover_listen(name, NULL);
    assert_true(listener >= 0);
    assert_int_equal(seteuid(65534), 0);
    int stranger = handover_connect(name, 1, NULL); // root listens: it may be the predecessor
    assert_true(stranger >= 0);
    assert_int_equal(seteuid(0), 0);
    pid_t pid = 0;
    assert_int_equal(handover_accept(listener, &pid), -1);
    struct handover_message got;
    assert_int_equal(handover_receive(stranger, &got), HANDOVER_ENDED);
    close(stranger);
    close(listener);
    assert_int_equal(seteuid(65534), 0);
    listener = handover_listen(name, NULL);
    assert_int_equal(seteuid(0), 0);
    struct err err = {0};
    assert_int_equal(handover_connect(name, 1, &err), -1);
    close(listener);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_messages_carry_descriptors),
        cmocka_unit_test(test_nonsense_is_refused_and_closed),
        cmocka_unit_test(test_finds_its_predecessor),
        cmocka_unit_test(test_other_users_are_turned_away),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
