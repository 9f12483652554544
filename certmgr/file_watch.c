#include "certmgr/file_watch.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

#define LINKS_MAX 40 // as the kernel
#define WATCHES_MAX 64
#define EVENTS_LEN 4096
#define EVENTS                                                                                     \
    (IN_CREATE | IN_CLOSE_WRITE | IN_MODIFY | IN_ATTRIB | IN_MOVED_FROM | IN_MOVED_TO |            \
     IN_DELETE | IN_DELETE_SELF | IN_MOVE_SELF | IN_ONLYDIR)
#define SECOND_NS INT64_C(1000000000)

struct watch_list {
    int wds[WATCHES_MAX];
    size_t num;
};

struct file_watch {
    int fd;
    struct watch_list watches;
};

struct file_watch *file_watch_new(void) {
    struct file_watch *watch = calloc(1, sizeof *watch);
    if (watch != NULL) {
        watch->fd = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
    }
    return watch;
}

void file_watch_free(struct file_watch *watch) {
    if (watch == NULL) {
        return;
    }
    if (watch->fd >= 0) {
        close(watch->fd);
    }
    free(watch);
}

static bool list_has(const struct watch_list *list, int wd) {
    for (size_t i = 0; i < list->num; i++) {
        if (list->wds[i] == wd) {
            return true;
        }
    }
    return false;
}

// --- following a path ---

// A path on the way to its end.
struct walk {
    struct file_watch *watch;
    struct watch_list *wanted;
    char dir[PATH_MAX];  // an absolute path without links; "" is the root
    char rest[PATH_MAX]; // what is left to go, relative to `dir`
    unsigned num_links;
};

static void watch_dir(struct walk *walk) {
    const char *dir = walk->dir[0] == '\0' ? "/" : walk->dir;
    int wd = inotify_add_watch(walk->watch->fd, dir, EVENTS);
    if (wd >= 0 && !list_has(walk->wanted, wd) && walk->wanted->num < WATCHES_MAX) {
        walk->wanted->wds[walk->wanted->num++] = wd;
    }
}

// Takes the first component off `rest`; false at the end. `name` is "" for nothing.
static bool take_name(struct walk *walk, char name[NAME_MAX + 1]) {
    size_t len = strcspn(walk->rest, "/");
    size_t skip = strspn(walk->rest + len, "/");
    if (walk->rest[0] == '\0' || len > NAME_MAX) {
        return false;
    }
    memcpy(name, walk->rest, len);
    name[len] = '\0';
    memmove(walk->rest, walk->rest + len + skip, strlen(walk->rest + len + skip) + 1);
    return true;
}

// Puts a link's target in front of what is left to go.
static bool enter_link(struct walk *walk, const char *link) {
    char target[PATH_MAX];
    ssize_t len = readlink(link, target, sizeof target - 1);
    if (len <= 0 || ++walk->num_links > LINKS_MAX) {
        return false;
    }
    target[len] = '\0';
    char rest[PATH_MAX];
    int needed = snprintf(rest, sizeof rest, "%s/%s", target + strspn(target, "/"), walk->rest);
    if (needed < 0 || (size_t)needed >= sizeof rest) {
        return false;
    }
    memcpy(walk->rest, rest, (size_t)needed + 1);
    if (target[0] == '/') {
        walk->dir[0] = '\0';
    }
    return true;
}

static void leave_dir(struct walk *walk) {
    char *slash = strrchr(walk->dir, '/');
    if (slash != NULL) {
        *slash = '\0';
    }
}

// One component further; false where the walk ends. What decides the way is looked at after the
// watch is there, so that nothing can change in between.
static bool walk_step(struct walk *walk, const char *name) {
    char full[PATH_MAX];
    int len = snprintf(full, sizeof full, "%s/%s", walk->dir, name);
    struct stat st;
    if (len < 0 || (size_t)len >= sizeof full) {
        return false;
    }
    bool is_dir = lstat(full, &st) == 0 && S_ISDIR(st.st_mode);
    if (!is_dir || walk->rest[0] == '\0') {
        watch_dir(walk);
        if (lstat(full, &st) != 0) {
            return false;
        }
    }
    if (S_ISLNK(st.st_mode)) {
        return enter_link(walk, full);
    }
    memcpy(walk->dir, full, (size_t)len + 1);
    return true;
}

static void follow(struct file_watch *watch, const char *path, struct watch_list *wanted) {
    struct walk walk = {.watch = watch, .wanted = wanted};
    const char *relative = path + strspn(path, "/");
    if (strlen(relative) >= sizeof walk.rest) {
        return;
    }
    memcpy(walk.rest, relative, strlen(relative) + 1);
    char name[NAME_MAX + 1];
    bool more = true;
    while (more && take_name(&walk, name)) {
        if (strcmp(name, "..") == 0) {
            leave_dir(&walk);
        } else if (name[0] != '\0' && strcmp(name, ".") != 0) {
            more = walk_step(&walk, name);
        }
    }
}

void file_watch_follow(struct file_watch *watch, const char *const *paths, size_t num) {
    if (watch->fd < 0) {
        return;
    }
    struct watch_list wanted = {0};
    for (size_t i = 0; i < num; i++) {
        follow(watch, paths[i], &wanted);
    }
    for (size_t i = 0; i < watch->watches.num; i++) {
        if (!list_has(&wanted, watch->watches.wds[i])) {
            // The directory may be gone, and the watch with it.
            (void)inotify_rm_watch(watch->fd, watch->watches.wds[i]);
        }
    }
    watch->watches = wanted;
}

// --- announcements ---

int file_watch_fd(const struct file_watch *watch) {
    return watch->fd;
}

// That a watch was removed is our own doing, or comes with the news of why.
static bool says_something(const char *events, size_t len) {
    bool says = false;
    for (size_t at = 0; at + sizeof(struct inotify_event) <= len;) {
        struct inotify_event event;
        memcpy(&event, events + at, sizeof event);
        says |= (event.mask & ~(uint32_t)IN_IGNORED) != 0;
        at += sizeof event + event.len;
    }
    return says;
}

bool file_watch_drain(struct file_watch *watch) {
    char events[EVENTS_LEN];
    bool says = false;
    while (watch->fd >= 0) {
        ssize_t len = read(watch->fd, events, sizeof events);
        if (len < 0 && errno == EINTR) {
            continue;
        }
        if (len <= 0) {
            break;
        }
        says |= says_something(events, (size_t)len);
    }
    return says;
}

// --- stamps ---

static int64_t in_ns(const struct timespec *time) {
    return time->tv_sec * SECOND_NS + time->tv_nsec;
}

struct file_stamp file_watch_stamp(const char *path) {
    struct stat st;
    if (stat(path, &st) != 0) {
        return (struct file_stamp){.error = errno};
    }
    return (struct file_stamp){.device = st.st_dev,
                               .inode = st.st_ino,
                               .size = st.st_size,
                               .modified_ns = in_ns(&st.st_mtim),
                               .changed_ns = in_ns(&st.st_ctim)};
}

bool file_watch_stamp_equal(const struct file_stamp *a, const struct file_stamp *b) {
    return a->error == b->error && a->device == b->device && a->inode == b->inode &&
           a->size == b->size && a->modified_ns == b->modified_ns && a->changed_ns == b->changed_ns;
}
