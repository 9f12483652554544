// UTF-8 to the 16-bit units that Java and Windows think in. Pure.
#ifndef BASE_UTF16_H
#define BASE_UTF16_H

#include <stddef.h>
#include <stdint.h>

// Takes the next character off `*text` (not at its end) and writes it as one or two units; returns
// how many. A byte that does not belong to well-formed UTF-8 (RFC 3629) becomes U+FFFD.
size_t utf16_next(const char **text, uint16_t units[2]);

#endif
