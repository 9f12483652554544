// The alphabets of HTTP (RFC 9110 section 5.6, RFC 9112, RFC 3986), as strict as they are written.
#ifndef AGENT_HTTP_HTTP_CHARS_H
#define AGENT_HTTP_HTTP_CHARS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/own.h"
#include "base/span.h"

bool http_chars_is_token(struct span text);       // not empty
bool http_chars_is_field_value(struct span text); // no control character but HTAB
bool http_chars_is_target(struct span text);      // visible ASCII, no '#'; not empty
// A host as in Host and SNI: a DNS name or an address, with "[...]" for IPv6.
bool http_chars_is_host(struct span text);

bool http_chars_same_nocase(struct span a, struct span b);
bool http_chars_equal_nocase(struct span text, const char *other);
uint8_t http_chars_lower(uint8_t c);
bool http_chars_is_alnum(uint8_t c);
int http_chars_hex(uint8_t c); // its value, or -1

struct span http_chars_trim(struct span text); // without SP and HTAB at both ends
// Takes the next element off a comma-separated list, trimmed; empty elements are passed over.
// False when there is none.
bool http_chars_next_element(struct span *rest, struct span *element);
// Decimal digits only, and it fits.
bool http_chars_decimal(struct span text, uint64_t *out) MUST_USE;

#endif
