// One thread runs one stream after the other: open, read until it ends, decide, pause. It is also
// gRPC's poller. The owner's thread only sets a wish (refresh, stop) and cancels the stream or ends
// the pause; the stream's pointer is shared under the lock while it can be cancelled.
#include "certmgr/source_workload.h"

#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/span.h"
#include "certmgr/grpc_code.h"
#include "certmgr/grpc_stream.h"
#include "certmgr/workload_codec.h"
#include "certmgr/workload_retry.h"
#include "certmgr/workload_target.h"

#define TCP_KEEPALIVE_MS (10 * 60 * 1000) // grpc-go servers allow one ping in 5 minutes

struct workload {
    struct source base;
    struct source_sink *sink;
    struct source_workload_timing timing;
    struct workload_target target;
    char *endpoint;
    pthread_t thread;

    // Of the thread alone.
    struct workload_retry retry;
    uint64_t num_attempts;
    bool is_withdrawn; // already told, do not repeat

    // Shared.
    pthread_mutex_t lock;
    pthread_cond_t wished;
    bool stop;
    bool refresh;
    struct grpc_stream *stream; // the one that runs
};

// --- delivering ---

static void report_put(struct workload *w, enum source_state state, const char *last_error) {
    struct source_report *report = calloc(1, sizeof(*report));
    if (report != NULL) { // otherwise the next one will do
        report->state = state;
        report->num_attempts = w->num_attempts;
        snprintf(report->last_error, sizeof(report->last_error), "%s", last_error);
        free(mailbox_put(&w->sink->reports, report));
    }
    w->sink->wake(w->sink->arg); // an update may be waiting as well
}

// Followed by report_put, which wakes the consumer for both.
static void update_put(struct workload *w, struct update *update) {
    w->is_withdrawn = update->withdrawn;
    update_free(mailbox_put(&w->sink->updates, update));
}

static void withdraw(struct workload *w) {
    if (w->is_withdrawn) {
        return;
    }
    struct update *update = update_new(0, 0, 0);
    if (update == NULL) {
        return; // memory is short; tried again with the next refusal
    }
    update->withdrawn = true;
    update_put(w, update);
}

// False when the message does not decode: it is discarded whole and the old state stays.
static bool message_deliver(struct workload *w, struct span message) {
    struct err err;
    struct update *update = workload_decode_svids(message, &err);
    if (update == NULL) {
        err_wrap(&err, "discarded a message from the identity source at %s", w->endpoint);
        report_put(w, SOURCE_CONNECTED, err.msg);
        return false;
    }
    bool withdrawn = update->withdrawn;
    update_put(w, update);
    report_put(w, withdrawn ? SOURCE_DENIED : SOURCE_CONNECTED,
               withdrawn ? "the identity source answered without any identity; register this "
                           "workload (its user or selectors) with the source"
                         : "");
    return true;
}

// --- one stream ---

// Under the lock, so that a wish either comes before and is seen here, or finds the stream.
static struct grpc_stream *stream_begin(struct workload *w, struct err *err) {
    struct grpc_stream_options options = {
        .target = w->target.text,
        .method = "/SpiffeWorkloadAPI/FetchX509SVID",
        .metadata_key = "workload.spiffe.io",
        .metadata_value = "true",
        .message_max = WORKLOAD_MESSAGE_MAX,
        .connect_ms = w->timing.connect_ms,
        .keepalive_ms = w->target.is_local ? 0 : TCP_KEEPALIVE_MS,
    };
    pthread_mutex_lock(&w->lock);
    w->refresh = false;
    if (w->stop) {
        ERR_SET(err, ERR_ENVIRONMENT, "stopping");
    } else {
        w->stream = grpc_stream_open(&options, span_of(NULL, 0), err);
    }
    struct grpc_stream *stream = w->stream;
    pthread_mutex_unlock(&w->lock);
    return stream;
}

static void stream_finish(struct workload *w) {
    pthread_mutex_lock(&w->lock);
    struct grpc_stream *stream = take(&w->stream);
    pthread_mutex_unlock(&w->lock);
    grpc_stream_free(stream);
}

// Reads until the stream ends. False when the server has sent nothing in time.
static bool stream_read(struct workload *w, struct grpc_stream *stream, bool *message_seen) {
    int64_t timeout_ms = w->timing.first_message_ms;
    bool in_time = true;
    for (;;) {
        struct buf message = {0};
        switch (grpc_stream_next(stream, timeout_ms, &message)) {
        case GRPC_STREAM_MESSAGE:
            *message_seen |= message_deliver(w, buf_span(&message));
            buf_clear_secret(&message);
            break;
        case GRPC_STREAM_TIMEOUT:
            in_time = false;
            grpc_stream_cancel(stream);
            break;
        case GRPC_STREAM_ENDED:
            return in_time;
        }
        timeout_ms = -1; // from now on it may be silent for as long as it likes
    }
}

static void stream_run(struct workload *w, struct workload_end *end,
                       char details[GRPC_STREAM_DETAILS_MAX]) {
    int64_t began_ms = clock_mono_ms();
    w->num_attempts++;
    *end = (struct workload_end){
        .code = GRPC_CODE_UNAVAILABLE, .endpoint = w->endpoint, .details = details};
    struct err err;
    struct grpc_stream *stream = stream_begin(w, &err);
    if (stream == NULL) {
        snprintf(details, GRPC_STREAM_DETAILS_MAX, "%.*s", GRPC_STREAM_DETAILS_MAX - 1, err.msg);
        return;
    }
    bool in_time = stream_read(w, stream, &end->message_seen);
    struct grpc_stream_end ended = grpc_stream_end(stream);
    stream_finish(w);
    end->reached = ended.reached;
    end->lived_ms = clock_mono_ms() - began_ms;
    end->code = in_time ? ended.code : GRPC_CODE_DEADLINE_EXCEEDED;
    snprintf(details, GRPC_STREAM_DETAILS_MAX, "%s",
             in_time ? ended.details : "it accepted the request and sent nothing");
}

// --- the thread ---

static struct timespec deadline_after(int64_t delay_ms) {
    struct timespec at;
    clock_gettime(CLOCK_MONOTONIC, &at);
    int64_t nsec = at.tv_nsec + delay_ms % 1000 * 1000000;
    at.tv_sec += delay_ms / 1000 + nsec / 1000000000;
    at.tv_nsec = nsec % 1000000000;
    return at;
}

// Waits for the delay (`retry`) or for ever, but no longer than until a wish.
static void pause_until_next(struct workload *w, const struct workload_decision *decision) {
    struct timespec deadline = deadline_after(decision->delay_ms);
    int error = 0;
    pthread_mutex_lock(&w->lock);
    while (!w->stop && !w->refresh && error == 0) {
        error = decision->retry ? pthread_cond_timedwait(&w->wished, &w->lock, &deadline)
                                : pthread_cond_wait(&w->wished, &w->lock);
    }
    if (w->refresh) {
        w->retry.failures = 0;
    }
    pthread_mutex_unlock(&w->lock);
}

static bool has_wish(struct workload *w, const bool *wish) {
    pthread_mutex_lock(&w->lock);
    bool result = *wish;
    pthread_mutex_unlock(&w->lock);
    return result;
}

static void attempt(struct workload *w) {
    struct workload_end end;
    char details[GRPC_STREAM_DETAILS_MAX];
    stream_run(w, &end, details);
    if (has_wish(w, &w->stop) || has_wish(w, &w->refresh)) {
        w->retry.failures = 0;
        return; // we have cancelled it ourselves: that says nothing about the source
    }
    struct workload_decision decision = workload_retry_decide(&w->retry, &end, arc4random());
    if (decision.withdraw) {
        withdraw(w);
    }
    char sentence[sizeof(((struct source_report *)0)->last_error)];
    workload_retry_explain(&end, sentence, sizeof(sentence));
    report_put(w, decision.state, sentence);
    pause_until_next(w, &decision);
}

static void *thread_main(void *arg) {
    struct workload *w = arg;
    grpc_stream_library_init();
    report_put(w, SOURCE_CONNECTING, "");
    while (!has_wish(w, &w->stop)) {
        attempt(w);
    }
    grpc_stream_library_fini();
    return NULL;
}

// --- the interface ---

static void workload_wish(struct workload *w, bool *wish) {
    pthread_mutex_lock(&w->lock);
    *wish = true;
    if (w->stream != NULL) {
        grpc_stream_cancel(w->stream);
    }
    pthread_cond_signal(&w->wished);
    pthread_mutex_unlock(&w->lock);
}

static void workload_refresh(struct source *source) {
    struct workload *w = (struct workload *)source;
    workload_wish(w, &w->refresh);
}

static void workload_destroy(struct workload *w) {
    pthread_cond_destroy(&w->wished);
    pthread_mutex_destroy(&w->lock);
    free(w->endpoint);
    free(w);
}

static void workload_free(struct source *source) {
    struct workload *w = (struct workload *)source;
    workload_wish(w, &w->stop);
    pthread_join(w->thread, NULL);
    workload_destroy(w);
}

static const struct source_ops WORKLOAD_OPS = {
    .kind = "workloadApi", .refresh = workload_refresh, .free = workload_free};

static struct workload *workload_create(const char *endpoint, struct err *err) {
    struct workload *w = calloc(1, sizeof(*w));
    char *copy = strdup(endpoint);
    if (w == NULL || copy == NULL) {
        free(w);
        free(copy);
        ERR_NO_MEMORY(err, "starting the identity source");
        return NULL;
    }
    w->base.ops = &WORKLOAD_OPS;
    w->endpoint = copy;
    pthread_mutex_init(&w->lock, NULL);
    pthread_condattr_t attr;
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(&w->wished, &attr);
    pthread_condattr_destroy(&attr);
    return w;
}

// Signals are blocked in the new thread, and so in those that gRPC starts from it: they belong to
// the control loop.
static int thread_start(struct workload *w) {
    sigset_t all;
    sigset_t before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int error = pthread_create(&w->thread, NULL, thread_main, w);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return error;
}

struct source *source_workload_new_timed(const char *endpoint, struct source_sink *sink,
                                         struct source_workload_timing timing, struct err *err) {
    struct workload *w = workload_create(endpoint, err);
    if (w == NULL) {
        return NULL;
    }
    w->sink = sink;
    w->timing = timing;
    if (!workload_target_parse(&w->target, endpoint, err)) {
        workload_destroy(w);
        return NULL;
    }
    int error = thread_start(w);
    if (error != 0) {
        ERR_SET_ERRNO(err, ERR_ENVIRONMENT, error, "cannot start the identity source's thread");
        workload_destroy(w);
        return NULL;
    }
    return &w->base;
}

struct source *source_workload_new(const char *endpoint, struct source_sink *sink,
                                   struct err *err) {
    return source_workload_new_timed(endpoint, sink, SOURCE_WORKLOAD_TIMING_DEFAULT, err);
}
