#include "agent/worker/fd_budget.h"

#include <dirent.h>
#include <stddef.h>
#include <sys/resource.h>

// For the status port's connections and the identity source's reconnects.
#define RESERVE 12
// What a machine without a limit could ask for; a descriptor costs kernel memory too.
#define MOST (1024 * 1024)

static int count_open(void) {
    DIR *dir = opendir("/proc/self/fd");
    if (dir == NULL) {
        return 32; // a guess that is safe for the few descriptors of a starting process
    }
    int num = 0;
    while (readdir(dir) != NULL) {
        num++;
    }
    closedir(dir);
    return num;
}

void fd_budget_init(struct fd_budget *budget) {
    struct rlimit limit = {0};
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur < limit.rlim_max) {
        limit.rlim_cur = limit.rlim_max;
        (void)setrlimit(RLIMIT_NOFILE, &limit);
    }
    (void)getrlimit(RLIMIT_NOFILE, &limit);
    int most = limit.rlim_cur > MOST ? MOST : (int)limit.rlim_cur;
    int left = most - count_open() - RESERVE;
    atomic_store(&budget->left, left > 2 ? left : 2);
}
