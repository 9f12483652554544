// Ownership by scope: OWNED(fn) calls `fn` on the variable's value when the scope ends.
// Every destructor of the project takes a pointer and accepts NULL, so early return is always safe.
#ifndef BASE_OWN_H
#define BASE_OWN_H

#include <stddef.h>

// Declares the cleanup helper for a destructor `void fn(T *)`. Put it after fn's prototype.
#define OWN_DEFINE(T, fn)                                                                          \
    static inline void fn##_own(T **slot) {                                                        \
        fn(*slot);                                                                                 \
    }

// A local variable of pointer type that `fn` destroys at the end of the scope.
#define OWNED(fn) __attribute__((cleanup(fn##_own)))

// Moves a pointer out of an owned variable: the variable becomes NULL, the value is the result.
#define take(slot)                                                                                 \
    (__extension__({                                                                               \
        __typeof__(*(slot)) taken_ = *(slot);                                                      \
        *(slot) = NULL;                                                                            \
        taken_;                                                                                    \
    }))

#define MUST_USE __attribute__((warn_unused_result))
#define UNUSED __attribute__((unused))
#define PRINTF_LIKE(text, first) __attribute__((format(printf, text, first)))

#endif
