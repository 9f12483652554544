// The filter's program by an interpreter of our own, for every number, and by the kernel.
#include "agent/sandbox/syscall_filter.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/audit.h>
#include <linux/netlink.h>
#include <linux/sched.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cmocka.h>

#include "tests/sandbox/child.h"

#define PID 4711
#define REFUSED (SECCOMP_RET_ERRNO | EPERM)
#define UNKNOWN (SECCOMP_RET_ERRNO | ENOSYS)
#ifdef __x86_64__
#define ARCH AUDIT_ARCH_X86_64
#else
#define ARCH AUDIT_ARCH_AARCH64
#endif

// What the kernel's interpreter does, for the instructions that a filter of ours may have.
static uint32_t interpret(const struct syscall_filter *filter, const struct seccomp_data *data) {
    uint32_t a = 0;
    for (size_t pc = 0; pc < filter->len; pc++) {
        const struct sock_filter *at = &filter->code[pc];
        bool jumps = false;
        switch (at->code) {
        case BPF_LD | BPF_W | BPF_ABS:
            assert_true(at->k % 4 == 0 && at->k + 4 <= sizeof(*data));
            memcpy(&a, (const char *)data + at->k, sizeof(a));
            continue;
        case BPF_ALU | BPF_AND | BPF_K:
            a &= at->k;
            continue;
        case BPF_RET | BPF_K:
            return at->k;
        case BPF_JMP | BPF_JA:
            pc += at->k;
            continue;
        case BPF_JMP | BPF_JEQ | BPF_K:
            jumps = a == at->k;
            break;
        case BPF_JMP | BPF_JGE | BPF_K:
            jumps = a >= at->k;
            break;
        case BPF_JMP | BPF_JSET | BPF_K:
            jumps = (a & at->k) != 0;
            break;
        default:
            fail_msg("instruction %zu has code %#x", pc, at->code);
        }
        pc += jumps ? at->jt : at->jf;
    }
    fail_msg("the program runs off its end");
    return 0;
}

static struct syscall_filter filter;

static int set_up(void **state) {
    (void)state;
    return syscall_filter_build(PID, REFUSED, &filter) ? 0 : -1;
}

static uint32_t ask(long number, uint64_t a, uint64_t b, uint64_t c) {
    const struct seccomp_data data = {.nr = (int)number, .arch = ARCH, .args = {a, b, c}};
    return interpret(&filter, &data);
}

static const long LISTED[] = {
#define SYSCALL(name, rule) SYS_##name,
#include "agent/sandbox/syscalls.def"
#undef SYSCALL
};

static bool is_listed(long number) {
    for (size_t i = 0; i < sizeof(LISTED) / sizeof(LISTED[0]); i++) {
        if (LISTED[i] == number) {
            return true;
        }
    }
    return false;
}

static void test_every_number(void **state) {
    (void)state;
    long last = 0;
    for (size_t i = 0; i < sizeof(LISTED) / sizeof(LISTED[0]); i++) {
        last = LISTED[i] > last ? LISTED[i] : last;
    }
    for (long number = 0; number <= last; number++) {
        if (!is_listed(number)) {
            assert_int_equal(ask(number, 0, 0, 0), REFUSED);
        }
    }
    for (long number = last + 1; number < 2000; number++) {
        assert_int_equal(ask(number, 0, 0, 0), UNKNOWN);
    }
    assert_int_equal(ask(INT32_MAX, 0, 0, 0), UNKNOWN);
    assert_int_equal(ask(-1, 0, 0, 0), UNKNOWN);
}

static void test_each_listed_one(void **state) {
    (void)state;
#define ANY SECCOMP_RET_ALLOW
#define SOCKET SECCOMP_RET_ALLOW
#define THREAD REFUSED
#define NOT_THERE UNKNOWN
#define NOT_EXECUTABLE SECCOMP_RET_ALLOW
#define OWN_PROCESS REFUSED
#define OWN_LIMITS REFUSED
#define FCNTL SECCOMP_RET_ALLOW
#define IOCTL REFUSED
#ifdef SANDBOX_SANITIZER
#define PRCTL SECCOMP_RET_ALLOW // 1 is PR_SET_PDEATHSIG
#else
#define PRCTL REFUSED
#endif
    // Arguments that only the lenient rules take: a socket of AF_UNIX, nobody's process.
    static const uint32_t EXPECTED[] = {
#define SYSCALL(name, rule) rule,
#include "agent/sandbox/syscalls.def"
#undef SYSCALL
    };
    for (size_t i = 0; i < sizeof(LISTED) / sizeof(LISTED[0]); i++) {
        assert_int_equal(ask(LISTED[i], AF_UNIX, 0, 0), EXPECTED[i]);
    }
}

static void test_another_architecture(void **state) {
    (void)state;
    const struct seccomp_data data = {.nr = SYS_read, .arch = AUDIT_ARCH_I386};
    assert_int_equal(interpret(&filter, &data), SECCOMP_RET_KILL_PROCESS);
    assert_int_equal(ask(0x40000000 + SYS_read, 0, 0, 0), UNKNOWN); // x32
}

static void test_sockets(void **state) {
    (void)state;
    assert_int_equal(ask(SYS_socket, AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), SECCOMP_RET_ALLOW);
    assert_int_equal(ask(SYS_socket, AF_INET6, SOCK_DGRAM | SOCK_NONBLOCK, 0), SECCOMP_RET_ALLOW);
    assert_int_equal(ask(SYS_socket, AF_NETLINK, SOCK_RAW, NETLINK_ROUTE), SECCOMP_RET_ALLOW);
    assert_int_equal(ask(SYS_socket, AF_NETLINK, SOCK_RAW, NETLINK_NETFILTER), REFUSED);
    assert_int_equal(ask(SYS_socket, AF_INET, SOCK_RAW, 1), REFUSED);
    assert_int_equal(ask(SYS_socket, AF_PACKET, SOCK_DGRAM, 0), REFUSED);
    assert_int_equal(ask(SYS_socket, AF_VSOCK, SOCK_STREAM, 0), REFUSED);
    assert_int_equal(ask(SYS_socket, AF_ALG, SOCK_STREAM, 0), REFUSED);
    assert_int_equal(ask(SYS_socketpair, AF_UNIX, SOCK_STREAM, 0), SECCOMP_RET_ALLOW);
}

static void test_arguments(void **state) {
    (void)state;
    const uint64_t thread = CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD;
    // The leak check of the sanitizers' build needs more of clone and prctl.
#ifndef SANDBOX_SANITIZER
    assert_int_equal(ask(SYS_clone, SIGCHLD, 0, 0), REFUSED);
    assert_int_equal(ask(SYS_clone, CLONE_VM | CLONE_VFORK | SIGCHLD, 0, 0), REFUSED);
    assert_int_equal(ask(SYS_clone, thread | CLONE_NEWUSER, 0, 0), REFUSED);
    assert_int_equal(ask(SYS_prctl, PR_SET_DUMPABLE, 1, 0), REFUSED);
#endif
    assert_int_equal(ask(SYS_clone, thread, 0, 0), SECCOMP_RET_ALLOW);
    assert_int_equal(ask(SYS_prctl, PR_SET_NAME, 0, 0), SECCOMP_RET_ALLOW);
    assert_int_equal(ask(SYS_prctl, PR_CAPBSET_DROP, 0, 0), REFUSED);
    assert_int_equal(ask(SYS_mmap, 0, 4096, PROT_READ | PROT_EXEC), REFUSED);
    assert_int_equal(ask(SYS_mmap, 0, 4096, PROT_READ | PROT_WRITE), SECCOMP_RET_ALLOW);
    assert_int_equal(ask(SYS_mprotect, 0, 4096, PROT_EXEC), REFUSED);
    assert_int_equal(ask(SYS_tgkill, PID, 1, 9), SECCOMP_RET_ALLOW);
    assert_int_equal(ask(SYS_tgkill, PID + 1, 1, 9), REFUSED);
    assert_int_equal(ask(SYS_prlimit64, 0, 0, 0), SECCOMP_RET_ALLOW);
    assert_int_equal(ask(SYS_prlimit64, PID, 0, 0), SECCOMP_RET_ALLOW);
    assert_int_equal(ask(SYS_prlimit64, 1, 0, 0), REFUSED);
    assert_int_equal(ask(SYS_fcntl, 0, F_SETFL, O_NONBLOCK | O_ASYNC), SECCOMP_RET_ALLOW);
    assert_int_equal(ask(SYS_fcntl, 0, F_SETOWN, PID + 1), REFUSED);
    assert_int_equal(ask(SYS_fcntl, 0, F_SETOWN_EX, 0), REFUSED);
    assert_int_equal(ask(SYS_fcntl, 0, F_SETSIG, SIGKILL), REFUSED);
    assert_int_equal(ask(SYS_ioctl, 0, FIONREAD, 0), SECCOMP_RET_ALLOW);
    assert_int_equal(ask(SYS_ioctl, 0, TIOCSTI, 0), REFUSED);
}

// --- the kernel ---

static void *open_packet_socket(void *arg) {
    int *go = arg;
    char byte;
    if (read(go[0], &byte, 1) != 1) {
        return NULL;
    }
    return socket(AF_PACKET, SOCK_RAW, 0) < 0 && errno == EPERM ? arg : NULL;
}

static int in_the_kernel(void *arg) {
    (void)arg;
    struct syscall_filter own;
    pthread_t before, after;
    int go[2];
    void *result = NULL;
    if (!syscall_filter_build((uint32_t)getpid(), REFUSED, &own) || pipe(go) != 0 ||
        pthread_create(&before, NULL, open_packet_socket, go) != 0 ||
        prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 || !syscall_filter_install(&own)) {
        return 1;
    }
    if (syscall(SYS_bpf, 0, NULL, 0) != -1 || errno != EPERM) {
        return 2;
    }
    if (execl("/bin/true", "true", NULL) != -1 || errno != EPERM) {
        return 3;
    }
    if (syscall(SYS_keyctl, 0, 0, 0) != -1 || errno != EPERM) {
        return 4;
    }
    if (write(go[1], "12", 2) != 2 || pthread_join(before, &result) != 0 || result == NULL) {
        return 5; // a thread that was there before
    }
    result = NULL;
    if (pthread_create(&after, NULL, open_packet_socket, go) != 0 ||
        pthread_join(after, &result) != 0 || result == NULL) {
        return 6;
    }
    void *memory = malloc(8 << 20);
    free(memory);
    return memory != NULL && getpid() > 0 ? 0 : 7;
}

static void test_in_the_kernel(void **state) {
    (void)state;
    assert_int_equal(child_run(in_the_kernel, NULL), 0);
}

static int is_killed(void *arg) {
    (void)arg;
    struct syscall_filter own;
    if (!syscall_filter_build((uint32_t)getpid(), SECCOMP_RET_KILL_PROCESS, &own) ||
        prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 || !syscall_filter_install(&own)) {
        return 1;
    }
    (void)syscall(SYS_bpf, 0, NULL, 0);
    return 2;
}

static void test_the_answer_is_the_callers(void **state) {
    (void)state;
    assert_int_equal(child_run(is_killed, NULL), 200 + SIGSYS);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_number),
        cmocka_unit_test(test_each_listed_one),
        cmocka_unit_test(test_another_architecture),
        cmocka_unit_test(test_sockets),
        cmocka_unit_test(test_arguments),
        cmocka_unit_test(test_in_the_kernel),
        cmocka_unit_test(test_the_answer_is_the_callers),
    };
    return cmocka_run_group_tests(tests, set_up, NULL);
}
