#include "agent/control/control_hosts.h"

#include <stdlib.h>

#include "agent/control/control_parts_internal.h"
#include "agent/names/host_resolver.h"
#include "base/log.h"

struct control_hosts {
    struct host_resolver_sink sink;
    struct host_resolver *resolver; // NULL: there are no names, or it has not been set going
    struct host_table *table;
};

// --- the log

static void log_host(enum log_level level, const char *event, const struct host_entry *entry) {
    struct log_line line;
    char text[NETADDR_TEXT_MAX];
    log_begin(&line, level, event);
    log_text(&line, "host", entry->name);
    log_text(&line, "address",
             entry->num_current == 0 ? NULL : netaddr_format_ip(&entry->addresses[0].ip, text));
    log_u64(&line, "addresses", entry->num_current);
    log_text(&line, "detail", entry->last_error);
    log_end(&line);
}

static bool has_same_addresses(const struct host_entry *a, const struct host_entry *b) {
    bool same = a->is_known == b->is_known && a->num_current == b->num_current;
    for (size_t i = 0; same && i < a->num_current; i++) {
        same = host_entry_has(b, &a->addresses[i].ip);
    }
    return same;
}

// A server that does not answer is said once, as is its return.
static void log_change(const struct host_entry *before, const struct host_entry *now) {
    if (now->num_fails > 0 && before->num_fails == 0) {
        log_host(LOG_WARN, now->is_known ? "host_lookup_failed" : "host_unresolved", now);
    } else if (now->num_fails == 0 && (before->num_fails > 0 || !has_same_addresses(before, now))) {
        log_host(now->num_current == 0 ? LOG_WARN : LOG_INFO, "host_resolved", now);
    }
}

// --- tables

// Of one configuration, both have the same names.
static void log_changes(const struct host_table *before, const struct host_table *now) {
    for (size_t i = 0; i < now->num; i++) {
        log_change(&before->entries[i], &now->entries[i]);
    }
}

static void on_table(struct ev_loop *loop UNUSED, ev_async *async, int events UNUSED) {
    struct control *control = async->data;
    struct control_hosts *hosts = control->hosts;
    OWNED(host_table_unref) struct host_table *table = mailbox_take(&hosts->sink.tables);
    if (table == NULL) {
        return;
    }
    struct host_table *before = hosts->table;
    hosts->table = host_table_ref(table);
    log_changes(before, table);
    if (!host_table_is_same(before, table)) {
        control_command_workers(control);
    }
    host_table_unref(before);
}

// On the resolver's thread.
static void wake(void *arg) {
    struct control *control = arg;
    ev_async_send(control->loop, &control->hosts_wake);
}

struct host_table *control_hosts_table(const struct control *control) {
    return control->hosts == NULL || control->hosts->table->num == 0 ? NULL : control->hosts->table;
}

// --- life

struct control_hosts *control_hosts_prepare(const struct control *control,
                                            const struct config *config, struct err *err) {
    struct control_hosts *hosts = calloc(1, sizeof(*hosts));
    if (hosts != NULL) {
        hosts->table = host_table_new(config, control_hosts_table(control));
    }
    if (hosts == NULL || hosts->table == NULL) {
        free(hosts);
        ERR_NO_MEMORY(err, "preparing host names");
        return NULL;
    }
    return hosts;
}

static bool set_going(struct control *control, struct err *err) {
    struct control_hosts *hosts = control->hosts;
    hosts->sink.wake = wake;
    hosts->sink.arg = control;
    if (hosts->table->num > 0) {
        hosts->resolver = host_resolver_start(hosts->table, &hosts->sink, err);
    }
    return hosts->table->num == 0 || hosts->resolver != NULL;
}

void control_hosts_swap(struct control *control, struct control_hosts **hosts) {
    struct control_hosts *before = control->hosts;
    struct err err = {0};
    control->hosts = *hosts;
    *hosts = before;
    if (!set_going(control, &err)) {
        log_msg(LOG_ERROR, "host_lookup_failed", "names keep the addresses that they have: %s",
                err.msg);
    }
}

bool control_hosts_start(struct control *control, struct err *err) {
    ev_async_init(&control->hosts_wake, on_table);
    control->hosts_wake.data = control;
    ev_async_start(control->loop, &control->hosts_wake);
    control->hosts = control_hosts_prepare(control, control->config, err);
    return control->hosts != NULL && set_going(control, err);
}

void control_hosts_free(struct control_hosts *hosts) {
    if (hosts == NULL) {
        return;
    }
    host_resolver_free(hosts->resolver);
    host_table_unref(mailbox_take(&hosts->sink.tables));
    host_table_unref(hosts->table);
    free(hosts);
}
