#include "authority/workload_service.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/check.h"
#include "base/clock.h"
#include "base/list.h"
#include "base/own.h"
#include "certmgr/spiffe_id.h"

#define DEFAULT_ID_MAX (sizeof("spiffe:///uid/4294967295") + SPIFFE_TRUST_DOMAIN_MAX)
#define ROTATED_EVENT_INTERVAL_MS 10000 // per identity, however often it rotates

struct workload_service {
    struct issuer *issuer;
    char *trust_domain;
    struct entries *entries; // NULL: by uid
    struct service_observer observer;
    struct rpc_handler handler;
    struct list subscribers; // all open streams
};

// An open stream: FetchX509SVID has a subject, FetchX509Bundles has none.
struct subscriber {
    struct list_node node; // in the service
    struct list_node of_subject;
    struct rpc_stream *stream;
    struct subject *subject;
};

// The identity of a caller; NULL when there is none. May be written to `space`.
static const char *identity_of(const struct workload_service *service, uid_t uid,
                               char space[DEFAULT_ID_MAX]) {
    if (service->entries != NULL) {
        return entries_find(service->entries, (uint32_t)uid);
    }
    (void)snprintf(space, DEFAULT_ID_MAX, "spiffe://%s/uid/%u", service->trust_domain,
                   (unsigned)uid);
    return space;
}

// --- what happened

static void report_issued(const struct workload_service *service, const struct subject *subject) {
    const struct service_event event = {
        .kind = SERVICE_ISSUED,
        .spiffe_id = subject->spiffe_id,
        .serial = subject->serial,
        .not_after = subject->not_after,
        .count = 1,
    };
    service->observer.event(service->observer.arg, &event);
}

static void report_rotated(const struct workload_service *service, struct subject *subject) {
    if (subject->issued_ms - subject->reported_ms < ROTATED_EVENT_INTERVAL_MS &&
        subject->issued_ms >= subject->reported_ms) {
        return;
    }
    const struct service_event event = {
        .kind = SERVICE_ROTATED,
        .spiffe_id = subject->spiffe_id,
        .serial = subject->serial,
        .not_after = subject->not_after,
        .count = subject->num_issued - subject->num_reported,
    };
    subject->reported_ms = subject->issued_ms;
    subject->num_reported = subject->num_issued;
    service->observer.event(service->observer.arg, &event);
}

static void report_failed(const struct workload_service *service, const char *spiffe_id,
                          const struct err *err) {
    const struct service_event event = {
        .kind = SERVICE_FAILED, .spiffe_id = spiffe_id, .reason = err->msg};
    service->observer.event(service->observer.arg, &event);
}

static void report_refused(const struct workload_service *service, uid_t uid, const char *reason) {
    const struct service_event event = {.kind = SERVICE_REFUSED, .uid = uid, .reason = reason};
    service->observer.event(service->observer.arg, &event);
}

// --- pushing

static void push_svid(const struct subscriber *subscriber) {
    rpc_stream_send(subscriber->stream, buf_span(&subscriber->subject->response));
}

static void push_bundles(const struct workload_service *service,
                         const struct subscriber *subscriber) {
    struct err err = {0};
    struct buf message __attribute__((cleanup(buf_fini))) = {0};
    if (issuer_bundles(service->issuer, &message, &err)) {
        rpc_stream_send(subscriber->stream, buf_span(&message));
    } else {
        rpc_stream_finish(subscriber->stream, GRPC_CODE_UNAVAILABLE, "no bundle; try again");
    }
}

static void unsubscribe(struct subscriber *subscriber) {
    list_remove(&subscriber->of_subject);
    subscriber->subject = NULL;
}

// Gives the stream the identity `spiffe_id` from now on, and its certificate at once.
static void subscribe(struct workload_service *service, struct subscriber *subscriber,
                      const char *spiffe_id) {
    struct err err = {0};
    bool is_new = false;
    unsubscribe(subscriber);
    subscriber->subject =
        issuer_subject(service->issuer, spiffe_id, clock_wall_ms(), &is_new, &err);
    if (subscriber->subject == NULL) {
        report_failed(service, spiffe_id, &err);
        rpc_stream_finish(subscriber->stream, GRPC_CODE_UNAVAILABLE,
                          "no certificate could be made; try again");
        return;
    }
    list_append(&subscriber->subject->subscribers, &subscriber->of_subject);
    if (is_new) {
        subscriber->subject->reported_ms = subscriber->subject->issued_ms;
        subscriber->subject->num_reported = 1;
        report_issued(service, subscriber->subject);
    }
    push_svid(subscriber);
}

// --- the handler

static bool is_svids(const struct rpc_stream *stream) {
    return span_equal_text(rpc_stream_method(stream), "/SpiffeWorkloadAPI/FetchX509SVID");
}

static bool is_bundles(const struct rpc_stream *stream) {
    return span_equal_text(rpc_stream_method(stream), "/SpiffeWorkloadAPI/FetchX509Bundles");
}

static struct rpc_refusal judge(const struct workload_service *service,
                                const struct rpc_stream *stream) {
    char space[DEFAULT_ID_MAX];
    if (!is_svids(stream) && !is_bundles(stream)) {
        return (struct rpc_refusal){GRPC_CODE_UNIMPLEMENTED, "this server has no such method"};
    }
    if (!rpc_stream_has_metadata(stream, "workload.spiffe.io", "true")) {
        return (struct rpc_refusal){GRPC_CODE_INVALID_ARGUMENT,
                                    "the metadata workload.spiffe.io: true is missing"};
    }
    if (identity_of(service, rpc_stream_uid(stream), space) == NULL) {
        return (struct rpc_refusal){GRPC_CODE_PERMISSION_DENIED, "no identity issued"};
    }
    return (struct rpc_refusal){GRPC_CODE_OK, ""};
}

static struct rpc_refusal on_admit(void *arg, const struct rpc_stream *stream) {
    const struct workload_service *service = arg;
    struct rpc_refusal refusal = judge(service, stream);
    if (refusal.code != GRPC_CODE_OK) {
        report_refused(service, rpc_stream_uid(stream), refusal.reason);
    }
    return refusal;
}

// Gives a subscriber what its caller may have now; ends its stream if that is nothing any more.
static void serve(struct workload_service *service, struct subscriber *subscriber) {
    char space[DEFAULT_ID_MAX];
    uid_t uid = rpc_stream_uid(subscriber->stream);
    const char *spiffe_id = identity_of(service, uid, space);
    if (spiffe_id == NULL) {
        unsubscribe(subscriber);
        report_refused(service, uid, "no identity issued any more");
        rpc_stream_finish(subscriber->stream, GRPC_CODE_PERMISSION_DENIED, "no identity issued");
    } else if (!is_svids(subscriber->stream)) {
        push_bundles(service, subscriber);
    } else {
        subscribe(service, subscriber, spiffe_id);
    }
}

static void on_opened(void *arg, struct rpc_stream *stream) {
    struct workload_service *service = arg;
    struct subscriber *subscriber = calloc(1, sizeof(*subscriber));
    rpc_stream_set_data(stream, subscriber);
    if (subscriber == NULL) {
        rpc_stream_finish(stream, GRPC_CODE_UNAVAILABLE, "out of memory; try again");
        return;
    }
    subscriber->stream = stream;
    list_append(&service->subscribers, &subscriber->node);
    serve(service, subscriber);
}

static void on_closed(void *arg UNUSED, struct rpc_stream *stream) {
    struct subscriber *subscriber = rpc_stream_data(stream);
    if (subscriber != NULL) {
        unsubscribe(subscriber);
        list_remove(&subscriber->node);
        free(subscriber);
    }
}

// --- the life of the service

struct workload_service *workload_service_new(struct issuer *issuer, const char *trust_domain,
                                              struct entries *entries,
                                              struct service_observer observer, struct err *err) {
    OWNED(entries_free) struct entries *owned = entries;
    OWNED(workload_service_free) struct workload_service *service = calloc(1, sizeof(*service));
    if (service == NULL) {
        ERR_NO_MEMORY(err, "starting the service");
        return NULL;
    }
    list_init(&service->subscribers);
    service->issuer = issuer;
    service->observer = observer;
    service->handler = (struct rpc_handler){
        .admit = on_admit, .opened = on_opened, .closed = on_closed, .arg = service};
    service->trust_domain = strdup(trust_domain);
    if (service->trust_domain == NULL) {
        ERR_NO_MEMORY(err, "starting the service");
        return NULL;
    }
    service->entries = take(&owned);
    return take(&service);
}

void workload_service_free(struct workload_service *service) {
    if (service == NULL) {
        return;
    }
    CHECK(list_is_empty(&service->subscribers));
    entries_free(service->entries);
    free(service->trust_domain);
    free(service);
}

const struct rpc_handler *workload_service_handler(const struct workload_service *service) {
    return &service->handler;
}

static bool has_identity(const struct workload_service *service,
                         const struct subscriber *subscriber) {
    char space[DEFAULT_ID_MAX];
    const char *spiffe_id = identity_of(service, rpc_stream_uid(subscriber->stream), space);
    if (!is_svids(subscriber->stream)) {
        return spiffe_id != NULL; // the bundle is the same for everybody
    }
    return spiffe_id != NULL && subscriber->subject != NULL &&
           strcmp(spiffe_id, subscriber->subject->spiffe_id) == 0;
}

void workload_service_set_entries(struct workload_service *service, struct entries *entries) {
    entries_free(service->entries);
    service->entries = entries;
    LIST_FOR_EACH(&service->subscribers, it) {
        struct subscriber *subscriber = LIST_ENTRY(it, struct subscriber, node);
        if (!has_identity(service, subscriber)) {
            serve(service, subscriber);
        }
    }
}

static void on_renewed(void *arg, struct subject *subject) {
    struct workload_service *service = arg;
    LIST_FOR_EACH(&subject->subscribers, it) {
        push_svid(LIST_ENTRY(it, struct subscriber, of_subject));
    }
    report_rotated(service, subject);
}

static void on_failed(void *arg, struct subject *subject, const struct err *err) {
    report_failed(arg, subject->spiffe_id, err);
}

void workload_service_renew(struct workload_service *service, int64_t now_ms) {
    struct issuer_observer observer = {.renewed = on_renewed, .failed = on_failed, .arg = service};
    issuer_renew(service->issuer, now_ms, &observer);
}

void workload_service_push_bundle(struct workload_service *service, int64_t now_ms) {
    issuer_expire_all(service->issuer);
    workload_service_renew(service, now_ms);
    LIST_FOR_EACH(&service->subscribers, it) {
        struct subscriber *subscriber = LIST_ENTRY(it, struct subscriber, node);
        if (!is_svids(subscriber->stream)) {
            push_bundles(service, subscriber);
        }
    }
}
