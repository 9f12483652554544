// What a process cannot take back is tried in another one.
#ifndef TESTS_SANDBOX_CHILD_H
#define TESTS_SANDBOX_CHILD_H

// Runs `body` in a child and returns what it returned (0..125); 200 + N when signal N ended it.
int child_run(int (*body)(void *arg), void *arg);

#endif
