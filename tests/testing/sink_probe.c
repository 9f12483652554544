#include "tests/testing/sink_probe.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define PATIENCE_S 30

static void wake(void *arg) {
    struct sink_probe *probe = arg;
    pthread_mutex_lock(&probe->lock);
    probe->num_wakes++;
    pthread_cond_signal(&probe->woken);
    pthread_mutex_unlock(&probe->lock);
}

void sink_probe_init(struct sink_probe *probe) {
    *probe = (struct sink_probe){.sink = {.wake = wake, .arg = probe}};
    pthread_mutex_init(&probe->lock, NULL);
    pthread_condattr_t attr;
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(&probe->woken, &attr);
    pthread_condattr_destroy(&attr);
}

void sink_probe_fini(struct sink_probe *probe) {
    update_free(mailbox_take(&probe->sink.updates));
    free(mailbox_take(&probe->sink.reports));
    pthread_cond_destroy(&probe->woken);
    pthread_mutex_destroy(&probe->lock);
}

static struct timespec deadline(void) {
    struct timespec at;
    clock_gettime(CLOCK_MONOTONIC, &at);
    at.tv_sec += PATIENCE_S;
    return at;
}

// False once patience is over; otherwise there may be something new.
static bool await_wake(struct sink_probe *probe, const struct timespec *until) {
    int error = 0;
    pthread_mutex_lock(&probe->lock);
    while (probe->num_wakes == 0 && error == 0) {
        error = pthread_cond_timedwait(&probe->woken, &probe->lock, until);
    }
    probe->num_wakes = 0;
    pthread_mutex_unlock(&probe->lock);
    return error == 0;
}

struct update *sink_probe_update(struct sink_probe *probe) {
    struct timespec until = deadline();
    struct update *update;
    do {
        update = mailbox_take(&probe->sink.updates);
    } while (update == NULL && await_wake(probe, &until));
    return update;
}

bool sink_probe_report(struct sink_probe *probe, enum source_state state, const char *part) {
    struct timespec until = deadline();
    bool found = false;
    do {
        struct source_report *report = mailbox_take(&probe->sink.reports);
        if (report != NULL) {
            found = report->state == state && strstr(report->last_error, part) != NULL;
            if (!found) {
                fprintf(stderr, "report: %s \"%s\"\n", source_state_name(report->state),
                        report->last_error);
            }
        }
        free(report);
    } while (!found && await_wake(probe, &until));
    return found;
}
