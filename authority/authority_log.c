#include "authority/authority_log.h"

#include "base/clock.h"
#include "base/log.h"

#define WINDOW_MS 10000
#define LINES_PER_WINDOW 50

bool authority_log_may(struct authority_log *log) {
    int64_t now = clock_mono_ms();
    if (now - log->window_start_ms >= WINDOW_MS) {
        if (log->num_suppressed > 0) {
            struct log_line line;
            log_begin(&line, LOG_WARN, "log_lines_suppressed");
            log_u64(&line, "count", log->num_suppressed);
            log_end(&line);
        }
        *log = (struct authority_log){.window_start_ms = now};
    }
    if (log->num_lines >= LINES_PER_WINDOW) {
        log->num_suppressed++;
        return false;
    }
    log->num_lines++;
    return true;
}

static void log_certificate(const char *name, const char *spiffe_id, const char *serial,
                            int64_t not_after, uint64_t count) {
    char text[CLOCK_TEXT_MAX];
    struct log_line line;
    clock_format(not_after * 1000, false, text);
    log_begin(&line, LOG_INFO, name);
    log_text(&line, "spiffe_id", spiffe_id);
    log_text(&line, "serial", serial);
    log_text(&line, "not_after", text);
    log_u64(&line, "count", count);
    log_end(&line);
}

static void log_refused(const struct service_event *event) {
    struct log_line line;
    log_begin(&line, LOG_WARN, "call_refused");
    log_u64(&line, "uid", event->uid);
    log_text(&line, "reason", event->reason);
    log_end(&line);
}

void authority_log_service(struct authority_log *log, const struct service_event *event) {
    if (!authority_log_may(log)) {
        return;
    }
    switch (event->kind) {
    case SERVICE_ISSUED:
        log_certificate("identity_issued", event->spiffe_id, event->serial, event->not_after,
                        event->count);
        break;
    case SERVICE_ROTATED:
        log_certificate("identity_rotated", event->spiffe_id, event->serial, event->not_after,
                        event->count);
        break;
    case SERVICE_REFUSED:
        log_refused(event);
        break;
    case SERVICE_FAILED:
        log_msg(LOG_ERROR, "identity_failed", "%s", event->reason);
        break;
    }
}

static void log_csr_refused(const char *name, const struct csr_event *event) {
    struct log_line line;
    log_begin(&line, LOG_WARN, name);
    if (event->spiffe_id != NULL) {
        log_text(&line, "spiffe_id", event->spiffe_id);
    }
    log_text(&line, "reason", event->reason);
    log_end(&line);
}

void authority_log_csr(struct authority_log *log, const struct csr_event *event) {
    if (!authority_log_may(log)) {
        return;
    }
    switch (event->kind) {
    case CSR_SIGNED:
        log_certificate("csr_signed", event->spiffe_id, event->serial, event->not_after, 1);
        break;
    case CSR_REFUSED:
        log_csr_refused("csr_refused", event);
        break;
    case CSR_FAILED:
        log_msg(LOG_ERROR, "csr_failed", "%s", event->reason);
        break;
    case CSR_CONNECTION_REFUSED:
        log_csr_refused("csr_connection_refused", event);
        break;
    }
}
