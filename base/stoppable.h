// A thread with one long errand, which its owner can end: the thread waits for that instead of
// sleeping, and may hand the descriptor to whatever else it waits for. Embedded in its owner's
// object; the owner's thread starts and stops it.
#ifndef BASE_STOPPABLE_H
#define BASE_STOPPABLE_H

#include <pthread.h>
#include <stdbool.h>

#include "base/err.h"

struct stoppable { // all zero: not started
    bool is_started;
    int stop_fd; // readable for good once it is to stop
    pthread_t thread;
};

// Runs run(arg) in a thread that hears no signal (base/thread.h). False with the sentence; then
// stoppable_stop has nothing to do.
bool stoppable_start(struct stoppable *self, void *(*run)(void *), void *arg,
                     struct err *err) MUST_USE;

// For the thread: waits for at most `wait_ms` (negative: without end) and says whether to stop.
bool stoppable_is_stopped(const struct stoppable *self, int wait_ms);

// Tells the thread to stop and waits until it has.
void stoppable_stop(struct stoppable *self);

#endif
