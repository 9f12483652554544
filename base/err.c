#include "base/err.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

// As much of `text` as fits.
static void append(char msg[ERR_MSG_MAX], const char *text) {
    size_t len = strlen(msg);
    size_t more = strnlen(text, ERR_MSG_MAX - 1 - len);
    memcpy(msg + len, text, more);
    msg[len + more] = '\0';
}

bool err_set(struct err *err, enum err_class class, int errnum, const char *file, int line,
             const char *format, ...) {
    if (err == NULL) {
        return false;
    }
    // An argument may be the old sentence, so the new one is made beside it.
    char msg[ERR_MSG_MAX];
    va_list args;
    va_start(args, format);
    vsnprintf(msg, sizeof msg, format, args);
    va_end(args);
    if (errnum != 0) {
        const char *text = strerrordesc_np(errnum); // unlike strerror it shares no buffer
        append(msg, ": ");
        append(msg, text != NULL ? text : "unknown error");
    }
    err->class = class;
    err->errnum = errnum;
    err->file = file;
    err->line = line;
    memcpy(err->msg, msg, sizeof msg);
    return false;
}

bool err_wrap(struct err *err, const char *format, ...) {
    if (err == NULL) {
        return false;
    }
    char msg[ERR_MSG_MAX];
    va_list args;
    va_start(args, format);
    vsnprintf(msg, sizeof msg, format, args);
    va_end(args);
    append(msg, ": ");
    append(msg, err->msg);
    memcpy(err->msg, msg, sizeof msg);
    return false;
}

int err_exit_code(const struct err *err) {
    switch (err->class) {
    case ERR_NONE: // failed without saying why: never success
    case ERR_INPUT:
        return 1;
    case ERR_USAGE:
        return 2;
    case ERR_ENVIRONMENT:
        return 3;
    }
    return 1;
}
