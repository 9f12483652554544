// Copying text into fixed room.
#ifndef BASE_TEXT_H
#define BASE_TEXT_H

#include <stddef.h>
#include <string.h>

// Copies `text` (NULL counts as empty) into `cap` bytes, cut where it does not fit, always ended.
static inline void text_copy(char *out, size_t cap, const char *text) {
    size_t len = text == NULL ? 0 : strnlen(text, cap - 1);
    if (len > 0) {
        memcpy(out, text, len);
    }
    out[len] = '\0';
}

#endif
