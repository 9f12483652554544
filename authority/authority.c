#include "authority/authority.h"

#include <ev.h>
#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include "authority/authority_log.h"
#include "authority/authority_options.h"
#include "authority/ca.h"
#include "authority/csr_server.h"
#include "authority/entries.h"
#include "authority/issuer.h"
#include "authority/rpc_server.h"
#include "authority/unix_listener.h"
#include "authority/workload_service.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/log.h"

#define TICK_MAX_MS 1000    // so that a clock jump or a resume is noticed soon
#define ACCEPTS_PER_TURN 32 // then others have their turn
#define ACCEPT_PAUSE_S 0.1  // when descriptors have run out
#define CA_RETRY_MS 60000   // after a failed renewal of the CA

struct authority {
    struct authority_options options;
    struct ca *ca;
    struct issuer *issuer;
    struct workload_service *service;
    struct rpc_server *server;
    struct unix_listener *listener;
    struct csr_server *csr_server; // NULL: no --listen
    struct ev_loop *loop;
    ev_io listener_watcher;
    ev_io server_watcher;
    ev_io csr_watcher;
    ev_timer tick;
    ev_timer accept_pause;
    ev_signal terminate;
    ev_signal interrupt;
    ev_signal hangup;
    int64_t ca_retry_ms; // wall clock; no renewal of the CA before it
    struct authority_log log;
};

// --- what is logged

static void log_time(struct log_line *line, const char *key, int64_t unix_s) {
    char text[CLOCK_TEXT_MAX];
    clock_format(unix_s * 1000, false, text);
    log_text(line, key, text);
}

static void log_started(const struct authority *authority) {
    char address[NETADDR_TEXT_MAX];
    struct log_line line;
    log_begin(&line, LOG_INFO, "authority_started");
    log_text(&line, "socket", authority->options.socket_path);
    log_text(&line, "trust_domain", authority->options.trust_domain);
    log_time(&line, "ca_not_after", ca_not_after(authority->ca, clock_wall_s()));
    log_text(&line, "state", authority->options.state_dir);
    log_text(&line, "entries", authority->options.entries_path);
    log_i64(&line, "ttl_ms", authority->options.ttl_ms);
    log_i64(&line, "rotate_every_ms", authority->options.rotate_ms);
    if (authority->options.listens) {
        log_text(&line, "listen", netaddr_format(&authority->options.listen, address));
        log_text(&line, "tokens", authority->options.tokens_path);
    }
    log_end(&line);
}

static void on_service_event(void *arg, const struct service_event *event) {
    struct authority *authority = arg;
    authority_log_service(&authority->log, event);
}

static void on_csr_event(void *arg, const struct csr_event *event) {
    struct authority *authority = arg;
    authority_log_csr(&authority->log, event);
}

// --- time

// Aims the timer at what is due next.
static void arm_tick(struct authority *authority) {
    int64_t wait_ms = TICK_MAX_MS;
    int64_t due_ms = issuer_next_due_ms(authority->issuer);
    if (due_ms != INT64_MAX) {
        int64_t until_ms = due_ms - clock_wall_ms();
        wait_ms = until_ms < wait_ms ? until_ms : wait_ms;
        wait_ms = wait_ms < 1 ? 1 : wait_ms;
    }
    authority->tick.repeat = (double)wait_ms / 1000.0;
    ev_timer_again(authority->loop, &authority->tick);
}

// Whether the roots are others now.
static bool maintain_ca(struct authority *authority, int64_t now_ms) {
    struct err err = {0};
    bool changed = false;
    if (now_ms < authority->ca_retry_ms && authority->ca_retry_ms - now_ms <= CA_RETRY_MS) {
        return false;
    }
    if (!ca_maintain(authority->ca, now_ms / 1000, &changed, &err)) {
        log_msg(LOG_ERROR, "ca_renewal_failed", "%s", err.msg);
        authority->ca_retry_ms = now_ms + CA_RETRY_MS;
        return false;
    }
    if (changed) {
        struct log_line line;
        log_begin(&line, LOG_INFO, "ca_renewed");
        log_time(&line, "signer_not_after", ca_not_after(authority->ca, now_ms / 1000));
        log_end(&line);
        workload_service_push_bundle(authority->service, now_ms);
    }
    return changed;
}

static void on_tick(struct ev_loop *loop UNUSED, ev_timer *watcher, int events UNUSED) {
    struct authority *authority = watcher->data;
    int64_t now_ms = clock_wall_ms();
    bool changed = maintain_ca(authority, now_ms);
    if (authority->csr_server != NULL) {
        csr_server_tick(authority->csr_server, now_ms / 1000, changed);
    }
    workload_service_renew(authority->service, now_ms);
    arm_tick(authority);
}

// --- connections

static void serve(struct authority *authority, int fd, uid_t uid) {
    struct err err = {0};
    if (!rpc_server_add(authority->server, fd, uid, &err) && authority_log_may(&authority->log)) {
        log_msg(LOG_WARN, "connection_refused", "%s", err.msg);
    }
}

static void on_listener(struct ev_loop *loop, ev_io *watcher, int events UNUSED) {
    struct authority *authority = watcher->data;
    for (int i = 0; i < ACCEPTS_PER_TURN; i++) {
        int fd = -1;
        uid_t uid = 0;
        switch (unix_listener_accept(authority->listener, &fd, &uid)) {
        case UNIX_ACCEPTED:
            serve(authority, fd, uid);
            break;
        case UNIX_NONE:
            return;
        case UNIX_STARVED:
            ev_io_stop(loop, &authority->listener_watcher);
            ev_timer_again(loop, &authority->accept_pause);
            return;
        }
    }
}

static void on_accept_pause(struct ev_loop *loop, ev_timer *watcher, int events UNUSED) {
    struct authority *authority = watcher->data;
    ev_timer_stop(loop, watcher);
    ev_io_start(loop, &authority->listener_watcher);
}

static void on_server(struct ev_loop *loop UNUSED, ev_io *watcher, int events UNUSED) {
    struct authority *authority = watcher->data;
    rpc_server_process(authority->server);
    arm_tick(authority); // a first certificate has a due time of its own
}

static void on_csr_server(struct ev_loop *loop UNUSED, ev_io *watcher, int events UNUSED) {
    struct authority *authority = watcher->data;
    csr_server_process(authority->csr_server);
}

// --- signals

static void on_end(struct ev_loop *loop, ev_signal *watcher UNUSED, int events UNUSED) {
    ev_break(loop, EVBREAK_ALL);
}

static void log_reloaded(const char *name, size_t count) {
    struct log_line line;
    log_begin(&line, LOG_INFO, name);
    log_u64(&line, "count", count);
    log_end(&line);
}

static void reload_tokens(struct authority *authority) {
    struct err err = {0};
    size_t num = 0;
    if (csr_server_reload(authority->csr_server, &num, &err)) {
        log_reloaded("tokens_reloaded", num);
    } else {
        log_msg(LOG_ERROR, "tokens_refused", "%s; the old tokens stay", err.msg);
    }
}

static void reload_entries(struct authority *authority) {
    struct err err = {0};
    struct entries *entries =
        entries_load(authority->options.entries_path, authority->options.trust_domain, &err);
    if (entries == NULL) {
        log_msg(LOG_ERROR, "entries_refused", "%s; the old entries stay", err.msg);
        return;
    }
    log_reloaded("entries_reloaded", entries_num(entries));
    workload_service_set_entries(authority->service, entries);
    arm_tick(authority);
}

static void on_hangup(struct ev_loop *loop UNUSED, ev_signal *watcher, int events UNUSED) {
    struct authority *authority = watcher->data;
    if (authority->csr_server != NULL) {
        reload_tokens(authority);
    }
    if (authority->options.entries_path != NULL) {
        reload_entries(authority);
    } else {
        log_msg(LOG_INFO, "entries_reloaded", "there is no entries file; nothing to do");
    }
}

// --- start and end

// Private keys live in this memory: no core file, no ptrace by other processes of this uid.
static bool harden(struct err *err) {
    struct rlimit files;
    struct rlimit no_core = {0, 0};
    if (prctl(PR_SET_DUMPABLE, 0) != 0 || setrlimit(RLIMIT_CORE, &no_core) != 0) {
        return ERR_SET(err, ERR_ENVIRONMENT, "cannot make the process not dumpable");
    }
    if (getrlimit(RLIMIT_NOFILE, &files) == 0) { // two descriptors for each connection
        files.rlim_cur = files.rlim_max;
        (void)setrlimit(RLIMIT_NOFILE, &files);
    }
    (void)signal(SIGPIPE, SIG_IGN);
    return true;
}

static bool make_service(struct authority *authority, struct err *err) {
    const struct authority_options *options = &authority->options;
    const struct ca_policy ca_policy = {.trust_domain = options->trust_domain,
                                        .state_dir = options->state_dir,
                                        .lifetime_s = CA_LIFETIME_S};
    const struct issuer_policy issuer_policy = {.trust_domain = options->trust_domain,
                                                .ttl_ms = options->ttl_ms,
                                                .rotate_ms = options->rotate_ms};
    const struct service_observer observer = {.event = on_service_event, .arg = authority};
    struct entries *entries = NULL;
    if (options->entries_path != NULL) {
        entries = entries_load(options->entries_path, options->trust_domain, err);
        if (entries == NULL) {
            return false;
        }
    }
    authority->ca = ca_new(ca_policy, clock_wall_s(), err);
    authority->issuer =
        authority->ca != NULL ? issuer_new(authority->ca, issuer_policy, err) : NULL;
    if (authority->issuer == NULL) {
        entries_free(entries);
        return false;
    }
    authority->service =
        workload_service_new(authority->issuer, options->trust_domain, entries, observer, err);
    return authority->service != NULL;
}

static bool start_csr_server(struct authority *authority, struct err *err) {
    const struct csr_server_options options = {.listen = authority->options.listen,
                                               .tokens_path = authority->options.tokens_path,
                                               .trust_domain = authority->options.trust_domain,
                                               .ttl_ms = authority->options.ttl_ms};
    const struct csr_observer observer = {.event = on_csr_event, .arg = authority};
    authority->csr_server = csr_server_new(authority->ca, &options, observer, err);
    return authority->csr_server != NULL;
}

static bool start(struct authority *authority, struct err *err) {
    const struct rpc_limits limits = {.connections = 1024,
                                      .connections_per_uid = 256,
                                      .streams_per_connection = 16,
                                      .idle_ms = 120000,
                                      .request_max = 4096}; // ours are empty
    if (!make_service(authority, err)) {
        return false;
    }
    authority->server = rpc_server_new(limits, workload_service_handler(authority->service), err);
    if (authority->server == NULL) {
        return false;
    }
    if (authority->options.listens && !start_csr_server(authority, err)) {
        return false;
    }
    authority->listener = unix_listener_new(authority->options.socket_path, err);
    return authority->listener != NULL;
}

static bool make_loop(struct authority *authority, struct err *err) {
    authority->loop = ev_loop_new(EVFLAG_AUTO);
    if (authority->loop == NULL) {
        return ERR_SET(err, ERR_ENVIRONMENT, "cannot make an event loop");
    }
    ev_signal_init(&authority->terminate, on_end, SIGTERM);
    ev_signal_init(&authority->interrupt, on_end, SIGINT);
    ev_signal_init(&authority->hangup, on_hangup, SIGHUP);
    authority->hangup.data = authority;
    ev_signal_start(authority->loop, &authority->terminate);
    ev_signal_start(authority->loop, &authority->interrupt);
    ev_signal_start(authority->loop, &authority->hangup);
    return true;
}

static void watch(struct authority *authority) {
    ev_io_init(&authority->listener_watcher, on_listener, unix_listener_fd(authority->listener),
               EV_READ);
    ev_io_init(&authority->server_watcher, on_server, rpc_server_fd(authority->server), EV_READ);
    ev_timer_init(&authority->tick, on_tick, 0.0, 1.0);
    ev_timer_init(&authority->accept_pause, on_accept_pause, 0.0, ACCEPT_PAUSE_S);
    ev_set_priority(&authority->server_watcher, 1); // connections end before others begin
    authority->listener_watcher.data = authority->server_watcher.data = authority;
    authority->tick.data = authority->accept_pause.data = authority;
    ev_io_start(authority->loop, &authority->listener_watcher);
    ev_io_start(authority->loop, &authority->server_watcher);
    if (authority->csr_server != NULL) {
        ev_io_init(&authority->csr_watcher, on_csr_server, csr_server_fd(authority->csr_server),
                   EV_READ);
        authority->csr_watcher.data = authority;
        ev_io_start(authority->loop, &authority->csr_watcher);
    }
    arm_tick(authority);
}

// Every stream ends before the service it belongs to.
static void authority_fini(struct authority *authority) {
    unix_listener_free(authority->listener);
    csr_server_free(authority->csr_server);
    rpc_server_free(authority->server);
    workload_service_free(authority->service);
    issuer_free(authority->issuer);
    ca_free(authority->ca);
    if (authority->loop != NULL) {
        ev_loop_destroy(authority->loop);
    }
}

static int fail(const struct err *err) {
    (void)fprintf(stderr, "pavise authority: %s\n", err->msg);
    return err_exit_code(err);
}

int authority_run(int argc, char **argv) {
    struct authority authority __attribute__((cleanup(authority_fini))) = {0};
    struct err err = {0};
    if (!authority_options_parse(argc, argv, &authority.options, &err)) {
        return fail(&err);
    }
    if (authority.options.help) {
        (void)fputs(authority_options_help(), stdout);
        return 0;
    }
    if (!harden(&err) || !make_loop(&authority, &err) || !start(&authority, &err)) {
        return fail(&err);
    }
    watch(&authority);
    log_started(&authority);
    ev_run(authority.loop, 0);
    log_msg(LOG_INFO, "authority_stopped", "asked to by a signal");
    return 0;
}
