// One thread runs one stream after the other: open, read until it ends, decide, pause. It is also
// gRPC's poller. The owner's thread only sets a wish (refresh, stop) and cancels the stream or ends
// the pause; the stream's pointer is shared under the lock while it can be cancelled.
#include "certmgr/stream_source.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "base/clock.h"
#include "base/thread.h"
#include "certmgr/grpc_code.h"
#include "certmgr/grpc_stream.h"
#include "certmgr/workload_target.h"

#define TCP_KEEPALIVE_MS (10 * 60 * 1000) // grpc-go servers allow one ping in 5 minutes

struct stream_source {
    struct source base;
    struct source_ops ops;
    const struct stream_protocol *protocol;
    void *arg;
    struct source_sink *sink;
    int connect_ms;
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

void stream_source_report(struct stream_source *source, enum source_state state,
                          const char *last_error) {
    struct source_report *report = calloc(1, sizeof(*report));
    if (report != NULL) { // otherwise the next one will do
        report->state = state;
        report->num_attempts = source->num_attempts;
        snprintf(report->last_error, sizeof(report->last_error), "%s", last_error);
        free(mailbox_put(&source->sink->reports, report));
    }
    source->sink->wake(source->sink->arg); // an update may be waiting as well
}

void stream_source_update(struct stream_source *source, struct update *update) {
    source->is_withdrawn = update->withdrawn;
    update_free(mailbox_put(&source->sink->updates, update));
}

const char *stream_source_endpoint(const struct stream_source *source) {
    return source->endpoint;
}

static void withdraw(struct stream_source *source) {
    if (source->protocol->withdrawn != NULL) {
        source->protocol->withdrawn(source->arg);
    }
    if (source->is_withdrawn) {
        return;
    }
    struct update *update = update_new(0, 0, 0);
    if (update == NULL) {
        return; // memory is short; tried again with the next refusal
    }
    update->withdrawn = true;
    stream_source_update(source, update);
}

// --- one stream ---

// Under the lock, so that a wish either comes before and is seen here, or finds the stream.
static struct grpc_stream *stream_begin(struct stream_source *source, struct err *err) {
    const struct stream_protocol *protocol = source->protocol;
    struct grpc_stream_options options = {
        .target = source->target.text,
        .method = protocol->method,
        .metadata_key = protocol->metadata_key,
        .metadata_value = protocol->metadata_value,
        .is_bidi = protocol->is_bidi,
        .message_max = protocol->message_max,
        .connect_ms = source->connect_ms,
        .keepalive_ms = source->target.is_local ? 0 : TCP_KEEPALIVE_MS,
    };
    struct buf request = {0};
    bool ready = protocol->begin(source->arg, source, &request, err);
    pthread_mutex_lock(&source->lock);
    source->refresh = false;
    if (ready && source->stop) {
        ERR_SET(err, ERR_ENVIRONMENT, "stopping");
    } else if (ready) {
        source->stream = grpc_stream_open(&options, buf_span(&request), err);
    }
    struct grpc_stream *stream = source->stream;
    pthread_mutex_unlock(&source->lock);
    buf_fini(&request);
    return stream;
}

static void stream_finish(struct stream_source *source) {
    pthread_mutex_lock(&source->lock);
    struct grpc_stream *stream = take(&source->stream);
    pthread_mutex_unlock(&source->lock);
    grpc_stream_free(stream);
}

// True when it was a good message.
static bool message_take(struct stream_source *source, struct grpc_stream *stream,
                         struct buf *message) {
    struct buf answer = {0};
    bool good = source->protocol->message(source->arg, source, buf_span(message), &answer);
    buf_clear_secret(message);
    if (buf_span(&answer).len > 0 && !grpc_stream_send(stream, buf_span(&answer))) {
        grpc_stream_cancel(stream); // without an answer the server may wait for ever
    }
    buf_fini(&answer);
    return good;
}

// Reads until the stream ends. False when it was given up.
static bool stream_read(struct stream_source *source, struct grpc_stream *stream,
                        bool *message_seen) {
    bool given_up = false;
    for (;;) {
        int64_t patience_ms = given_up ? -1 : source->protocol->patience_ms(source->arg);
        struct buf message = {0};
        switch (grpc_stream_next(stream, patience_ms, &message)) {
        case GRPC_STREAM_MESSAGE:
            *message_seen |= message_take(source, stream, &message);
            break;
        case GRPC_STREAM_TIMEOUT:
            given_up = !source->protocol->quiet(source->arg, source);
            if (given_up) {
                grpc_stream_cancel(stream);
            }
            break;
        case GRPC_STREAM_ENDED:
            return !given_up;
        }
    }
}

static void stream_run(struct stream_source *source, struct workload_end *end,
                       char details[GRPC_STREAM_DETAILS_MAX]) {
    int64_t began_ms = clock_mono_ms();
    source->num_attempts++;
    *end = (struct workload_end){.service = source->protocol->service,
                                 .code = GRPC_CODE_UNAVAILABLE,
                                 .endpoint = source->endpoint,
                                 .details = details};
    struct err err;
    struct grpc_stream *stream = stream_begin(source, &err);
    if (stream == NULL) {
        snprintf(details, GRPC_STREAM_DETAILS_MAX, "%.*s", GRPC_STREAM_DETAILS_MAX - 1, err.msg);
        return;
    }
    bool in_time = stream_read(source, stream, &end->message_seen);
    struct grpc_stream_end ended = grpc_stream_end(stream);
    stream_finish(source);
    end->reached = ended.reached;
    end->lived_ms = clock_mono_ms() - began_ms;
    end->code = in_time ? ended.code : GRPC_CODE_DEADLINE_EXCEEDED;
    snprintf(details, GRPC_STREAM_DETAILS_MAX, "%s",
             in_time             ? ended.details
             : end->message_seen ? "it has not sent all that was asked for"
                                 : "it accepted the request and sent nothing");
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
static void pause_until_next(struct stream_source *source,
                             const struct workload_decision *decision) {
    struct timespec deadline = deadline_after(decision->delay_ms);
    int error = 0;
    pthread_mutex_lock(&source->lock);
    while (!source->stop && !source->refresh && error == 0) {
        error = decision->retry ? pthread_cond_timedwait(&source->wished, &source->lock, &deadline)
                                : pthread_cond_wait(&source->wished, &source->lock);
    }
    if (source->refresh) {
        source->retry.failures = 0;
    }
    pthread_mutex_unlock(&source->lock);
}

static bool has_wish(struct stream_source *source, const bool *wish) {
    pthread_mutex_lock(&source->lock);
    bool result = *wish;
    pthread_mutex_unlock(&source->lock);
    return result;
}

static void attempt(struct stream_source *source) {
    struct workload_end end;
    char details[GRPC_STREAM_DETAILS_MAX];
    stream_run(source, &end, details);
    if (has_wish(source, &source->stop) || has_wish(source, &source->refresh)) {
        source->retry.failures = 0;
        return; // we have cancelled it ourselves: that says nothing about the source
    }
    struct workload_decision decision = workload_retry_decide(&source->retry, &end, arc4random());
    if (decision.withdraw) {
        withdraw(source);
    }
    char sentence[sizeof(((struct source_report *)0)->last_error)];
    workload_retry_explain(&end, sentence, sizeof(sentence));
    stream_source_report(source, decision.state, sentence);
    pause_until_next(source, &decision);
}

static void *thread_main(void *arg) {
    struct stream_source *source = arg;
    grpc_stream_library_init();
    stream_source_report(source, SOURCE_CONNECTING, "");
    while (!has_wish(source, &source->stop)) {
        attempt(source);
    }
    grpc_stream_library_fini();
    return NULL;
}

// --- the interface ---

static void source_wish(struct stream_source *source, bool *wish) {
    pthread_mutex_lock(&source->lock);
    *wish = true;
    if (source->stream != NULL) {
        grpc_stream_cancel(source->stream);
    }
    pthread_cond_signal(&source->wished);
    pthread_mutex_unlock(&source->lock);
}

static void refresh(struct source *base) {
    struct stream_source *source = (struct stream_source *)base;
    source_wish(source, &source->refresh);
}

static void destroy(struct stream_source *source) {
    if (source != NULL) {
        source->protocol->free(source->arg);
        pthread_cond_destroy(&source->wished);
        pthread_mutex_destroy(&source->lock);
        free(source->endpoint);
        free(source);
    }
}
OWN_DEFINE(struct stream_source, destroy)

static void stop_and_free(struct source *base) {
    struct stream_source *source = (struct stream_source *)base;
    source_wish(source, &source->stop);
    pthread_join(source->thread, NULL);
    destroy(source);
}

static struct stream_source *create(const struct stream_source_options *options, struct err *err) {
    struct stream_source *source = calloc(1, sizeof(*source));
    char *copy = strdup(options->endpoint);
    if (source == NULL || copy == NULL) {
        options->protocol->free(options->arg);
        free(source);
        free(copy);
        ERR_NO_MEMORY(err, "starting the identity source");
        return NULL;
    }
    source->ops = (struct source_ops){
        .kind = options->protocol->kind, .refresh = refresh, .free = stop_and_free};
    source->base.ops = &source->ops;
    source->protocol = options->protocol;
    source->arg = options->arg;
    source->sink = options->sink;
    source->connect_ms = options->connect_ms;
    source->endpoint = copy;
    pthread_mutex_init(&source->lock, NULL);
    pthread_condattr_t attr;
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(&source->wished, &attr);
    pthread_condattr_destroy(&attr);
    return source;
}

struct source *stream_source_new(const struct stream_source_options *options, struct err *err) {
    struct stream_source *source OWNED(destroy) = create(options, err);
    if (source == NULL || !workload_target_parse(&source->target, options->endpoint, err)) {
        return NULL;
    }
    int error = thread_start(&source->thread, thread_main, source);
    if (error != 0) {
        ERR_SET_ERRNO(err, ERR_ENVIRONMENT, error, "cannot start the identity source's thread");
        return NULL;
    }
    return &take(&source)->base;
}
