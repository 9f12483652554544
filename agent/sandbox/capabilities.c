#include "agent/sandbox/capabilities.h"

#include <errno.h>
#include <linux/capability.h>
#include <linux/securebits.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { CAP_WORDS = 2 }; // of version 3

// Only who has CAP_SETPCAP may do this. For others the bounding set is bounded by no_new_privs:
// no program that they execute gains anything.
static void drop_bounding_set(void) {
    for (unsigned cap = 0; prctl(PR_CAPBSET_READ, cap, 0, 0, 0) >= 0; cap++) {
        if (prctl(PR_CAPBSET_DROP, cap, 0, 0, 0) != 0) {
            return;
        }
    }
    (void)prctl(PR_SET_SECUREBITS,
                SECURE_ALL_BITS | SECURE_ALL_LOCKS, // uid 0 is nobody special, for good
                0, 0, 0);
}

bool capabilities_drop_all(void) {
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct data[CAP_WORDS] = {0};
    drop_bounding_set();
    (void)prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0); // goes with the inheritable set
    if (syscall(SYS_capset, &header, data) != 0 || syscall(SYS_capget, &header, data) != 0) {
        return false;
    }
    for (int i = 0; i < CAP_WORDS; i++) {
        if ((data[i].effective | data[i].permitted | data[i].inheritable) != 0) {
            errno = EPERM;
            return false;
        }
    }
    return true;
}
