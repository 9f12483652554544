// One thread asks, delivers and waits. The owner's thread only sets a wish (refresh, stop) and
// makes the event descriptor readable, which ends a pause and a connection in the making; a stop
// also cancels the call that runs, whose pointer is shared under the lock.
#include "certmgr/source_istio_ca.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/text.h"
#include "base/thread.h"
#include "certmgr/csr.h"
#include "certmgr/grpc_code.h"
#include "certmgr/grpc_stream.h"
#include "certmgr/grpc_unary.h"
#include "certmgr/istio_ca_codec.h"
#include "certmgr/istio_ca_reply.h"
#include "certmgr/istio_ca_retry.h"
#include "certmgr/renewal.h"
#include "certmgr/tls_carrier.h"
#include "certmgr/tls_client.h"
#include "certmgr/token_file.h"

#define SENTENCE_MAX (sizeof(((struct source_report *)0)->last_error))

struct istio_ca {
    struct source base;
    struct source_sink *sink;
    struct source_istio_ca_options options; // its strings are ours
    pthread_t thread;
    int wake_fd; // readable when there is a wish

    // Of the thread alone.
    struct renewal renewal;
    uint64_t num_attempts;
    bool is_withdrawn; // already told, do not repeat

    // Shared.
    pthread_mutex_t lock;
    bool stop;
    bool refresh;
    struct grpc_unary *call; // the one that runs
};

// One question: secrets and buffers of an attempt.
struct exchange {
    struct buf bearer; // "Bearer TOKEN"
    struct buf key;    // PKCS#8 DER
    struct buf request;
    struct buf answer;
};

// What came of one attempt.
struct outcome {
    bool ok;
    struct istio_ca_validity validity; // when ok
    struct istio_ca_verdict verdict;   // when not
    char sentence[SENTENCE_MAX];
};

static struct renewal_clock clock_now(void) {
    struct timespec boot;
    (void)clock_gettime(CLOCK_BOOTTIME, &boot);
    return (struct renewal_clock){
        .wall_ms = clock_wall_ms(),
        .boot_ms = (int64_t)boot.tv_sec * 1000 + boot.tv_nsec / 1000000,
    };
}

// --- delivering

static void report_put(struct istio_ca *ca, enum source_state state, const char *last_error) {
    struct source_report *report = calloc(1, sizeof(*report));
    if (report != NULL) { // otherwise the next one will do
        report->state = state;
        report->num_attempts = ca->num_attempts;
        report->next_renewal_ms = renewal_next_wall_ms(&ca->renewal, clock_now());
        text_copy(report->last_error, sizeof(report->last_error), last_error);
        free(mailbox_put(&ca->sink->reports, report));
    }
    ca->sink->wake(ca->sink->arg); // an update may be waiting as well
}

static void update_put(struct istio_ca *ca, struct update *update) {
    ca->is_withdrawn = update->withdrawn;
    update_free(mailbox_put(&ca->sink->updates, update));
}

static void withdraw(struct istio_ca *ca) {
    struct update *update = ca->is_withdrawn ? NULL : update_new(0, 0, 0);
    if (update != NULL) { // when memory is short, with the next refusal
        update->withdrawn = true;
        update_put(ca, update);
    }
}

// --- one attempt

// False, always: for `return fail(...)`.
static bool fail(struct outcome *outcome, const struct err *err) {
    outcome->verdict = (struct istio_ca_verdict){.state = SOURCE_CONNECTING};
    snprintf(outcome->sentence, sizeof(outcome->sentence), "%.*s; retrying",
             (int)(sizeof(outcome->sentence) - sizeof("; retrying")), err->msg);
    return false;
}

// Under the lock, so that a wish either comes before and is seen here, or finds the call.
static bool call_begin(struct istio_ca *ca, const struct grpc_unary_options *options,
                       struct span request, struct err *err) {
    pthread_mutex_lock(&ca->lock);
    bool stop = ca->stop;
    if (!stop) {
        ca->call = grpc_unary_start(options, request, err);
    }
    bool ok = ca->call != NULL;
    pthread_mutex_unlock(&ca->lock);
    if (stop) {
        (void)close(options->fd);
        ERR_SET(err, ERR_ENVIRONMENT, "stopping");
    }
    return ok;
}

static void call_finish(struct istio_ca *ca) {
    pthread_mutex_lock(&ca->lock);
    struct grpc_unary *call = take(&ca->call);
    pthread_mutex_unlock(&ca->lock);
    grpc_unary_free(call);
}

static void exchange_fini(struct exchange *exchange) {
    buf_clear_secret(&exchange->bearer);
    buf_clear_secret(&exchange->key);
    buf_fini(&exchange->request);
    buf_fini(&exchange->answer);
}

// Sends the request on `fd`, which is taken.
static bool ask(struct istio_ca *ca, int fd, struct exchange *exchange, struct outcome *outcome) {
    const struct grpc_unary_metadata metadata[] = {
        {"authorization", (const char *)buf_span(&exchange->bearer).ptr},
        {"clusterid", ca->options.cluster_id},
    };
    const struct grpc_unary_options options = {
        .fd = fd,
        .authority = ca->options.address,
        .method = ISTIO_CA_METHOD,
        .metadata = metadata,
        .num_metadata = ca->options.cluster_id != NULL ? 2 : 1,
        .response_max = ISTIO_CA_RESPONSE_MAX,
        .timeout_ms = ca->options.call_ms,
    };
    struct err err;
    if (!call_begin(ca, &options, buf_span(&exchange->request), &err)) {
        return fail(outcome, &err);
    }
    struct grpc_unary_result result = grpc_unary_wait(ca->call, &exchange->answer);
    call_finish(ca);
    if (result.code == GRPC_CODE_OK) {
        return true;
    }
    outcome->verdict = istio_ca_retry_decide(result.code);
    istio_ca_retry_explain(result.code, ca->options.address, result.details, outcome->sentence,
                           sizeof(outcome->sentence));
    return false;
}

// A connection for one request.
static bool connect_and_ask(struct istio_ca *ca, struct exchange *exchange,
                            struct outcome *outcome) {
    const struct tls_client_options to = {.address = ca->options.address,
                                          .server_name = ca->options.server_name,
                                          .roots_file = ca->options.roots_file};
    const struct patience patience = {.cancel_fd = ca->wake_fd,
                                      .deadline_ms = clock_mono_ms() + ca->options.connect_ms};
    struct err err;
    int fd = -1;
    struct tls_pump *pump = tls_client_connect(&to, &patience, &err);
    struct tls_carrier *carrier OWNED(tls_carrier_free) =
        pump != NULL ? tls_carrier_new(pump, &fd, &err) : NULL;
    if (carrier == NULL) {
        err_wrap(&err, "cannot reach the CA");
        return fail(outcome, &err);
    }
    return ask(ca, fd, exchange, outcome);
}

static bool deliver(struct istio_ca *ca, const struct exchange *exchange, struct outcome *outcome) {
    const struct istio_ca_question question = {.key_der = buf_span(&exchange->key),
                                               .spiffe_id = ca->options.spiffe_id};
    struct err err;
    struct update *update = istio_ca_reply_open(buf_span(&exchange->answer), &question,
                                                clock_wall_s(), &outcome->validity, &err);
    if (update == NULL) {
        err_wrap(&err, "discarded the answer of the CA at %s", ca->options.address);
        return fail(outcome, &err);
    }
    update_put(ca, update);
    return true;
}

static bool prepare(const struct istio_ca *ca, struct exchange *exchange, struct err *err) {
    struct buf csr __attribute__((cleanup(buf_fini))) = {0};
    return token_file_load(ca->options.token_file, &exchange->bearer, err) &&
           csr_new(ca->options.spiffe_id, &csr, &exchange->key, err) &&
           istio_ca_codec_encode_request(buf_span(&csr), ca->options.lifetime_ms / 1000,
                                         &exchange->request, err);
}

static void attempt(struct istio_ca *ca, struct outcome *outcome) {
    struct exchange exchange __attribute__((cleanup(exchange_fini))) = {0};
    struct err err;
    ca->num_attempts++;
    if (!prepare(ca, &exchange, &err)) {
        (void)fail(outcome, &err);
        return;
    }
    outcome->ok = connect_and_ask(ca, &exchange, outcome) && deliver(ca, &exchange, outcome);
}

// --- the thread

static bool has_wish(struct istio_ca *ca, const bool *wish) {
    pthread_mutex_lock(&ca->lock);
    bool result = *wish;
    pthread_mutex_unlock(&ca->lock);
    return result;
}

// Waits for at most `wait_ms`, until a wish at the latest, and takes the wish for a refresh.
static void pause_for(struct istio_ca *ca, int64_t wait_ms) {
    struct pollfd wake = {.fd = ca->wake_fd, .events = POLLIN};
    eventfd_t count;
    (void)poll(&wake, 1, (int)wait_ms);
    pthread_mutex_lock(&ca->lock);
    if (!ca->stop) { // that wish stays readable
        (void)eventfd_read(ca->wake_fd, &count);
    }
    if (ca->refresh) {
        renewal_wish(&ca->renewal);
    }
    ca->refresh = false;
    pthread_mutex_unlock(&ca->lock);
}

static void renew(struct istio_ca *ca) {
    struct outcome outcome = {0};
    attempt(ca, &outcome);
    if (has_wish(ca, &ca->stop) || (!outcome.ok && has_wish(ca, &ca->refresh))) {
        return; // ended by ourselves: that says nothing about the CA
    }
    if (outcome.ok) {
        renewal_succeeded(&ca->renewal, outcome.validity.not_before * 1000,
                          outcome.validity.not_after * 1000, clock_now(), arc4random());
        report_put(ca, SOURCE_CONNECTED, "");
        return;
    }
    renewal_failed(&ca->renewal, outcome.verdict.is_slow, clock_now(), arc4random());
    if (outcome.verdict.withdraw) {
        withdraw(ca);
    }
    report_put(ca, outcome.verdict.state, outcome.sentence);
}

static void *thread_main(void *arg) {
    struct istio_ca *ca = arg;
    grpc_stream_library_init();
    report_put(ca, SOURCE_CONNECTING, "");
    while (!has_wish(ca, &ca->stop)) {
        int64_t wait_ms = renewal_decide(&ca->renewal, clock_now());
        if (wait_ms == 0) {
            renew(ca);
        }
        pause_for(ca, wait_ms);
    }
    grpc_stream_library_fini();
    return NULL;
}

// --- the interface

static void wish(struct istio_ca *ca, bool *what) {
    pthread_mutex_lock(&ca->lock);
    *what = true;
    (void)eventfd_write(ca->wake_fd, 1);
    if (ca->stop && ca->call != NULL) {
        grpc_unary_cancel(ca->call);
    }
    pthread_mutex_unlock(&ca->lock);
}

static void istio_ca_refresh(struct source *source) {
    struct istio_ca *ca = (struct istio_ca *)source;
    wish(ca, &ca->refresh);
}

static void destroy(struct istio_ca *ca) {
    if (ca->wake_fd >= 0) {
        (void)close(ca->wake_fd);
    }
    pthread_mutex_destroy(&ca->lock);
    free((char *)(uintptr_t)ca->options.address);
    free((char *)(uintptr_t)ca->options.roots_file);
    free((char *)(uintptr_t)ca->options.token_file);
    free((char *)(uintptr_t)ca->options.server_name);
    free((char *)(uintptr_t)ca->options.cluster_id);
    free((char *)(uintptr_t)ca->options.spiffe_id);
    free(ca);
}

static void istio_ca_free(struct source *source) {
    struct istio_ca *ca = (struct istio_ca *)source;
    wish(ca, &ca->stop);
    pthread_join(ca->thread, NULL);
    destroy(ca);
}

static const struct source_ops ISTIO_CA_OPS = {
    .kind = "istioCa", .refresh = istio_ca_refresh, .free = istio_ca_free};

static bool copy(const char **out, const char *text) {
    *out = text != NULL ? strdup(text) : NULL;
    return text == NULL || *out != NULL;
}

static bool copy_options(struct istio_ca *ca, const struct source_istio_ca_options *from,
                         struct err *err) {
    struct source_istio_ca_options *to = &ca->options;
    to->lifetime_ms = from->lifetime_ms;
    ca->renewal.window = from->renewal;
    to->connect_ms = from->connect_ms > 0 ? from->connect_ms : SOURCE_ISTIO_CA_CONNECT_MS;
    to->call_ms = from->call_ms > 0 ? from->call_ms : SOURCE_ISTIO_CA_CALL_MS;
    if (!copy(&to->address, from->address) || !copy(&to->roots_file, from->roots_file) ||
        !copy(&to->token_file, from->token_file) || !copy(&to->server_name, from->server_name) ||
        !copy(&to->cluster_id, from->cluster_id) || !copy(&to->spiffe_id, from->spiffe_id)) {
        return ERR_NO_MEMORY(err, "starting the identity source");
    }
    char host[TLS_CLIENT_HOST_MAX];
    uint16_t port;
    return tls_client_parse_address(to->address, host, &port, err);
}

static bool start(struct istio_ca *ca, struct err *err) {
    ca->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (ca->wake_fd < 0) {
        return ERR_SET_ERRNO(err, ERR_ENVIRONMENT, errno, "cannot start the identity source");
    }
    int errnum = thread_start(&ca->thread, thread_main, ca);
    if (errnum != 0) {
        return ERR_SET_ERRNO(err, ERR_ENVIRONMENT, errnum,
                             "cannot start the identity source's thread");
    }
    return true;
}

struct source *source_istio_ca_new(const struct source_istio_ca_options *options,
                                   struct source_sink *sink, struct err *err) {
    struct istio_ca *ca = calloc(1, sizeof(*ca));
    if (ca == NULL) {
        ERR_NO_MEMORY(err, "starting the identity source");
        return NULL;
    }
    ca->base.ops = &ISTIO_CA_OPS;
    ca->sink = sink;
    ca->wake_fd = -1;
    pthread_mutex_init(&ca->lock, NULL);
    if (!copy_options(ca, options, err) || !start(ca, err)) {
        destroy(ca);
        return NULL;
    }
    return &ca->base;
}
