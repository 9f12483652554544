#include "agent/trust/trust_keeper.h"

#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "agent/trust/trust_plan.h"
#include "agent/trust/trust_sync.h"
#include "agent/trust/trust_watch.h"
#include "base/clock.h"
#include "base/stoppable.h"
#include "base/text.h"
#include "certmgr/trust/trust_gather.h"

#define LOOK_AGAIN_MS 1000 // for what no event tells
#define RETRY_MS 5000      // after a failure that nothing has mended yet
#define LOOK_SHARE 100     // looking takes at most this part of the time
#define LOOK_AGAIN_MOST_MS 10000
#define QUIET_MS 50 // a change is over when nothing more comes for so long
#define QUIET_MOST_MS 300

struct trust_keeper {
    struct trust_keeper_sink *sink;
    struct mailbox bundles_box; // struct trust_keeper_bundles
    int wake_fd;
    struct stoppable thread;

    // The thread's own.
    struct trust_plan *plan;
    struct trust_watch *watch;
    struct trust_keeper_bundles *bundles;
    struct trust_domain_root *domain_roots;
    struct trust_set *set; // of the last pass that worked
    struct trust_store_state state;
    struct buf events;
    uint64_t stamp;
    int64_t look_again_ms;
    int64_t retry_ms; // monotonic, after a failure
    bool is_dirty;    // something besides files changed
    bool has_failed;
};

void trust_keeper_report_free(struct trust_keeper_report *report) {
    if (report == NULL) {
        return;
    }
    trust_view_fini(&report->view);
    buf_fini(&report->events);
    free(report);
}

void trust_keeper_bundles_free(struct trust_keeper_bundles *bundles) {
    if (bundles == NULL) {
        return;
    }
    for (size_t i = 0; i < bundles->num; i++) {
        free(bundles->items[i].trust_domain);
        buf_fini(&bundles->items[i].der);
    }
    free(bundles->items);
    free(bundles);
}

// --- reports ---

static void on_event(void *arg, const char *name, const char *sentence, bool is_good) {
    struct trust_keeper *keeper = arg;
    // Without memory the event is lost; the problem itself is in the set.
    (void)!buf_printf(&keeper->events, "%c%s: %s\n", is_good ? '+' : '-', name, sentence);
}

static enum trust_state state_of(const struct trust_keeper *keeper) {
    if (keeper->has_failed) {
        return TRUST_STATE_FAILING;
    }
    return keeper->state.generation == 0 ? TRUST_STATE_PENDING : TRUST_STATE_WRITTEN;
}

static void fill_view(const struct trust_keeper *keeper, const struct err *err,
                      struct trust_view *view) {
    const struct trust_options *options = trust_plan_options(keeper->plan);
    view->state = state_of(keeper);
    view->generation = keeper->state.generation;
    view->written_ms = keeper->state.written_ms;
    view->checked_ms = clock_wall_ms();
    view->set = keeper->set == NULL ? NULL : trust_set_ref(keeper->set);
    text_copy(view->output, sizeof(view->output), options->output);
    text_copy(view->public_roots, sizeof(view->public_roots), trust_gather_public_path(options));
    text_copy(view->last_error, sizeof(view->last_error), keeper->has_failed ? err->msg : "");
}

// What an earlier report said that nobody has taken stays said.
static void merge(struct trust_keeper_report *report, struct trust_keeper_report *earlier) {
    if (earlier == NULL) {
        return;
    }
    struct buf later = report->events;
    report->events = earlier->events;
    buf_init(&earlier->events);
    struct span text = buf_span(&later);
    (void)!buf_append(&report->events, text.ptr, text.len);
    buf_fini(&later);
    report->changed = report->changed || earlier->changed;
    trust_keeper_report_free(earlier);
}

static void report(struct trust_keeper *keeper, bool changed, const struct err *err) {
    OWNED(trust_keeper_report_free)
    struct trust_keeper_report *made = calloc(1, sizeof(*made));
    if (made == NULL) {
        return; // the next pass reports
    }
    fill_view(keeper, err, &made->view);
    made->changed = changed;
    made->events = keeper->events;
    buf_init(&keeper->events);
    merge(made, mailbox_take(&keeper->sink->reports));
    trust_keeper_report_free(mailbox_put(&keeper->sink->reports, take(&made)));
    keeper->sink->wake(keeper->sink->arg);
}

// --- one pass ---

static void use_bundles(struct trust_keeper *keeper, struct trust_keeper_bundles *owned) {
    OWNED(trust_keeper_bundles_free) struct trust_keeper_bundles *bundles = owned;
    if (bundles == NULL) {
        return;
    }
    struct trust_domain_root *roots = calloc(bundles->num + 1, sizeof(*roots));
    if (roots == NULL) {
        return; // the ones before stay
    }
    for (size_t i = 0; i < bundles->num; i++) {
        roots[i].trust_domain = bundles->items[i].trust_domain;
        roots[i].der = buf_span(&bundles->items[i].der);
    }
    trust_plan_set_domain_roots(keeper->plan, roots, bundles->num);
    free(keeper->domain_roots);
    keeper->domain_roots = roots;
    trust_keeper_bundles_free(keeper->bundles);
    keeper->bundles = take(&bundles);
    keeper->is_dirty = true;
}

static void sync_store(struct trust_keeper *keeper) {
    struct trust_sync_result result = {0};
    struct err err = {0};
    keeper->has_failed =
        !trust_sync(trust_plan_options(keeper->plan), keeper->set, clock_wall_s(), &result, &err);
    if (!keeper->has_failed) {
        trust_set_unref(keeper->set);
        keeper->set = result.set;
        keeper->state = result.state;
    }
    report(keeper, result.changed, &err);
}

// Somebody removed or replaced the store.
static bool is_store_ours(const struct trust_keeper *keeper) {
    struct trust_store_state found;
    trust_store_read(trust_plan_options(keeper->plan)->output, &found);
    return found.generation == keeper->state.generation &&
           strcmp(found.digest, keeper->state.digest) == 0;
}

// Tens of thousands of files are looked at less often than a few.
static void set_look_again(struct trust_keeper *keeper, int64_t took_us) {
    int64_t fair_ms = took_us * LOOK_SHARE / 1000;
    keeper->look_again_ms = fair_ms < LOOK_AGAIN_MS        ? LOOK_AGAIN_MS
                            : fair_ms > LOOK_AGAIN_MOST_MS ? LOOK_AGAIN_MOST_MS
                                                           : fair_ms;
}

// Something besides an input asks for another pass.
static bool is_due(const struct trust_keeper *keeper) {
    return keeper->has_failed || keeper->set == NULL ||
           clock_wall_s() >= keeper->set->next_change || !is_store_ours(keeper);
}

static void pass(struct trust_keeper *keeper) {
    const struct trust_plan_listener listener = {.event = on_event, .arg = keeper};
    int64_t now_ms = clock_mono_ms();
    use_bundles(keeper, mailbox_take(&keeper->bundles_box));
    if (trust_plan_next_ms(keeper->plan) <= now_ms) {
        trust_plan_refresh(keeper->plan, now_ms, keeper->thread.stop_fd, &listener);
        keeper->is_dirty = true;
    }
    int64_t began_us = clock_mono_us();
    trust_watch_follow(keeper->watch, trust_plan_options(keeper->plan));
    uint64_t stamp = trust_gather_stamp(trust_plan_options(keeper->plan));
    set_look_again(keeper, clock_mono_us() - began_us);
    bool waits = keeper->has_failed && now_ms < keeper->retry_ms;
    if (stamp != keeper->stamp || keeper->is_dirty || (!waits && is_due(keeper))) {
        keeper->stamp = stamp;
        keeper->is_dirty = false;
        sync_store(keeper);
        keeper->retry_ms = clock_mono_ms() + RETRY_MS;
    }
}

// --- the thread ---

// Until something may have changed. False: the owner wants the thread back.
static bool wait_for_change(struct trust_keeper *keeper, int timeout_ms) {
    struct pollfd fds[] = {{.fd = keeper->thread.stop_fd, .events = POLLIN},
                           {.fd = keeper->wake_fd, .events = POLLIN},
                           {.fd = trust_watch_fd(keeper->watch), .events = POLLIN}};
    if (poll(fds, sizeof(fds) / sizeof(fds[0]), timeout_ms) <= 0) {
        return true;
    }
    if ((fds[1].revents & POLLIN) != 0) {
        eventfd_t count;
        (void)eventfd_read(keeper->wake_fd, &count);
    }
    return fds[0].revents == 0;
}

// A copy of many files is one change.
static bool settle(struct trust_keeper *keeper) {
    int64_t until_ms = clock_mono_ms() + QUIET_MOST_MS;
    bool goes_on = true;
    while (goes_on && trust_watch_drain(keeper->watch) && clock_mono_ms() < until_ms) {
        goes_on = wait_for_change(keeper, QUIET_MS);
    }
    return goes_on;
}

static int timeout_ms(const struct trust_keeper *keeper) {
    int64_t left_ms = trust_plan_next_ms(keeper->plan) - clock_mono_ms();
    if (left_ms >= keeper->look_again_ms) {
        return (int)keeper->look_again_ms;
    }
    return left_ms < 0 ? 0 : (int)left_ms + 1;
}

static void *run(void *arg) {
    struct trust_keeper *keeper = arg;
    do {
        pass(keeper);
    } while (wait_for_change(keeper, timeout_ms(keeper)) && settle(keeper));
    return NULL;
}

struct trust_keeper *trust_keeper_start(struct config *config, struct trust_keeper_sink *sink,
                                        struct err *err) {
    OWNED(trust_keeper_free) struct trust_keeper *keeper = calloc(1, sizeof(*keeper));
    if (keeper == NULL) {
        ERR_NO_MEMORY(err, "starting the trust store");
        return NULL;
    }
    keeper->sink = sink;
    keeper->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    keeper->plan = trust_plan_new(config);
    keeper->watch = trust_watch_new();
    if (keeper->wake_fd < 0 || keeper->plan == NULL || keeper->watch == NULL) {
        ERR_SET(err, ERR_ENVIRONMENT, "no memory or no descriptor left for the trust store");
        return NULL;
    }
    if (!stoppable_start(&keeper->thread, run, keeper, err)) {
        err_wrap(err, "starting the trust store");
        return NULL;
    }
    return take(&keeper);
}

void trust_keeper_free(struct trust_keeper *keeper) {
    if (keeper == NULL) {
        return;
    }
    stoppable_stop(&keeper->thread);
    trust_keeper_bundles_free(mailbox_take(&keeper->bundles_box));
    trust_keeper_bundles_free(keeper->bundles);
    free(keeper->domain_roots);
    trust_set_unref(keeper->set);
    trust_watch_free(keeper->watch);
    trust_plan_free(keeper->plan);
    buf_fini(&keeper->events);
    if (keeper->wake_fd >= 0) {
        close(keeper->wake_fd);
    }
    free(keeper);
}

void trust_keeper_set_bundles(struct trust_keeper *keeper, struct trust_keeper_bundles *bundles) {
    trust_keeper_bundles_free(mailbox_put(&keeper->bundles_box, bundles));
    (void)eventfd_write(keeper->wake_fd, 1);
}
