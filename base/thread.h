// Starts threads that hear no signal. In these programs signals belong to one loop (control's, the
// authority's): a thread that is interrupted by one would take it away from there.
#ifndef BASE_THREAD_H
#define BASE_THREAD_H

#include <pthread.h>

// Runs run(arg) in a new thread in which every signal is blocked from its first instruction on, and
// so in the threads that it starts itself. The caller's own mask is as before. Returns 0 and sets
// *thread, which the caller joins or detaches; else an errno, and *thread is undefined
// (pthread_create).
int thread_start(pthread_t *thread, void *(*run)(void *), void *arg);

#endif
