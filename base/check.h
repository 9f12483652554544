// CHECK is for bugs only: never for input, network, time or memory. It is always on.
#ifndef BASE_CHECK_H
#define BASE_CHECK_H

#define CHECK(condition)                                                                           \
    do {                                                                                           \
        if (__builtin_expect(!(condition), 0)) {                                                   \
            check_failed(__FILE__, __LINE__, #condition);                                          \
        }                                                                                          \
    } while (0)

// Prints the place and the condition on standard error and aborts.
__attribute__((noreturn)) void check_failed(const char *file, int line, const char *condition);

#endif
