#include "agent/intercept/ambient.h"

#include <linux/capability.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { CAP_WORDS = 2 }; // of version 3

bool ambient_raise_net_admin(void) {
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct data[CAP_WORDS] = {0};
    const unsigned bit = CAP_TO_MASK(CAP_NET_ADMIN);
    if (syscall(SYS_capget, &header, data) != 0 || (data[0].permitted & bit) == 0) {
        return false;
    }
    data[0].inheritable |= bit;
    return syscall(SYS_capset, &header, data) == 0 &&
           prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, CAP_NET_ADMIN, 0, 0) == 0;
}
