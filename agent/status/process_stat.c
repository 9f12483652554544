#include "agent/status/process_stat.h"

#include <dirent.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"

// The instant of the start, from ticks since boot (proc(5), field 22).
static double start_time(uint64_t ticks, double ticks_per_second) {
    struct timespec boot;
    if (clock_gettime(CLOCK_BOOTTIME, &boot) != 0) {
        return 0.0;
    }
    double since_boot = (double)boot.tv_sec + (double)boot.tv_nsec / 1e9;
    double age = since_boot - (double)ticks / ticks_per_second;
    return (double)clock_wall_ms() / 1000.0 - age;
}

static void parse_stat(struct process_stat *out, const char *text) {
    uint64_t user, system, threads, start, virtual, pages;
    double ticks_per_second = (double)sysconf(_SC_CLK_TCK);
    const char *fields = strrchr(text, ')'); // the name before it may hold anything
    int num = fields == NULL ? 0
                             : sscanf(fields + 1,
                                      " %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u"
                                      " %" SCNu64 " %" SCNu64 " %*d %*d %*d %*d %" SCNu64
                                      " %*d %" SCNu64 " %" SCNu64 " %" SCNu64,
                                      &user, &system, &threads, &start, &virtual, &pages);
    if (num != 6 || ticks_per_second <= 0.0) {
        return;
    }
    out->has_stat = true;
    out->cpu_seconds = (double)(user + system) / ticks_per_second;
    out->start_time_seconds = start_time(start, ticks_per_second);
    out->threads = threads;
    out->virtual_bytes = virtual;
    out->resident_bytes = pages * (uint64_t)sysconf(_SC_PAGESIZE);
}

static void load_stat(struct process_stat *out) {
    char text[1024];
    int fd = open("/proc/self/stat", O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        return;
    }
    ssize_t len = read(fd, text, sizeof(text) - 1);
    close(fd);
    if (len > 0) {
        text[len] = '\0';
        parse_stat(out, text);
    }
}

static void load_fds(struct process_stat *out) {
    DIR *dir = opendir("/proc/self/fd");
    if (dir == NULL) {
        return;
    }
    for (struct dirent *entry = readdir(dir); entry != NULL; entry = readdir(dir)) {
        out->open_fds += entry->d_name[0] != '.';
    }
    closedir(dir);
    out->open_fds -= out->open_fds > 0; // the one that was used to look
    out->has_open_fds = true;
}

void process_stat_load(struct process_stat *out) {
    struct rlimit limit;
    *out = (struct process_stat){0};
    load_stat(out);
    load_fds(out);
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur != RLIM_INFINITY) {
        out->has_max_fds = true;
        out->max_fds = limit.rlim_cur;
    }
}
