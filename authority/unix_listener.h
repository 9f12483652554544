// A listening Unix socket that every local user may connect to, and who each caller is. A stale
// socket file is replaced; one that somebody listens on is not.
#ifndef AUTHORITY_UNIX_LISTENER_H
#define AUTHORITY_UNIX_LISTENER_H

#include <stdbool.h>
#include <sys/types.h>

#include "base/err.h"

struct unix_listener;

// Binds and listens at an absolute path; the file's mode is 0666, since callers are told apart by
// their uid. Not thread-safe (umask). NULL with the sentence on error.
struct unix_listener *unix_listener_new(const char *path, struct err *err) MUST_USE;
// Stops listening and removes the file, if it is still ours.
void unix_listener_free(struct unix_listener *listener);
OWN_DEFINE(struct unix_listener, unix_listener_free)

int unix_listener_fd(const struct unix_listener *listener); // borrowed

enum unix_accept {
    UNIX_ACCEPTED, // *fd is the caller's, non-blocking; *uid is the effective uid that connected
    UNIX_NONE,     // nobody is waiting, or who was has gone
    UNIX_STARVED,  // no descriptors or memory: try again later, not at once
};
enum unix_accept unix_listener_accept(const struct unix_listener *listener, int *fd,
                                      uid_t *uid) MUST_USE;

#endif
