#include "agent/sandbox/syscall_filter.h"

#include <asm/ioctls.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/audit.h>
#include <linux/netlink.h>
#include <linux/sched.h>
#include <linux/seccomp.h>
#include <linux/sockios.h>
#include <stddef.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/check.h"

#if defined(__x86_64__)
#define OUR_ARCH AUDIT_ARCH_X86_64
#elif defined(__aarch64__)
#define OUR_ARCH AUDIT_ARCH_AARCH64
#else
#define OUR_ARCH 0
#endif

#define NOT_ON_THIS_MACHINE UINT32_MAX
#ifdef __aarch64__ // which has the variants with `at` only
#define SYS_access NOT_ON_THIS_MACHINE
#define SYS_arch_prctl NOT_ON_THIS_MACHINE
#define SYS_dup2 NOT_ON_THIS_MACHINE
#define SYS_epoll_wait NOT_ON_THIS_MACHINE
#define SYS_getdents NOT_ON_THIS_MACHINE
#define SYS_lstat NOT_ON_THIS_MACHINE
#define SYS_mkdir NOT_ON_THIS_MACHINE
#define SYS_open NOT_ON_THIS_MACHINE
#define SYS_pipe NOT_ON_THIS_MACHINE
#define SYS_poll NOT_ON_THIS_MACHINE
#define SYS_readlink NOT_ON_THIS_MACHINE
#define SYS_rename NOT_ON_THIS_MACHINE
#define SYS_rmdir NOT_ON_THIS_MACHINE
#define SYS_select NOT_ON_THIS_MACHINE
#define SYS_stat NOT_ON_THIS_MACHINE
#define SYS_symlink NOT_ON_THIS_MACHINE
#define SYS_time NOT_ON_THIS_MACHINE
#define SYS_unlink NOT_ON_THIS_MACHINE
#endif

// What counts besides the number.
enum rule {
    RULE_DENIED,
    RULE_NOT_THERE,      // answers ENOSYS: what cannot be looked into, and has an older form
    RULE_ANY,            // allowed
    RULE_SOCKET,         // streams and datagrams; of netlink, the routing tables
    RULE_THREAD,         // a thread of this process, in its namespaces
    RULE_NOT_EXECUTABLE, // memory that is not to be executed
    RULE_OWN_PROCESS,    // the first argument is our process
    RULE_OWN_LIMITS,     // as well, or 0
    RULE_FCNTL,          // not who gets which signal when a descriptor is ready
    RULE_IOCTL,          // questions about a socket or terminal
    RULE_PRCTL,          // names of threads and of memory
};

struct row {
    uint32_t number;
    enum rule rule;
};

static const struct row LISTED[] = {
#define SYSCALL(name, rule) {SYS_##name, RULE_##rule},
#include "agent/sandbox/syscalls.def"
#undef SYSCALL
};
#define NUM_LISTED (sizeof(LISTED) / sizeof(LISTED[0]))
// Every row may begin a range, and end one.
#define RANGES_MAX (2 * NUM_LISTED + 2)

struct builder {
    struct syscall_filter *out;
    uint32_t pid, otherwise;
    struct row ranges[RANGES_MAX]; // ascending: from this number up to the next range's
    size_t num;
};

// --- instructions ---

static void put(struct builder *b, uint16_t code, uint32_t k, unsigned if_true, unsigned if_false) {
    CHECK(b->out->len < SYSCALL_FILTER_MAX && if_true <= UINT8_MAX && if_false <= UINT8_MAX);
    b->out->code[b->out->len++] =
        (struct sock_filter){.code = code, .jt = (uint8_t)if_true, .jf = (uint8_t)if_false, .k = k};
}

static void put_load(struct builder *b, size_t offset) {
    put(b, BPF_LD | BPF_W | BPF_ABS, (uint32_t)offset, 0, 0);
}

// The low half of an argument, which is where int and 32 bits of flags are.
static void put_load_argument(struct builder *b, unsigned index) {
    put_load(b, offsetof(struct seccomp_data, args) + index * sizeof(uint64_t));
}

static void put_answer(struct builder *b, uint32_t answer) {
    put(b, BPF_RET | BPF_K, answer, 0, 0);
}

static void put_if_equal(struct builder *b, uint32_t value, uint32_t answer) {
    put(b, BPF_JMP | BPF_JEQ | BPF_K, value, 0, 1);
    put_answer(b, answer);
}

static void put_if_any_bit(struct builder *b, uint32_t bits, uint32_t answer) {
    put(b, BPF_JMP | BPF_JSET | BPF_K, bits, 0, 1);
    put_answer(b, answer);
}

// --- rules: each ends in an answer ---

static void put_socket(struct builder *b) {
    enum { TYPE_MASK = 0xf };
    put_load_argument(b, 0);
    put_if_equal(b, AF_UNIX, SECCOMP_RET_ALLOW);
    put(b, BPF_JMP | BPF_JEQ | BPF_K, AF_NETLINK, 0, 4);
    put_load_argument(b, 2);
    put_if_equal(b, NETLINK_ROUTE, SECCOMP_RET_ALLOW);
    put_answer(b, b->otherwise);
    put(b, BPF_JMP | BPF_JEQ | BPF_K, AF_INET, 2, 0);
    put(b, BPF_JMP | BPF_JEQ | BPF_K, AF_INET6, 1, 0);
    put_answer(b, b->otherwise);
    put_load_argument(b, 1);
    put(b, BPF_ALU | BPF_AND | BPF_K, TYPE_MASK, 0, 0);
    put_if_equal(b, SOCK_STREAM, SECCOMP_RET_ALLOW);
    put_if_equal(b, SOCK_DGRAM, SECCOMP_RET_ALLOW);
    put_answer(b, b->otherwise);
}

static void put_thread(struct builder *b) {
    static const uint32_t OTHER = CLONE_NEWNS | CLONE_NEWCGROUP | CLONE_NEWUTS | CLONE_NEWIPC |
                                  CLONE_NEWUSER | CLONE_NEWPID | CLONE_NEWNET | CLONE_PTRACE |
                                  CLONE_VFORK;
    put_load_argument(b, 0);
    put_if_any_bit(b, OTHER, b->otherwise);
    put_if_any_bit(b, CLONE_THREAD, SECCOMP_RET_ALLOW);
    put_answer(b, b->otherwise);
}

static void put_one_of(struct builder *b, unsigned argument, const uint32_t *values, size_t num) {
    put_load_argument(b, argument);
    for (size_t i = 0; i < num; i++) {
        put_if_equal(b, values[i], SECCOMP_RET_ALLOW);
    }
    put_answer(b, b->otherwise);
}
#define PUT_ONE_OF(b, argument, values)                                                            \
    put_one_of((b), (argument), (values), sizeof(values) / sizeof((values)[0]))

// Any signal, to any process of the same user: kill() by another name.
static void put_fcntl(struct builder *b) {
    put_load_argument(b, 1);
    put_if_equal(b, F_SETOWN, b->otherwise);
    put_if_equal(b, F_SETOWN_EX, b->otherwise);
    put_if_equal(b, F_SETSIG, b->otherwise);
    put_answer(b, SECCOMP_RET_ALLOW);
}

static void put_prctl(struct builder *b) {
    static const uint32_t OPTIONS[] = {
        PR_SET_NAME,     PR_GET_NAME,     PR_SET_VMA,
#ifdef SANDBOX_SANITIZER
        PR_SET_DUMPABLE, PR_GET_DUMPABLE, PR_SET_PTRACER, PR_SET_PDEATHSIG,
#endif
    };
    PUT_ONE_OF(b, 0, OPTIONS);
}

static void put_rule(struct builder *b, enum rule rule) {
    static const uint32_t REQUESTS[] = {FIONREAD, FIONBIO, TCGETS, SIOCOUTQ};
    const uint32_t own[] = {b->pid, 0};
    switch (rule) {
    case RULE_DENIED:
        put_answer(b, b->otherwise);
        break;
    case RULE_NOT_THERE:
        put_answer(b, SECCOMP_RET_ERRNO | ENOSYS);
        break;
    case RULE_ANY:
        put_answer(b, SECCOMP_RET_ALLOW);
        break;
    case RULE_SOCKET:
        put_socket(b);
        break;
    case RULE_THREAD:
        put_thread(b);
        break;
    case RULE_NOT_EXECUTABLE:
        put_load_argument(b, 2);
        put_if_any_bit(b, PROT_EXEC, b->otherwise);
        put_answer(b, SECCOMP_RET_ALLOW);
        break;
    case RULE_OWN_PROCESS:
        put_one_of(b, 0, own, 1);
        break;
    case RULE_OWN_LIMITS:
        put_one_of(b, 0, own, 2);
        break;
    case RULE_FCNTL:
        put_fcntl(b);
        break;
    case RULE_IOCTL:
        PUT_ONE_OF(b, 1, REQUESTS);
        break;
    case RULE_PRCTL:
        put_prctl(b);
        break;
    }
}

// --- the tree over the numbers ---

static int compare_rows(const void *a, const void *b) {
    uint32_t left = ((const struct row *)a)->number, right = ((const struct row *)b)->number;
    return (left > right) - (left < right);
}

static void begin_range(struct builder *b, uint32_t number, enum rule rule) {
    if (b->num > 0 && b->ranges[b->num - 1].number == number) {
        b->num--; // the one before is empty
    }
    if (b->num == 0 || b->ranges[b->num - 1].rule != rule) {
        b->ranges[b->num++] = (struct row){number, rule};
    }
}

static void make_ranges(struct builder *b) {
    struct row rows[NUM_LISTED];
    size_t num = 0;
    for (size_t i = 0; i < NUM_LISTED; i++) {
        if (LISTED[i].number != NOT_ON_THIS_MACHINE) {
            rows[num++] = LISTED[i];
        }
    }
    qsort(rows, num, sizeof(rows[0]), compare_rows);
    begin_range(b, 0, RULE_DENIED);
    for (size_t i = 0; i < num; i++) {
        begin_range(b, rows[i].number, rows[i].rule);
        begin_range(b, rows[i].number + 1, RULE_DENIED);
    }
    begin_range(b, rows[num - 1].number + 1, RULE_NOT_THERE);
}

// A binary search through ranges[from, to), each half after its comparison.
static void put_tree(struct builder *b, size_t from, size_t to) {
    if (to - from == 1) {
        put_rule(b, b->ranges[from].rule);
        return;
    }
    size_t middle = from + (to - from) / 2;
    put(b, BPF_JMP | BPF_JGE | BPF_K, b->ranges[middle].number, 0, 1);
    unsigned short jump = b->out->len; // conditional jumps do not reach far enough
    put(b, BPF_JMP | BPF_JA, 0, 0, 0);
    put_tree(b, from, middle);
    b->out->code[jump].k = (uint32_t)(b->out->len - jump - 1);
    put_tree(b, middle, to);
}

bool syscall_filter_build(uint32_t pid, uint32_t otherwise, struct syscall_filter *out) {
    struct builder b = {.out = out, .pid = pid, .otherwise = otherwise};
    if (OUR_ARCH == 0) {
        return false;
    }
    out->len = 0;
    put_load(&b, offsetof(struct seccomp_data, arch));
    put(&b, BPF_JMP | BPF_JEQ | BPF_K, OUR_ARCH, 1, 0);
    put_answer(&b, SECCOMP_RET_KILL_PROCESS);
    put_load(&b, offsetof(struct seccomp_data, nr));
    make_ranges(&b);
    put_tree(&b, 0, b.num);
    return true;
}

bool syscall_filter_install(const struct syscall_filter *filter) {
    const struct sock_fprog program = {.len = filter->len,
                                       .filter = (struct sock_filter *)filter->code};
    long failed =
        syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_TSYNC, &program);
    if (failed > 0) { // a thread that has other filters
        errno = EBUSY;
    }
    return failed == 0;
}
