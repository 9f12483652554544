#include "agent/sandbox/sandbox_places.h"

#include <dirent.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/config/config_paths.h"
#include "agent/sandbox/landlock.h"

#define ENTRIES_MAX 65536 // of one directory that are looked at

struct collector {
    struct sandbox_places *out;
    const char *key;
    unsigned access;
};

// --- the list ---

static struct sandbox_place *find(struct sandbox_places *places, const char *path) {
    for (size_t i = 0; i < places->num; i++) {
        if (strcmp(places->items[i].path, path) == 0) {
            return &places->items[i];
        }
    }
    return NULL;
}

static bool grow(struct sandbox_places *places) {
    if (places->num < places->cap) {
        return true;
    }
    size_t cap = places->cap == 0 ? 16 : 2 * places->cap;
    struct sandbox_place *items = reallocarray(places->items, cap, sizeof(*items));
    if (items == NULL) {
        return false;
    }
    places->items = items;
    places->cap = cap;
    return true;
}

// Wanted a second time: the key is of who wants most.
static bool widen(struct sandbox_place *place, const struct collector *collector) {
    if ((collector->access & ~place->access) == 0 && place->key[0] != '\0') {
        return true;
    }
    char *key = strdup(collector->key);
    if (key == NULL) {
        return false;
    }
    free(place->key);
    place->key = key;
    place->access |= collector->access;
    return true;
}

static bool add(const struct collector *collector, const char *path) {
    struct sandbox_place *known = find(collector->out, path);
    if (known != NULL) {
        return widen(known, collector);
    }
    struct stat st;
    struct sandbox_place place = {
        .path = strdup(path), .key = strdup(collector->key), .access = collector->access};
    if (place.path == NULL || place.key == NULL || !grow(collector->out)) {
        free(place.path);
        free(place.key);
        return false;
    }
    place.is_missing = stat(path, &st) != 0;
    place.device = place.is_missing ? 0 : st.st_dev;
    place.inode = place.is_missing ? 0 : st.st_ino;
    collector->out->items[collector->out->num++] = place;
    return true;
}

void sandbox_places_fini(struct sandbox_places *places) {
    for (size_t i = 0; i < places->num; i++) {
        free(places->items[i].path);
        free(places->items[i].key);
    }
    free(places->items);
    *places = (struct sandbox_places){0};
}

// --- from names to places ---

// Cuts the last part off; "/" stays.
static void to_parent(char *path) {
    char *slash = strrchr(path, '/');
    if (slash != NULL) {
        slash[slash == path ? 1 : 0] = '\0';
    }
}

// "/" or something right below it.
static bool is_shared(const char *canonical) {
    return strrchr(canonical, '/') == canonical;
}

static bool add_directory_of(const struct collector *collector, const char *path) {
    char named[PATH_MAX], directory[PATH_MAX];
    if (snprintf(named, sizeof(named), "%s", path) >= (int)sizeof(named)) {
        return true; // no such path can be opened
    }
    do { // one that is not there yet is made in one that is
        to_parent(named);
    } while (realpath(named, directory) == NULL && strcmp(named, "/") != 0);
    return add(collector, is_shared(directory) ? path : directory);
}

static bool add_file(const struct collector *collector, const char *path) {
    char canonical[PATH_MAX];
    return add_directory_of(collector, path) &&
           (realpath(path, canonical) == NULL || add_directory_of(collector, canonical));
}

static bool is_link_to_file(const char *path) {
    struct stat st;
    return lstat(path, &st) == 0 && S_ISLNK(st.st_mode) && stat(path, &st) == 0 &&
           S_ISREG(st.st_mode);
}

// Certificates are often kept as links, in a directory of such. One that leads elsewhere later is
// nobody's mistake in the configuration: without a key.
static bool add_links_in(const struct collector *collector, const char *directory) {
    struct collector of_links = *collector;
    DIR *stream = opendir(directory);
    const struct dirent *entry;
    char path[PATH_MAX];
    bool ok = true;
    of_links.key = "";
    for (unsigned num = 0; ok && stream != NULL && num < ENTRIES_MAX; num++) {
        if ((entry = readdir(stream)) == NULL) {
            break;
        }
        int len = snprintf(path, sizeof(path), "%s/%s", directory, entry->d_name);
        if (len > 0 && (size_t)len < sizeof(path) && is_link_to_file(path)) {
            ok = add_file(&of_links, path);
        }
    }
    if (stream != NULL) {
        (void)closedir(stream);
    }
    return ok;
}

static bool add_directory(const struct collector *collector, const char *path,
                          const char *canonical) {
    struct stat st;
    bool is_link = lstat(path, &st) == 0 && S_ISLNK(st.st_mode);
    bool is_read = (collector->access & LANDLOCK_WRITE) == 0;
    return add(collector, canonical) &&
           (!is_link || !is_read || add_directory_of(collector, path)) &&
           (!is_read || add_links_in(collector, canonical));
}

static bool add_named(const struct collector *collector, const char *path) {
    char canonical[PATH_MAX];
    struct stat st;
    if (realpath(path, canonical) != NULL && stat(canonical, &st) == 0 && S_ISDIR(st.st_mode)) {
        return add_directory(collector, path, canonical);
    }
    if ((collector->access & LANDLOCK_WRITE) != 0) {
        return add(collector, path); // what is around it is not opened for writing
    }
    return add_file(collector, path);
}

static bool on_path(void *arg, const struct config_path *path) {
    struct collector collector = {.out = arg,
                                  .key = path->key,
                                  .access = path->is_written ? LANDLOCK_READ | LANDLOCK_WRITE
                                                             : LANDLOCK_READ};
    return add_named(&collector, path->path);
}

bool sandbox_places_collect(const struct config *config, const char *config_path,
                            struct sandbox_places *out) {
    const struct collector collector = {
        .out = out, .key = "the configuration", .access = LANDLOCK_READ};
    char here[PATH_MAX], path[2 * PATH_MAX];
    // A relative one counts from the working directory, which does not change.
    bool is_relative = config_path[0] != '/' && realpath(".", here) != NULL;
    (void)snprintf(path, sizeof(path), "%s%s%s", is_relative ? here : "", is_relative ? "/" : "",
                   config_path);
    return add_file(&collector, path) &&
           (config == NULL || config_paths_each(config, on_path, out));
}

// The resolver's files are replaced by renames on many hosts. Who is not root may read all of /etc:
// what others may not read there, the file's mode keeps from it.
static bool add_etc(const struct collector *collector) {
    return geteuid() == 0 || add(collector, "/etc");
}

bool sandbox_places_collect_own(struct sandbox_places *out) {
    static const struct {
        const char *path;
        unsigned access;
    } OWN[] = {
        {"/etc/hosts", LANDLOCK_READ}, // names: files of the system's resolver
        {"/etc/resolv.conf", LANDLOCK_READ},
        {"/etc/nsswitch.conf", LANDLOCK_READ},
        {"/etc/host.conf", LANDLOCK_READ},
        {"/etc/services", LANDLOCK_READ},
        {"/etc/ssl", LANDLOCK_READ}, // public roots
        {"/etc/pki", LANDLOCK_READ},
        {"/usr/share/ca-certificates", LANDLOCK_READ},
        {"/usr/local/share/ca-certificates", LANDLOCK_READ},
        {"/proc/self", LANDLOCK_READ},
        {"/sys/devices/system/cpu", LANDLOCK_READ}, // how many there are
        {"/dev/urandom", LANDLOCK_READ},
        {"/dev/null", LANDLOCK_READ | LANDLOCK_WRITE},
    };
    for (size_t i = 0; i < sizeof(OWN) / sizeof(OWN[0]); i++) {
        const struct collector collector = {.out = out, .key = "", .access = OWN[i].access};
        char canonical[PATH_MAX];
        struct stat st;
        if (realpath(OWN[i].path, canonical) == NULL || stat(canonical, &st) != 0) {
            continue;
        }
        if (S_ISDIR(st.st_mode) ? !add(&collector, canonical)
                                : !add_file(&collector, OWN[i].path)) {
            return false;
        }
    }
    return add_etc(&(struct collector){.out = out, .key = "", .access = LANDLOCK_READ});
}

// --- comparing ---

static bool is_below(const char *path, const char *directory) {
    size_t len = strlen(directory);
    return strncmp(path, directory, len) == 0 &&
           (path[len] == '\0' || path[len] == '/' || strcmp(directory, "/") == 0);
}

static bool covers(const struct sandbox_place *granted, const struct sandbox_place *wanted) {
    struct stat st;
    if (granted->is_missing && wanted->is_missing && strcmp(granted->path, wanted->path) == 0) {
        return (wanted->access & ~granted->access) == 0; // as at the start
    }
    return !granted->is_missing && (wanted->access & ~granted->access) == 0 &&
           is_below(wanted->path, granted->path) && stat(granted->path, &st) == 0 &&
           st.st_dev == granted->device && st.st_ino == granted->inode;
}

const struct sandbox_place *sandbox_places_outside(const struct sandbox_places *granted,
                                                   const struct sandbox_places *wanted) {
    for (size_t i = 0; i < wanted->num; i++) {
        bool is_covered = false;
        for (size_t j = 0; j < granted->num && !is_covered; j++) {
            is_covered = covers(&granted->items[j], &wanted->items[i]);
        }
        if (!is_covered && wanted->items[i].key[0] != '\0') {
            return &wanted->items[i];
        }
    }
    return NULL;
}
