#include "certmgr/trust/trust_dir.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"

#define DEPTH_MAX 4
#define READ_LEN 16384
#define GENERATION_FORM "..dddd_dd_dd_dd_dd_dd.ddddddddd" // d: a digit

int trust_dir_open(int parent, const char *name) {
    int follow = parent == AT_FDCWD ? 0 : O_NOFOLLOW;
    return openat(parent, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | follow);
}

bool trust_dir_make(int parent, const char *name) {
    return mkdirat(parent, name, 0755) == 0 && fchmodat(parent, name, 0755, 0) == 0;
}

bool trust_dir_make_all(const char *path) {
    char part[PATH_MAX];
    size_t len = strlen(path);
    if (len >= sizeof(part)) {
        errno = ENAMETOOLONG;
        return false;
    }
    for (size_t at = 1; at <= len; at++) {
        if (path[at] != '/' && path[at] != '\0') {
            continue;
        }
        memcpy(part, path, at);
        part[at] = '\0';
        if (!trust_dir_make(AT_FDCWD, part) && errno != EEXIST) {
            return false;
        }
    }
    return true;
}

// --- files ---

bool trust_dir_write(int dir, const char *path, struct span content) {
    int fd = openat(dir, path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0644);
    if (fd < 0) {
        return false;
    }
    bool ok = fchmod(fd, 0644) == 0 && file_write_all(fd, content);
    int errnum = errno;
    ok = close(fd) == 0 && ok; // where a network file system says that it is full
    errno = ok ? 0 : errnum;
    return ok;
}

bool trust_dir_replace(int dir, const char *name, struct span content) {
    char beside[NAME_MAX + 1];
    int len = snprintf(beside, sizeof(beside), ".%s.new", name);
    if (len < 0 || (size_t)len >= sizeof(beside)) {
        errno = ENAMETOOLONG;
        return false;
    }
    (void)unlinkat(dir, beside, 0);
    return trust_dir_write(dir, beside, content) && renameat(dir, beside, dir, name) == 0;
}

static bool has_content(int fd, struct span content) {
    uint8_t bytes[READ_LEN];
    struct stat st;
    if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode) || (size_t)st.st_size != content.len) {
        return false;
    }
    while (content.len > 0) {
        ssize_t got = read(fd, bytes, sizeof(bytes));
        if (got < 0 && errno == EINTR) {
            continue;
        }
        if (got <= 0 || (size_t)got > content.len || memcmp(bytes, content.ptr, (size_t)got) != 0) {
            return false;
        }
        content = span_after(content, (size_t)got);
    }
    return true;
}

bool trust_dir_file_is(int dir, const char *path, struct span content) {
    int fd = openat(dir, path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    if (fd < 0) {
        return false;
    }
    bool is = has_content(fd, content);
    close(fd);
    return is;
}

// --- removing ---

static void remove_below(int parent, const char *name, int depth);

static void empty(int fd, int depth) {
    DIR *stream = fdopendir(fd);
    if (stream == NULL) {
        close(fd);
        return;
    }
    const struct dirent *entry;
    while ((entry = readdir(stream)) != NULL) {
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0) {
            remove_below(dirfd(stream), entry->d_name, depth);
        }
    }
    (void)closedir(stream);
}

static void remove_below(int parent, const char *name, int depth) {
    if (unlinkat(parent, name, 0) == 0 || depth == 0) {
        return;
    }
    int fd = trust_dir_open(parent, name);
    if (fd >= 0) {
        empty(fd, depth - 1);
        (void)unlinkat(parent, name, AT_REMOVEDIR);
    }
}

void trust_dir_remove(int parent, const char *name) {
    remove_below(parent, name, DEPTH_MAX);
}

// --- generations ---

void trust_dir_generation_name(const struct timespec *when, char out[TRUST_DIR_NAME_MAX]) {
    struct tm tm;
    gmtime_r(&when->tv_sec, &tm);
    size_t len = strftime(out, TRUST_DIR_NAME_MAX, "..%Y_%m_%d_%H_%M_%S", &tm);
    (void)snprintf(out + len, TRUST_DIR_NAME_MAX - len, ".%09ld", when->tv_nsec);
}

bool trust_dir_is_generation(const char *name) {
    static const char form[] = GENERATION_FORM;
    if (strlen(name) != strlen(form)) {
        return false;
    }
    for (size_t i = 0; form[i] != '\0'; i++) {
        bool fits = form[i] == 'd' ? name[i] >= '0' && name[i] <= '9' : name[i] == form[i];
        if (!fits) {
            return false;
        }
    }
    return true;
}

void trust_dir_remove_generations(int parent, const char *keep) {
    int fd = trust_dir_open(parent, ".");
    DIR *stream = fd < 0 ? NULL : fdopendir(fd);
    if (stream == NULL) {
        if (fd >= 0) {
            close(fd);
        }
        return;
    }
    const struct dirent *entry;
    while ((entry = readdir(stream)) != NULL) {
        const char *name = entry->d_name;
        if (trust_dir_is_generation(name) && strcmp(name, keep) != 0) {
            trust_dir_remove(parent, name);
        }
    }
    (void)closedir(stream);
}
