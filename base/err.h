// What went wrong on the control path: a class (it decides the exit code), an errno, the place in
// the source, and one sentence for the person who reads it, wrapped outward while unwinding.
#ifndef BASE_ERR_H
#define BASE_ERR_H

#include <stdbool.h>

#include "base/own.h"

enum err_class {
    ERR_NONE = 0,
    ERR_INPUT = 1,       // what the user or a peer gave us is wrong
    ERR_USAGE = 2,       // the command line is wrong
    ERR_ENVIRONMENT = 3, // the system refused: permissions, address in use, memory
};

#define ERR_MSG_MAX 768

struct err {
    enum err_class class;
    int errnum;       // errno, or 0
    const char *file; // where it was first set
    int line;
    char msg[ERR_MSG_MAX];
};

// Sets `err` (may be NULL). The message is cut at ERR_MSG_MAX - 1 bytes.
// Each returns false, so that `return ERR_SET(...)` reads well in a bool function.
#define ERR_SET(err, class, ...) err_set((err), (class), 0, __FILE__, __LINE__, __VA_ARGS__)

// The same, with ": strerror(errnum)" appended.
#define ERR_SET_ERRNO(err, class, errnum, ...)                                                     \
    err_set((err), (class), (errnum), __FILE__, __LINE__, __VA_ARGS__)

bool err_set(struct err *err, enum err_class class, int errnum, const char *file, int line,
             const char *format, ...) PRINTF_LIKE(6, 7);

// Puts "context: " in front of the sentence. Returns false.
bool err_wrap(struct err *err, const char *format, ...) PRINTF_LIKE(2, 3);

// "cannot allocate memory while WHAT". Returns false.
#define ERR_NO_MEMORY(err, what)                                                                   \
    ERR_SET((err), ERR_ENVIRONMENT, "cannot allocate memory while %s", (what))

// The process exit code for an error of this class: 1 for bad input, 2 for wrong usage, 3 for what
// the environment refuses.
int err_exit_code(const struct err *err);

#endif
