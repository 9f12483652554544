#include "base/thread.h"

#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

struct seen {
    pthread_t self;
    sigset_t mask;
};

static void *look(void *arg) {
    struct seen *seen = arg;
    seen->self = pthread_self();
    pthread_sigmask(SIG_SETMASK, NULL, &seen->mask);
    return seen;
}

// Signals that the C library keeps for itself cannot be blocked, and sigfillset leaves them out.
static void assert_same_mask(const sigset_t *a, const sigset_t *b) {
    for (int number = 1; number <= SIGRTMAX; number++) {
        assert_int_equal(sigismember(a, number), sigismember(b, number));
    }
}

static void test_a_thread_runs_and_hears_no_signal(void **state) {
    (void)state;
    pthread_t thread;
    struct seen seen = {0};
    void *result = NULL;
    assert_int_equal(thread_start(&thread, look, &seen), 0);
    assert_int_equal(pthread_join(thread, &result), 0);
    assert_ptr_equal(result, &seen);
    assert_true(pthread_equal(seen.self, thread));
    sigset_t all;
    sigfillset(&all);
    sigdelset(&all, SIGKILL); // nobody can block these two
    sigdelset(&all, SIGSTOP);
    assert_same_mask(&seen.mask, &all);
}

static void test_the_callers_mask_is_as_before(void **state) {
    (void)state;
    sigset_t mine;
    sigset_t original;
    sigset_t after;
    sigemptyset(&mine);
    sigaddset(&mine, SIGUSR2);
    pthread_sigmask(SIG_SETMASK, &mine, &original);
    pthread_t thread;
    struct seen seen = {0};
    assert_int_equal(thread_start(&thread, look, &seen), 0);
    pthread_sigmask(SIG_SETMASK, &original, &after);
    assert_same_mask(&after, &mine);
    pthread_join(thread, NULL);
}

// A stack that no address space has room for.
static void test_without_a_thread_the_mask_is_as_before_too(void **state) {
    (void)state;
    pthread_attr_t usual;
    pthread_attr_t huge;
    assert_int_equal(pthread_getattr_default_np(&usual), 0);
    pthread_attr_init(&huge);
    assert_int_equal(pthread_attr_setstacksize(&huge, (size_t)1 << 62), 0);
    assert_int_equal(pthread_setattr_default_np(&huge), 0);
    sigset_t before;
    sigset_t after;
    pthread_sigmask(SIG_SETMASK, NULL, &before);
    pthread_t thread;
    int errnum = thread_start(&thread, look, NULL);
    pthread_sigmask(SIG_SETMASK, NULL, &after);
    pthread_setattr_default_np(&usual);
    pthread_attr_destroy(&huge);
    pthread_attr_destroy(&usual);
    assert_int_equal(errnum, EAGAIN);
    assert_same_mask(&after, &before);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_thread_runs_and_hears_no_signal),
        cmocka_unit_test(test_the_callers_mask_is_as_before),
        cmocka_unit_test(test_without_a_thread_the_mask_is_as_before_too),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
