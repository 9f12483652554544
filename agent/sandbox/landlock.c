#include "agent/sandbox/landlock.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/landlock.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

// What newer kernels know: Debian 12's headers end at version 2.
#define FS_TRUNCATE (UINT64_C(1) << 14)           // version 3
#define FS_IOCTL_DEV (UINT64_C(1) << 15)          // version 5
#define SCOPE_ABSTRACT_SOCKETS (UINT64_C(1) << 0) // version 6
#define SCOPE_SIGNALS (UINT64_C(1) << 1)

#define VERSION_1                                                                                  \
    (LANDLOCK_ACCESS_FS_EXECUTE | LANDLOCK_ACCESS_FS_WRITE_FILE | LANDLOCK_ACCESS_FS_READ_FILE |   \
     LANDLOCK_ACCESS_FS_READ_DIR | LANDLOCK_ACCESS_FS_REMOVE_DIR |                                 \
     LANDLOCK_ACCESS_FS_REMOVE_FILE | LANDLOCK_ACCESS_FS_MAKE_CHAR | LANDLOCK_ACCESS_FS_MAKE_DIR | \
     LANDLOCK_ACCESS_FS_MAKE_REG | LANDLOCK_ACCESS_FS_MAKE_SOCK | LANDLOCK_ACCESS_FS_MAKE_FIFO |   \
     LANDLOCK_ACCESS_FS_MAKE_BLOCK | LANDLOCK_ACCESS_FS_MAKE_SYM)

#define READS (LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_READ_DIR)
#define WRITES                                                                                     \
    (LANDLOCK_ACCESS_FS_WRITE_FILE | LANDLOCK_ACCESS_FS_REMOVE_DIR |                               \
     LANDLOCK_ACCESS_FS_REMOVE_FILE | LANDLOCK_ACCESS_FS_MAKE_DIR | LANDLOCK_ACCESS_FS_MAKE_REG |  \
     LANDLOCK_ACCESS_FS_MAKE_SYM | LANDLOCK_ACCESS_FS_REFER | FS_TRUNCATE)
#define OF_FILES                                                                                   \
    (LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_WRITE_FILE | LANDLOCK_ACCESS_FS_EXECUTE |   \
     FS_TRUNCATE | FS_IOCTL_DEV)

// Grown by fields at its end; the kernel is told how much of it is meant.
struct ruleset_attr {
    uint64_t handled_access_fs;
    uint64_t handled_access_net;
    uint64_t scoped;
};

int landlock_abi(void) {
    long version =
        syscall(SYS_landlock_create_ruleset, NULL, (size_t)0, LANDLOCK_CREATE_RULESET_VERSION);
    return version > 0 ? (int)version : 0;
}

static uint64_t rights_of(int version) {
    return VERSION_1 | (version >= 2 ? LANDLOCK_ACCESS_FS_REFER : 0) |
           (version >= 3 ? FS_TRUNCATE : 0) | (version >= 5 ? FS_IOCTL_DEV : 0);
}

int landlock_new(void) {
    int version = landlock_abi();
    if (version == 0) {
        return -1;
    }
    // TCP (version 4) does not fit: a sidecar dials what its application dials, and a reload may
    // name any port.
    const struct ruleset_attr attr = {
        .handled_access_fs = rights_of(version),
        .scoped = version >= 6 ? SCOPE_ABSTRACT_SOCKETS | SCOPE_SIGNALS : 0,
    };
    size_t size = version >= 6 ? sizeof(attr) : sizeof(attr.handled_access_fs);
    return (int)syscall(SYS_landlock_create_ruleset, &attr, size, 0U);
}

bool landlock_allow(int set, const char *path, unsigned access) {
    uint64_t rights =
        ((access & LANDLOCK_READ) != 0 ? READS : 0) | ((access & LANDLOCK_WRITE) != 0 ? WRITES : 0);
    struct stat st;
    int fd = open(path, O_PATH | O_CLOEXEC);
    if (fd < 0) {
        return false;
    }
    bool ok = fstat(fd, &st) == 0;
    if (ok) {
        rights &= rights_of(landlock_abi()) & (S_ISDIR(st.st_mode) ? UINT64_MAX : OF_FILES);
        const struct landlock_path_beneath_attr rule = {.allowed_access = rights, .parent_fd = fd};
        ok = syscall(SYS_landlock_add_rule, set, LANDLOCK_RULE_PATH_BENEATH, &rule, 0U) == 0;
    }
    int errnum = errno;
    close(fd);
    errno = errnum;
    return ok;
}

bool landlock_enforce(int set) {
    return syscall(SYS_landlock_restrict_self, set, 0U) == 0;
}
