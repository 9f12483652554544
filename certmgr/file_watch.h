// Says when one of a few files may have changed, by inotify on directories: those that the files
// are in and those that hold a symbolic link on the way to them. So a rewrite in place, a rename
// over the file and a swapped link (Kubernetes' `..data`, `current -> release-7`) are all seen.
// It says "perhaps" often and "no" never for certain: a file system may not tell, a directory may
// be moved away. Whoever needs to know for sure looks again from time to time as well.
// One owner; not thread-safe.
#ifndef CERTMGR_FILE_WATCH_H
#define CERTMGR_FILE_WATCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/own.h"

struct file_watch;

// NULL when memory is short. Where the system gives no inotify (there is a limit for each user), it
// never says anything.
struct file_watch *file_watch_new(void) MUST_USE;
void file_watch_free(struct file_watch *watch);
OWN_DEFINE(struct file_watch, file_watch_free)

// Follows these absolute paths from now on, whether they exist or not. To be called again before
// each reading of the files, since links may lead elsewhere by then: a change after the call is
// announced. What cannot be watched is left to the caller's timer.
void file_watch_follow(struct file_watch *watch, const char *const *paths, size_t num);

// Readable when something may have changed; -1 without inotify. Borrowed.
int file_watch_fd(const struct file_watch *watch);
// Takes the announcements. True when there was any.
bool file_watch_drain(struct file_watch *watch);

// What a file is at the moment, links followed: any change gives another value, as far as stat
// knows. A file that is not there has one as well.
struct file_stamp {
    int error; // errno of stat, or 0
    uint64_t device, inode;
    int64_t size, modified_ns, changed_ns;
};
struct file_stamp file_watch_stamp(const char *path);
bool file_watch_stamp_equal(const struct file_stamp *a, const struct file_stamp *b);

#endif
