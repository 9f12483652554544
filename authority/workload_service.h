// The SPIFFE Workload API's X.509 part as a gRPC handler: who may call, which identity a caller
// has, and what is pushed to whom and when (SPIFFE Workload API, section 5). One owner, the
// loop's thread. It never logs: what happened goes to an observer.
#ifndef AUTHORITY_WORKLOAD_SERVICE_H
#define AUTHORITY_WORKLOAD_SERVICE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "authority/entries.h"
#include "authority/issuer.h"
#include "authority/rpc_stream.h"

enum service_event_kind {
    SERVICE_ISSUED,  // the first certificate of an identity
    SERVICE_ROTATED, // `count` more since the last event about this identity
    SERVICE_REFUSED, // a call, `reason`
    SERVICE_FAILED,  // a certificate could not be made, `reason`
};

struct service_event { // the strings are borrowed
    enum service_event_kind kind;
    uid_t uid;             // SERVICE_REFUSED
    const char *spiffe_id; // not SERVICE_REFUSED
    const char *serial;    // SERVICE_ISSUED, SERVICE_ROTATED
    int64_t not_after;     // with the serial; Unix seconds
    uint64_t count;
    const char *reason;
};

struct service_observer {
    void (*event)(void *arg, const struct service_event *event);
    void *arg;
};

struct workload_service;

// The issuer is borrowed. Without entries (NULL) uid N is "spiffe://trust_domain/uid/N"; the
// service takes the entries.
struct workload_service *workload_service_new(struct issuer *issuer, const char *trust_domain,
                                              struct entries *entries,
                                              struct service_observer observer,
                                              struct err *err) MUST_USE;
// Every stream has ended before.
void workload_service_free(struct workload_service *service);
OWN_DEFINE(struct workload_service, workload_service_free)

// To give to rpc_server_new; lives as long as the service.
const struct rpc_handler *workload_service_handler(const struct workload_service *service);

// Takes new entries: streams of callers without an entry end with PERMISSION_DENIED, those of
// callers with another identity now get it at once.
void workload_service_set_entries(struct workload_service *service, struct entries *entries);

// Renews what is due at `now_ms` and pushes it.
void workload_service_renew(struct workload_service *service, int64_t now_ms);
// The trust bundle is another one: pushes it to everybody, with fresh certificates.
void workload_service_push_bundle(struct workload_service *service, int64_t now_ms);

#endif
