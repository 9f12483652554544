#include "agent/control/cpu_quota.h"

#include <sched.h>
#include <stdio.h>

#include "base/buf.h"
#include "base/file.h"

#define MOST 64

unsigned cpu_quota_parse(struct span text) {
    char copy[64] = {0};
    unsigned long quota = 0;
    unsigned long period = 0;
    if (text.len >= sizeof(copy)) {
        return 0;
    }
    if (text.len > 0) {
        memcpy(copy, text.ptr, text.len);
    }
    if (sscanf(copy, "%lu %lu", &quota, &period) != 2 || period == 0 || quota == 0) {
        return 0;
    }
    unsigned long cpus = (quota + period - 1) / period;
    return cpus > MOST ? MOST : (unsigned)cpus;
}

static unsigned quota_of_file(const char *path, const char *period_path) {
    struct buf text = {0};
    unsigned cpus = 0;
    bool good = file_read(path, 64, &text, NULL);
    if (good && period_path != NULL) {
        good = buf_append_text(&text, " ") && file_read(period_path, 64, &text, NULL);
    }
    if (good) {
        cpus = cpu_quota_parse(buf_span(&text));
    }
    buf_fini(&text);
    return cpus;
}

unsigned cpu_quota_workers(void) {
    cpu_set_t set;
    unsigned cpus = 1;
    if (sched_getaffinity(0, sizeof(set), &set) == 0) {
        cpus = (unsigned)CPU_COUNT(&set);
    }
    unsigned quota = quota_of_file("/sys/fs/cgroup/cpu.max", NULL);
    if (quota == 0) {
        quota = quota_of_file("/sys/fs/cgroup/cpu/cpu.cfs_quota_us",
                              "/sys/fs/cgroup/cpu/cpu.cfs_period_us");
    }
    if (quota > 0 && quota < cpus) {
        cpus = quota;
    }
    return cpus > MOST ? MOST : cpus;
}
