#include "agent/control/control_staples.h"

#include <stdlib.h>

#include "agent/control/control_parts_internal.h"
#include "agent/staple/staple_keeper.h"
#include "base/clock.h"
#include "base/log.h"

struct control_staples {
    struct staple_keeper_sink sink;
    struct staple_keeper *keeper; // NULL: nobody is asked
    struct staple_table *table;
    struct edge_staples *staples; // what comes of it
};

// --- the log

static void log_staple(enum log_level level, const char *event, const struct edge_asked *asked,
                       const struct staple_entry *entry) {
    struct log_line line;
    char until[CLOCK_TEXT_MAX];
    bool has_response = entry->response != NULL;
    clock_format(entry->until * 1000, false, until);
    log_begin(&line, level, event);
    log_u64(&line, "port", asked->port);
    log_text(&line, "certificate", asked->cert->name);
    log_text(&line, "responder", asked->responder);
    log_text(&line, "status", has_response ? ocsp_status_name(entry->status) : NULL);
    log_text(&line, "until", has_response ? until : NULL);
    log_text(&line, "detail", entry->last_error);
    log_end(&line);
}

// A responder that does not answer is said once, as is its return.
static void log_change(const struct edge_asked *asked, const struct staple_entry *before,
                       const struct staple_entry *now) {
    bool is_new =
        now->response != NULL && (before->response == NULL || before->status != now->status);
    if (now->num_fails > 0 && before->num_fails == 0) {
        log_staple(LOG_WARN, "staple_query_failed", asked, now);
    } else if (is_new && now->status != OCSP_GOOD) {
        log_staple(LOG_WARN, "staple_revoked", asked, now);
    } else if (is_new || (now->num_fails == 0 && before->num_fails > 0)) {
        log_staple(LOG_INFO, "staple_received", asked, now);
    }
}

// --- tables

static bool is_same(const struct edge_staples *a, const struct edge_staples *b) {
    bool same = a->num == b->num;
    for (size_t i = 0; same && i < a->num; i++) {
        same =
            a->items[i].response == b->items[i].response && a->items[i].until == b->items[i].until;
    }
    return same;
}

// Of one configuration, both have the same certificates.
static void on_table(struct ev_loop *loop UNUSED, ev_async *async, int events UNUSED) {
    struct control *control = async->data;
    struct control_staples *all = control->staples;
    OWNED(staple_table_unref) struct staple_table *table = mailbox_take(&all->sink.tables);
    struct edge_staples *staples = table == NULL ? NULL : staple_table_publish(table);
    if (table == NULL) {
        return;
    }
    for (size_t i = 0; i < table->num; i++) {
        log_change(&table->edges->asked.items[i], &all->table->entries[i], &table->entries[i]);
    }
    staple_table_unref(all->table);
    all->table = staple_table_ref(table);
    if (staples == NULL) {
        log_msg(LOG_ERROR, "no_memory", "an OCSP response could not be handed to the workers");
        return;
    }
    bool same = is_same(all->staples, staples);
    edge_staples_unref(all->staples);
    all->staples = staples;
    if (!same) {
        control_command_workers(control);
    }
}

// On the keeper's thread.
static void wake(void *arg) {
    struct control *control = arg;
    ev_async_send(control->loop, &control->staples_wake);
}

struct edge_staples *control_staples_now(const struct control *control) {
    return control->staples->staples;
}

const struct staple_table *control_staples_table(const struct control *control) {
    return control->staples->table;
}

// --- the end of one

static bool ends(int64_t until, int64_t after, int64_t now) {
    return until > after && until <= now;
}

static void log_expired(uint16_t port, const char *name, const char *source, const char *why) {
    struct log_line line;
    log_begin(&line, LOG_WARN, "staple_expired");
    log_u64(&line, "port", port);
    log_text(&line, "certificate", name);
    log_text(&line, "source", source);
    log_text(&line, "detail", why);
    log_end(&line);
}

static void look_at_files(const struct edge_set *edges, int64_t last_s, int64_t now_s) {
    for (size_t i = 0; i < edges->num_ports; i++) {
        const struct edge_port *port = &edges->ports[i];
        for (size_t j = 0; j < port->server.num_certificates; j++) {
            const struct edge_certificate *cert = &port->server.certificates[j];
            if (cert->staple.len > 0 && ends(cert->staple_until, last_s, now_s)) {
                log_expired(port->options->port, cert->name, cert->staple_path,
                            "replace the file, then reload");
            }
        }
    }
}

static void look_at_table(const struct staple_table *table, int64_t last_s, int64_t now_s) {
    for (size_t i = 0; i < table->num; i++) {
        const struct edge_asked *asked = &table->edges->asked.items[i];
        const struct staple_entry *entry = &table->entries[i];
        if (staple_table_is_sent(table, i) && ends(entry->until, last_s, now_s)) {
            log_expired(asked->port, asked->cert->name, asked->responder, entry->last_error);
        }
    }
}

void control_staples_tick(struct control *control, int64_t now_s) {
    int64_t last_s = control->staples_looked_s;
    control->staples_looked_s = now_s;
    if (now_s > last_s) {
        look_at_files(control->edges, last_s, now_s);
        look_at_table(control->staples->table, last_s, now_s);
    }
}

// --- life

struct control_staples *control_staples_prepare(const struct control *control,
                                                struct edge_set *edges, struct err *err) {
    OWNED(control_staples_free) struct control_staples *staples = calloc(1, sizeof(*staples));
    const struct staple_table *before = control->staples == NULL ? NULL : control->staples->table;
    if (staples == NULL || (staples->table = staple_table_new(edges, before)) == NULL ||
        (staples->staples = staple_table_publish(staples->table)) == NULL) {
        ERR_NO_MEMORY(err, "preparing OCSP stapling");
        return NULL;
    }
    return take(&staples);
}

static bool set_going(struct control *control, struct err *err) {
    struct control_staples *staples = control->staples;
    staples->sink.wake = wake;
    staples->sink.arg = control;
    if (staples->table->num > 0) {
        staples->keeper = staple_keeper_start(staples->table, &staples->sink, err);
    }
    return staples->table->num == 0 || staples->keeper != NULL;
}

void control_staples_swap(struct control *control, struct control_staples **staples) {
    struct control_staples *before = control->staples;
    struct err err = {0};
    control->staples = *staples;
    *staples = before;
    if (!set_going(control, &err)) {
        log_msg(LOG_ERROR, "staple_query_failed", "no responder is asked: %s", err.msg);
    }
}

bool control_staples_start(struct control *control, struct err *err) {
    ev_async_init(&control->staples_wake, on_table);
    control->staples_wake.data = control;
    ev_async_start(control->loop, &control->staples_wake);
    control->staples_looked_s = clock_wall_s(); // what had expired before was said at the load
    control->staples = control_staples_prepare(control, control->edges, err);
    return control->staples != NULL && set_going(control, err);
}

void control_staples_rest(struct control *control) {
    staple_keeper_free(take(&control->staples->keeper));
}

void control_staples_free(struct control_staples *staples) {
    if (staples == NULL) {
        return;
    }
    staple_keeper_free(staples->keeper);
    staple_table_unref(mailbox_take(&staples->sink.tables));
    staple_table_unref(staples->table);
    edge_staples_unref(staples->staples);
    free(staples);
}
