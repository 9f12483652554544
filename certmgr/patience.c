#include "certmgr/patience.h"

#include <limits.h>

#include "base/check.h"
#include "base/clock.h"

enum patience_outcome patience_poll(const struct patience *patience, struct pollfd *fds, size_t num,
                                    int64_t most_ms) {
    struct pollfd all[PATIENCE_FDS_MAX + 1];
    CHECK(num <= PATIENCE_FDS_MAX);
    for (size_t i = 0; i < num; i++) {
        all[i] = fds[i];
        fds[i].revents = 0;
    }
    all[num] = (struct pollfd){.fd = patience->cancel_fd, .events = POLLIN};
    int64_t left_ms = patience->deadline_ms - clock_mono_ms();
    if (left_ms <= 0) {
        return PATIENCE_TIMEOUT;
    }
    int64_t wait_ms = most_ms >= 0 && most_ms < left_ms ? most_ms : left_ms;
    all[num].revents = 0;
    int ready = poll(all, num + 1, wait_ms < INT_MAX ? (int)wait_ms : INT_MAX);
    if (ready > 0 && all[num].revents != 0) {
        return PATIENCE_CANCELLED;
    }
    if (ready == 0 && wait_ms == left_ms) {
        return PATIENCE_TIMEOUT;
    }
    for (size_t i = 0; i < num && ready > 0; i++) {
        fds[i].revents = all[i].revents;
    }
    return PATIENCE_READY; // an interrupted poll, too: the caller looks again
}
