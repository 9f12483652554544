// The seccomp filter: a BPF program made from syscalls.def. A system call that is listed, with
// arguments that its rule takes, is allowed; any other has the answer `otherwise`. Numbers above
// all that the list knows answer ENOSYS, so that a newer libc falls back to what it did before.
// Another architecture's calls end the process. Pure but for `install`.
#ifndef AGENT_SANDBOX_SYSCALL_FILTER_H
#define AGENT_SANDBOX_SYSCALL_FILTER_H

#include <linux/filter.h>
#include <stdbool.h>
#include <stdint.h>

#define SYSCALL_FILTER_MAX 1024

struct syscall_filter {
    struct sock_filter code[SYSCALL_FILTER_MAX];
    unsigned short len;
};

// `pid`: whose own threads and limits may be touched. `otherwise`: SECCOMP_RET_*. False: this
// machine's architecture is not known.
bool syscall_filter_build(uint32_t pid, uint32_t otherwise, struct syscall_filter *out);
// For every thread of the process, from here on. no_new_privs has to be set. False with errno.
bool syscall_filter_install(const struct syscall_filter *filter);

#endif
