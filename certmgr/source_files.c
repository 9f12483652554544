// One thread looks at the files, sleeps until something may have changed, and looks again. What it
// sees is a stamp of each file; contents are read when the stamps have been the same for a moment.
#include "certmgr/source_files.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/span.h"
#include "base/thread.h"
#include "certmgr/file_watch.h"
#include "certmgr/pem.h"
#include "certmgr/svid.h"

#define KEY_FILE_MAX ((size_t)64 * 1024)
#define COALESCE_MS 20   // a busy directory wakes us no more often than that
#define SETTLE_ROUNDS 25 // files that never come to rest are read after this many settle times

enum { CERTIFICATE, KEY, BUNDLE, NUM_FILES };

struct stamps {
    struct file_stamp of[NUM_FILES];
};

struct files {
    struct source base;
    struct source_sink *sink;
    struct source_files_timing timing;
    char *paths[NUM_FILES];
    size_t num_paths; // the bundle, which is last, may be missing
    pthread_t thread;
    int wake_fd;
    atomic_bool stop;
    atomic_bool refresh;

    // Of the thread alone.
    struct file_watch *watch;
    uint64_t num_attempts;
    bool has_delivered;
    bool is_good;            // the last reading was
    struct stamps read;      // as the files were when they were last read
    struct stamps seen;      // as they are
    int64_t seen_at_ms;      // since when; monotonic
    int64_t unrest_since_ms; // since when they differ from what was read; 0: they do not
};

// --- delivering ---

static void report_put(struct files *f, const char *last_error) {
    struct source_report *report = calloc(1, sizeof(*report));
    if (report != NULL) { // otherwise the next one will do
        report->state = f->is_good || f->has_delivered ? SOURCE_CONNECTED : SOURCE_CONNECTING;
        report->num_attempts = f->num_attempts;
        snprintf(report->last_error, sizeof(report->last_error), "%s", last_error);
        free(mailbox_put(&f->sink->reports, report));
    }
    f->sink->wake(f->sink->arg); // an update may be waiting as well
}

struct contents {
    struct buf chain;
    struct buf key;
    struct buf bundle;
};

static void contents_fini(struct contents *contents) {
    buf_fini(&contents->chain);
    buf_clear_secret(&contents->key);
    buf_fini(&contents->bundle);
}

static bool read_certificates(const char *path, struct buf *out, struct err *err) {
    struct buf text = {0};
    bool ok = file_read(path, PEM_INPUT_MAX, &text, err) &&
              pem_parse_certificates(buf_span(&text), path, out, err);
    buf_clear_secret(&text); // the key may be in the same file
    return ok;
}

static bool read_key(const char *path, struct buf *out, struct err *err) {
    struct buf text = {0};
    bool ok =
        file_read(path, KEY_FILE_MAX, &text, err) && pem_parse_key(buf_span(&text), path, out, err);
    buf_clear_secret(&text);
    return ok;
}

static struct update *make_update(const struct contents *contents, struct svid *svid,
                                  struct err *err) {
    OWNED(update_free) struct update *update = update_new(1, 0, 0);
    bool ok = update != NULL &&
              update_bytes_set(&update->svids[0].spiffe_id, spiffe_id_text(svid_id(svid))) &&
              update_bytes_set(&update->svids[0].chain, buf_span(&contents->chain)) &&
              update_bytes_set(&update->svids[0].key, buf_span(&contents->key)) &&
              update_bytes_set(&update->svids[0].bundle, buf_span(&contents->bundle));
    if (!ok) {
        ERR_NO_MEMORY(err, "reading the identity's files");
        return NULL;
    }
    update->takes_kept = true;
    return take(&update);
}

// The pair is parsed as the store will parse it, only to tell files that do not fit together (yet).
static struct update *load(const struct files *f, struct contents *contents, struct err *err) {
    if (!read_certificates(f->paths[CERTIFICATE], &contents->chain, err) ||
        !read_key(f->paths[KEY], &contents->key, err) ||
        (f->paths[BUNDLE] != NULL &&
         !read_certificates(f->paths[BUNDLE], &contents->bundle, err))) {
        return NULL;
    }
    struct span none = span_of(NULL, 0);
    OWNED(svid_unref)
    struct svid *svid =
        svid_parse(buf_span(&contents->chain), buf_span(&contents->key), none, none, err);
    if (svid == NULL) {
        err_wrap(err, "%s with %s", f->paths[CERTIFICATE], f->paths[KEY]);
        return NULL;
    }
    return make_update(contents, svid, err);
}

static struct stamps stamp_all(const struct files *f) {
    struct stamps stamps = {0};
    for (size_t i = 0; i < f->num_paths; i++) {
        stamps.of[i] = file_watch_stamp(f->paths[i]);
    }
    return stamps;
}

static bool stamps_equal(const struct stamps *a, const struct stamps *b) {
    for (size_t i = 0; i < NUM_FILES; i++) {
        if (!file_watch_stamp_equal(&a->of[i], &b->of[i])) {
            return false;
        }
    }
    return true;
}

// `f->seen` is how the files were just before.
static void read_all(struct files *f) {
    struct contents contents = {0};
    struct err err = {0};
    struct update *update = load(f, &contents, &err);
    contents_fini(&contents);
    struct stamps after = stamp_all(f);
    if (update != NULL && !stamps_equal(&f->seen, &after)) {
        update_free(take(&update));
        ERR_SET(&err, ERR_INPUT, "the files changed while they were read");
    }
    f->num_attempts++;
    f->read = f->seen;
    f->unrest_since_ms = 0;
    f->is_good = update != NULL;
    if (update == NULL) {
        err_wrap(&err, "%s",
                 f->has_delivered ? "mend the files; what was read from them last stays in use"
                                  : "put the files in place, there is no certificate yet");
        report_put(f, err.msg);
        return;
    }
    f->has_delivered = true;
    update_free(mailbox_put(&f->sink->updates, update));
    report_put(f, "");
}

// --- looking ---

// Whether the files are to be read now; `f->seen` is brought up to date.
static bool is_time_to_read(struct files *f, bool wished) {
    struct stamps now = stamp_all(f);
    int64_t now_ms = clock_mono_ms();
    if (!stamps_equal(&now, &f->seen)) {
        f->seen = now;
        f->seen_at_ms = now_ms;
    }
    bool differ = !stamps_equal(&f->seen, &f->read);
    if (differ && f->unrest_since_ms == 0) {
        f->unrest_since_ms = now_ms;
    }
    if (wished || f->num_attempts == 0) {
        return true;
    }
    // A writer that needs no longer than a clock tick may leave equal stamps: so while something is
    // wrong the files are read at each look.
    bool at_rest = now_ms - f->seen_at_ms >= f->timing.settle_ms ||
                   (differ && now_ms - f->unrest_since_ms >= SETTLE_ROUNDS * f->timing.settle_ms);
    return at_rest && (differ || !f->is_good);
}

static void look(struct files *f, bool wished) {
    file_watch_follow(f->watch, (const char *const *)f->paths, f->num_paths);
    if (is_time_to_read(f, wished)) {
        read_all(f);
    }
}

static int64_t pause_ms(const struct files *f) {
    if (f->unrest_since_ms != 0) {
        return f->timing.settle_ms;
    }
    return f->is_good ? f->timing.rescan_ms : f->timing.retry_ms;
}

// --- the thread ---

static void sleep_until_next(struct files *f) {
    struct pollfd fds[2] = {{.fd = f->wake_fd, .events = POLLIN},
                            {.fd = file_watch_fd(f->watch), .events = POLLIN}};
    if (poll(fds, 2, (int)pause_ms(f)) < 0) {
        return; // EINTR: look once more
    }
    if (fds[1].revents != 0) {
        (void)poll(fds, 1, COALESCE_MS);
    }
    if (fds[0].revents != 0) {
        eventfd_t value;
        (void)eventfd_read(f->wake_fd, &value); // only the waking matters
    }
    (void)file_watch_drain(f->watch); // whatever it is, we look
}

static void *thread_main(void *arg) {
    struct files *f = arg;
    while (!atomic_load(&f->stop)) {
        look(f, atomic_exchange(&f->refresh, false));
        sleep_until_next(f);
    }
    return NULL;
}

// --- the interface ---

static void files_refresh(struct source *source) {
    struct files *f = (struct files *)source;
    atomic_store(&f->refresh, true);
    (void)eventfd_write(f->wake_fd, 1);
}

static void files_destroy(struct files *f) {
    if (f == NULL) {
        return;
    }
    if (f->wake_fd >= 0) {
        close(f->wake_fd);
    }
    file_watch_free(f->watch);
    for (size_t i = 0; i < NUM_FILES; i++) {
        free(f->paths[i]);
    }
    free(f);
}
OWN_DEFINE(struct files, files_destroy)

static void files_free(struct source *source) {
    struct files *f = (struct files *)source;
    atomic_store(&f->stop, true);
    (void)eventfd_write(f->wake_fd, 1);
    pthread_join(f->thread, NULL);
    files_destroy(f);
}

static const struct source_ops FILES_OPS = {
    .kind = "files", .refresh = files_refresh, .free = files_free};

static struct files *files_create(const struct source_files_options *options, struct err *err) {
    OWNED(files_destroy) struct files *f = calloc(1, sizeof(*f));
    if (f == NULL) {
        ERR_NO_MEMORY(err, "starting the identity source");
        return NULL;
    }
    f->base.ops = &FILES_OPS;
    f->paths[CERTIFICATE] = strdup(options->certificate);
    f->paths[KEY] = strdup(options->key);
    f->num_paths = options->bundle == NULL ? BUNDLE : NUM_FILES;
    f->paths[BUNDLE] = options->bundle == NULL ? NULL : strdup(options->bundle);
    f->watch = file_watch_new();
    f->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (f->wake_fd < 0) {
        ERR_SET_ERRNO(err, ERR_ENVIRONMENT, errno, "cannot start the identity source");
        return NULL;
    }
    if (f->paths[CERTIFICATE] == NULL || f->paths[KEY] == NULL || f->watch == NULL ||
        (f->paths[BUNDLE] == NULL) != (options->bundle == NULL)) {
        ERR_NO_MEMORY(err, "starting the identity source");
        return NULL;
    }
    return take(&f);
}

struct source *source_files_new_timed(const struct source_files_options *options,
                                      struct source_sink *sink, struct source_files_timing timing,
                                      struct err *err) {
    OWNED(files_destroy) struct files *f = files_create(options, err);
    if (f == NULL) {
        return NULL;
    }
    f->sink = sink;
    f->timing = timing;
    int error = thread_start(&f->thread, thread_main, f);
    if (error != 0) {
        ERR_SET_ERRNO(err, ERR_ENVIRONMENT, error, "cannot start the identity source's thread");
        return NULL;
    }
    return &take(&f)->base;
}

struct source *source_files_new(const struct source_files_options *options,
                                struct source_sink *sink, struct err *err) {
    return source_files_new_timed(options, sink, SOURCE_FILES_TIMING_DEFAULT, err);
}
