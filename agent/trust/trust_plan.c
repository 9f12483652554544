#include "agent/trust/trust_plan.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "agent/trust/trust_fetch.h"
#include "base/buf.h"
#include "base/clock.h"
#include "base/file.h"
#include "certmgr/patience.h"
#include "certmgr/trust/trust_cert.h"
#include "certmgr/trust/trust_dir.h"
#include "certmgr/trust/trust_gather.h"
#include "certmgr/trust/trust_input.h"

#define SYNC_DEFAULT_MS (24 * INT64_C(3600000))
#define RETRY_FIRST_MS INT64_C(5000)
#define RETRY_MOST_MS INT64_C(600000)
#define KEPT_DIRECTORY "..fetched"
#define KEPT_NAME_MAX 256

// One of trustStore.certificates that is not simply a watched file.
struct plan_item {
    const struct trust_certificate *certificate;
    struct buf content;
    char missing[ERR_MSG_MAX + 64];
    int64_t due_ms; // monotonic; INT64_MAX: not again
    int64_t retry_ms;
};

struct trust_plan {
    struct config *config;
    struct trust_options options;
    struct trust_named *named;
    struct plan_item *items; // as many as there are certificates
    size_t num;
};

static unsigned refused(const struct trust_policy *policy) {
    return (policy->refuse_expired ? TRUST_EXPIRED : 0U) |
           (policy->refuse_not_yet_valid ? TRUST_NOT_YET_VALID : 0U) |
           (policy->refuse_not_ca ? TRUST_NOT_CA : 0U) | (policy->refuse_weak ? TRUST_WEAK : 0U);
}

// NULL: the system's, "": none.
static const char *public_roots(const char *text) {
    if (strcmp(text, "system") == 0) {
        return NULL;
    }
    return strcmp(text, "none") == 0 ? "" : text;
}

static bool is_watched(const struct trust_certificate *certificate) {
    return certificate->file != NULL && certificate->auto_sync;
}

static void init_item(struct trust_plan *plan, size_t index) {
    const struct trust_certificate *certificate = &plan->config->trust_store.certificates[index];
    struct plan_item *item = &plan->items[index];
    item->certificate = certificate;
    item->retry_ms = RETRY_FIRST_MS;
    item->due_ms = certificate->pem != NULL || is_watched(certificate) ? INT64_MAX : 0;
    plan->named[index] = (struct trust_named){
        .name = certificate->name,
        .file = is_watched(certificate) ? certificate->file : NULL,
        .content = span_of_text(certificate->pem),
        .from = certificate->url != NULL ? certificate->url : certificate->file,
        .is_loaded = certificate->load_trust_store};
}

struct trust_plan *trust_plan_new(struct config *config) {
    const struct config_trust_store *store = &config->trust_store;
    OWNED(trust_plan_free) struct trust_plan *plan = calloc(1, sizeof(*plan));
    if (plan == NULL) {
        return NULL;
    }
    plan->config = config_ref(config);
    plan->named = calloc(store->num_certificates + 1, sizeof(*plan->named));
    plan->items = calloc(store->num_certificates + 1, sizeof(*plan->items));
    if (plan->named == NULL || plan->items == NULL) {
        return NULL;
    }
    plan->num = store->num_certificates;
    for (size_t i = 0; i < plan->num; i++) {
        init_item(plan, i);
    }
    plan->options = (struct trust_options){
        .output = store->output,
        .sources = (const char *const *)store->sources.items,
        .num_sources = store->sources.num,
        .named = plan->named,
        .num_named = plan->num,
        .public_roots = public_roots(store->public_roots),
        .refuse = refused(&store->policy),
        .java_uses_jks = store->java_format == JAVA_JKS,
        .jks_password = store->java_password,
    };
    return take(&plan);
}

void trust_plan_free(struct trust_plan *plan) {
    if (plan == NULL) {
        return;
    }
    for (size_t i = 0; i < plan->num; i++) {
        buf_clear_secret(&plan->items[i].content); // a file of the user's may hold anything
    }
    free(plan->items);
    free(plan->named);
    config_unref(plan->config);
    free(plan);
}

void trust_plan_set_domain_roots(struct trust_plan *plan, const struct trust_domain_root *roots,
                                 size_t num) {
    plan->options.domain_roots = roots;
    plan->options.num_domain_roots = num;
}

const struct trust_options *trust_plan_options(const struct trust_plan *plan) {
    return &plan->options;
}

int64_t trust_plan_next_ms(const struct trust_plan *plan) {
    int64_t next = INT64_MAX;
    for (size_t i = 0; i < plan->num; i++) {
        next = plan->items[i].due_ms < next ? plan->items[i].due_ms : next;
    }
    return next;
}

// --- what is kept of a URL ---

// NAME-HEX, HEX from the URL: another URL under the same name begins anew.
static void kept_name(const struct trust_certificate *certificate, char out[KEPT_NAME_MAX]) {
    uint64_t hash = UINT64_C(0xcbf29ce484222325); // FNV-1a
    for (const char *c = certificate->url; *c != '\0'; c++) {
        hash = (hash ^ (uint8_t)*c) * UINT64_C(0x100000001b3);
    }
    (void)snprintf(out, KEPT_NAME_MAX, "%s-%016llx", certificate->name, (unsigned long long)hash);
}

// Where that does not work, the certificate does not outlive a restart. No link is followed on the
// way: the application may be able to write there.
static void save(const struct trust_plan *plan, const struct plan_item *item) {
    char name[KEPT_NAME_MAX];
    kept_name(item->certificate, name);
    int output = trust_dir_make_all(plan->options.output)
                     ? trust_dir_open(AT_FDCWD, plan->options.output)
                     : -1;
    if (output < 0) {
        return;
    }
    (void)!trust_dir_make(output, KEPT_DIRECTORY); // it may be there
    int kept = trust_dir_open(output, KEPT_DIRECTORY);
    if (kept >= 0) {
        (void)!trust_dir_replace(kept, name, buf_span(&item->content));
        (void)close(kept);
    }
    (void)close(output);
}

static void load_kept(const struct trust_plan *plan, struct plan_item *item) {
    char name[KEPT_NAME_MAX], path[TRUST_PLAN_PATH_MAX];
    struct err err = {0};
    kept_name(item->certificate, name);
    int len = snprintf(path, sizeof(path), "%s/" KEPT_DIRECTORY "/%s", plan->options.output, name);
    if (item->content.len == 0 && len > 0 && (size_t)len < sizeof(path)) {
        (void)!file_read(path, TRUST_FETCH_MAX, &item->content, &err); // mostly there is none
    }
}

// --- reading and fetching ---

static bool count_certificate(void *arg, struct trust_cert *cert, size_t index UNUSED) {
    trust_cert_free(cert);
    ++*(size_t *)arg;
    return true;
}

static bool pass_over(void *arg UNUSED, const char *sentence UNUSED) {
    return true;
}

static bool has_certificates(struct span content) {
    size_t num = 0;
    const struct trust_input_sink sink = {
        .arg = &num, .certificate = count_certificate, .problem = pass_over};
    return trust_input_parse(content, &sink) && num > 0;
}

static bool obtain(const struct trust_plan *plan, const struct trust_certificate *certificate,
                   const struct patience *patience, struct buf *out, struct err *err) {
    if (certificate->file != NULL) {
        return file_read(certificate->file, TRUST_INPUT_MAX, out, err);
    }
    struct buf roots = {0};
    bool ok = trust_gather_public_roots(&plan->options, &roots, err) &&
              trust_fetch(certificate->url, buf_span(&roots), patience, out, err);
    buf_fini(&roots);
    return ok;
}

static void on_obtained(struct trust_plan *plan, struct plan_item *item, struct buf *fresh,
                        const struct trust_plan_listener *listener) {
    bool is_new = !span_equal(buf_span(&item->content), buf_span(fresh));
    buf_clear_secret(&item->content);
    item->content = *fresh;
    buf_init(fresh);
    item->missing[0] = '\0';
    item->retry_ms = RETRY_FIRST_MS;
    if (item->certificate->url != NULL && is_new) {
        save(plan, item);
        if (listener->event != NULL) {
            listener->event(listener->arg, item->certificate->name, "fetched", true);
        }
    }
}

static void on_failure(const struct trust_plan *plan, struct plan_item *item, const char *why,
                       const struct trust_plan_listener *listener) {
    if (item->certificate->url != NULL) {
        load_kept(plan, item);
    }
    (void)snprintf(item->missing, sizeof(item->missing), "%s%s", why,
                   item->content.len > 0 ? "; what was fetched before stays" : "");
    if (listener->event != NULL) {
        listener->event(listener->arg, item->certificate->name, item->missing, false);
    }
}

static int64_t next_due(struct plan_item *item, bool ok, int64_t now_ms) {
    const struct trust_certificate *certificate = item->certificate;
    if (ok) {
        int64_t interval =
            certificate->has_sync_interval ? certificate->sync_interval_ms : SYNC_DEFAULT_MS;
        return certificate->auto_sync ? now_ms + interval : INT64_MAX;
    }
    int64_t retry = item->retry_ms;
    item->retry_ms = 2 * retry < RETRY_MOST_MS ? 2 * retry : RETRY_MOST_MS;
    return now_ms + retry;
}

static void refresh_item(struct trust_plan *plan, struct plan_item *item,
                         const struct patience *patience,
                         const struct trust_plan_listener *listener) {
    struct buf fresh = {0};
    struct err err = {0};
    bool ok = obtain(plan, item->certificate, patience, &fresh, &err);
    if (ok && !has_certificates(buf_span(&fresh))) {
        ok = ERR_SET(&err, ERR_INPUT, "it holds no certificate, PEM or DER");
    }
    if (ok) {
        on_obtained(plan, item, &fresh, listener);
    } else {
        on_failure(plan, item, err.msg, listener);
    }
    item->due_ms = next_due(item, ok, clock_mono_ms());
    buf_clear_secret(&fresh);
}

static void publish(struct trust_plan *plan, size_t index) {
    const struct plan_item *item = &plan->items[index];
    plan->named[index].content = buf_span(&item->content);
    plan->named[index].missing = item->missing[0] == '\0' ? NULL : item->missing;
}

void trust_plan_peek(struct trust_plan *plan) {
    const struct trust_plan_listener nobody = {0};
    const struct patience no_patience = {.cancel_fd = -1};
    for (size_t i = 0; i < plan->num; i++) {
        struct plan_item *item = &plan->items[i];
        if (item->due_ms == INT64_MAX) {
            continue;
        }
        if (item->certificate->url == NULL) {
            refresh_item(plan, item, &no_patience, &nobody);
        } else {
            load_kept(plan, item);
            (void)snprintf(item->missing, sizeof(item->missing), "%s",
                           item->content.len > 0 ? "" : "it was not fetched yet");
        }
        publish(plan, i);
    }
}

void trust_plan_refresh(struct trust_plan *plan, int64_t now_ms, int cancel_fd,
                        const struct trust_plan_listener *listener) {
    const struct patience patience = {.cancel_fd = cancel_fd,
                                      .deadline_ms = now_ms + TRUST_PLAN_FETCH_MS};
    for (size_t i = 0; i < plan->num; i++) {
        struct plan_item *item = &plan->items[i];
        if (item->due_ms > now_ms) {
            continue;
        }
        refresh_item(plan, item, &patience, listener);
        publish(plan, i);
    }
}
