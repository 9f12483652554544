#include "certmgr/trust/trust_store.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/file.h"
#include "certmgr/trust/trust_dir.h"

#define CURRENT "..data"
#define CURRENT_NEXT "..data_tmp"
#define LOCK "..lock"
#define GENERATION_FILE "generation"
#define NAME_TRIES 100
#define LOCK_STEP_NS 20000000

// The test build dies here, one point after the other, as kill -9 would make it.
#ifdef TRUST_FAULTS
void trust_fault_point(void);
#define FAULT_POINT() trust_fault_point()
#else
#define FAULT_POINT() (void)0
#endif

static const char *const directories[] = {"certs", "certs/public", "php"};

// A writing under way.
struct writing {
    const char *output;
    int out; // the directory
    int lock;
    char current[TRUST_DIR_NAME_MAX]; // the generation's directory; "" when there is none
    char next[TRUST_DIR_NAME_MAX];
    struct trust_store_state state; // of the current one
};

// --- reading what is there ---

static bool read_current(int out, char name[TRUST_DIR_NAME_MAX]) {
    ssize_t len = readlinkat(out, CURRENT, name, TRUST_DIR_NAME_MAX - 1);
    name[len > 0 ? len : 0] = '\0';
    if (len <= 0 || !trust_dir_is_generation(name)) {
        name[0] = '\0';
        return false;
    }
    return true;
}

static void read_state(const char *output, struct trust_store_state *state) {
    char *path = NULL;
    struct buf text = {0};
    struct err err = {0};
    *state = (struct trust_store_state){0};
    if (asprintf(&path, "%s/" CURRENT "/" GENERATION_FILE, output) < 0) {
        return;
    }
    if (file_read(path, 4096, &text, &err) && buf_append(&text, "", 1)) {
        struct trust_store_state found = {0};
        const char *said = (const char *)buf_span(&text).ptr;
        if (sscanf(said, "generation %" SCNu64 "\nwritten %" SCNd64 "\ndigest %64[0-9a-f]\n",
                   &found.generation, &found.written_ms, found.digest) == 3) {
            *state = found;
        }
    }
    buf_fini(&text);
    free(path);
}

void trust_store_read(const char *output, struct trust_store_state *out) {
    read_state(output, out);
}

static bool is_link_right(int out, const char *name) {
    char wanted[64], found[64];
    int wanted_len = snprintf(wanted, sizeof(wanted), CURRENT "/%s", name);
    ssize_t len = readlinkat(out, name, found, sizeof(found));
    return len == wanted_len && memcmp(found, wanted, (size_t)len) == 0;
}

// Everything as it was written: nobody has removed or changed a file since.
static bool is_intact(const struct writing *writing, const struct trust_files *files) {
    for (size_t i = 0; i < TRUST_FILES_VISIBLE; i++) {
        if (!is_link_right(writing->out, trust_files_visible[i])) {
            return false;
        }
    }
    int dir = trust_dir_open(writing->out, writing->current);
    bool ok = dir >= 0;
    for (size_t i = 0; ok && i < files->num; i++) {
        ok = trust_dir_file_is(dir, files->items[i].path, buf_span(&files->items[i].content));
    }
    if (dir >= 0) {
        close(dir);
    }
    return ok;
}

// --- writing ---

static bool make_next(struct writing *writing, struct err *err) {
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    for (int i = 0; i < NAME_TRIES; i++, now.tv_nsec++) {
        trust_dir_generation_name(&now, writing->next);
        if (mkdirat(writing->out, writing->next, 0755) == 0) {
            return true;
        }
        if (errno != EEXIST) {
            break;
        }
    }
    int errnum = errno;
    writing->next[0] = '\0';
    return ERR_SET_ERRNO(err, ERR_ENVIRONMENT, errnum, "cannot write in %s", writing->output);
}

static bool write_generation(int dir, const struct writing *writing, const char *digest,
                             struct trust_store_state *out) {
    char text[256];
    *out = (struct trust_store_state){.generation = writing->state.generation + 1,
                                      .written_ms = clock_wall_ms()};
    memcpy(out->digest, digest, sizeof(out->digest));
    int len =
        snprintf(text, sizeof(text), "generation %" PRIu64 "\nwritten %" PRId64 "\ndigest %s\n",
                 out->generation, out->written_ms, digest);
    return trust_dir_write(dir, GENERATION_FILE, span_of(text, (size_t)len));
}

static bool fill_next(int dir, const struct trust_files *files) {
    bool ok = fchmod(dir, 0755) == 0;
    for (size_t i = 0; ok && i < sizeof(directories) / sizeof(directories[0]); i++) {
        ok = trust_dir_make(dir, directories[i]);
        FAULT_POINT();
    }
    for (size_t i = 0; ok && i < files->num; i++) {
        ok = trust_dir_write(dir, files->items[i].path, buf_span(&files->items[i].content));
        FAULT_POINT();
    }
    return ok;
}

static bool write_next(struct writing *writing, const struct trust_files *files, const char *digest,
                       struct trust_store_state *out, struct err *err) {
    int dir = trust_dir_open(writing->out, writing->next);
    // One syncfs instead of an fsync for each of what may be thousands of files.
    bool ok = dir >= 0 && fill_next(dir, files) && write_generation(dir, writing, digest, out) &&
              syncfs(dir) == 0;
    int errnum = errno;
    if (dir >= 0) {
        close(dir);
    }
    FAULT_POINT();
    return ok || ERR_SET_ERRNO(err, ERR_ENVIRONMENT, errnum, "cannot write %s/%s", writing->output,
                               writing->next);
}

static bool make_link(const struct writing *writing, const char *name, struct err *err) {
    char target[64];
    if (is_link_right(writing->out, name)) {
        return true;
    }
    (void)snprintf(target, sizeof(target), CURRENT "/%s", name);
    if (symlinkat(target, writing->out, name) == 0) {
        return true;
    }
    if (errno == EEXIST) {
        return ERR_SET(err, ERR_INPUT,
                       "%s/%s is there and is not Pavise's; trustStore.output needs a directory "
                       "of its own",
                       writing->output, name);
    }
    return ERR_SET_ERRNO(err, ERR_ENVIRONMENT, errno, "cannot write %s/%s", writing->output, name);
}

// The one moment at which everything changes.
static bool put_in_place(const struct writing *writing, struct err *err) {
    for (size_t i = 0; i < TRUST_FILES_VISIBLE; i++) {
        if (!make_link(writing, trust_files_visible[i], err)) {
            return false;
        }
        FAULT_POINT();
    }
    (void)unlinkat(writing->out, CURRENT_NEXT, 0);
    bool ok = symlinkat(writing->next, writing->out, CURRENT_NEXT) == 0;
    FAULT_POINT();
    ok = ok && renameat(writing->out, CURRENT_NEXT, writing->out, CURRENT) == 0;
    FAULT_POINT();
    // The rename is durable at once or after a crash's last moment; either is a whole store.
    ok = ok && (fsync(writing->out) == 0 || errno == EINVAL);
    return ok ||
           ERR_SET_ERRNO(err, ERR_ENVIRONMENT, errno, "cannot write %s/" CURRENT, writing->output);
}

// --- the whole ---

static bool lock(const struct writing *writing, struct err *err) {
    int64_t until_ms = clock_mono_ms() + TRUST_STORE_LOCK_WAIT_MS;
    while (flock(writing->lock, LOCK_EX | LOCK_NB) != 0) {
        if (errno != EWOULDBLOCK && errno != EINTR) {
            return ERR_SET_ERRNO(err, ERR_ENVIRONMENT, errno, "cannot lock %s", writing->output);
        }
        if (clock_mono_ms() >= until_ms) {
            return ERR_SET(err, ERR_ENVIRONMENT,
                           "another process is writing to %s; does each agent have a "
                           "trustStore.output of its own?",
                           writing->output);
        }
        const struct timespec step = {.tv_nsec = LOCK_STEP_NS};
        (void)nanosleep(&step, NULL);
    }
    return true;
}

static bool open_output(struct writing *writing, struct err *err) {
    if (!trust_dir_make_all(writing->output)) {
        return ERR_SET_ERRNO(err, ERR_ENVIRONMENT, errno, "cannot make the directory %s",
                             writing->output);
    }
    writing->out = trust_dir_open(AT_FDCWD, writing->output);
    writing->lock = writing->out < 0 ? -1
                                     : openat(writing->out, LOCK,
                                              O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (writing->lock < 0) {
        return ERR_SET_ERRNO(err, ERR_ENVIRONMENT, errno, "cannot write in %s", writing->output);
    }
    return lock(writing, err);
}

static bool replace(struct writing *writing, const struct trust_files *files, const char *digest,
                    struct trust_store_state *out, struct err *err) {
    // What others did not finish, and the store before the current one: by now nobody reads it.
    trust_dir_remove_generations(writing->out, writing->current);
    FAULT_POINT();
    if (!make_next(writing, err)) {
        return false;
    }
    FAULT_POINT();
    if (!write_next(writing, files, digest, out, err) || !put_in_place(writing, err)) {
        trust_dir_remove(writing->out, writing->next);
        return false;
    }
    return true;
}

bool trust_store_write(const char *output, const struct trust_files *files,
                       struct trust_store_state *out, bool *changed, struct err *err) {
    struct writing writing = {.output = output, .out = -1, .lock = -1};
    char digest[TRUST_FILES_DIGEST_LEN + 1];
    trust_files_digest(files, digest);
    bool ok = open_output(&writing, err);
    if (ok) {
        bool has_current = read_current(writing.out, writing.current);
        read_state(output, &writing.state);
        *changed = !has_current || strcmp(digest, writing.state.digest) != 0 ||
                   !is_intact(&writing, files);
        if (*changed) {
            ok = replace(&writing, files, digest, out, err);
        } else {
            *out = writing.state;
        }
    }
    if (writing.lock >= 0) {
        close(writing.lock); // and with it the lock
    }
    if (writing.out >= 0) {
        close(writing.out);
    }
    return ok;
}
