// The fields of one message head (RFC 9110 section 5), in order, with a bounded size and number.
// What HTTP/2 calls pseudo-headers (":method", ":path", ":authority", ":status") are fields here
// whatever version they came by; HTTP/1 cannot smuggle one in, because ':' ends a name there.
// One owner, no locking.
#ifndef AGENT_HTTP_HTTP_FIELDS_H
#define AGENT_HTTP_HTTP_FIELDS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/own.h"
#include "base/span.h"

#define HTTP_FIELDS_MAX 128
#define HTTP_FIELDS_BYTES_MAX (48 * 1024) // names and values
// What a head may have as it arrives; the rest is room for what we set.
#define HTTP_HEAD_FIELDS_MAX 100
#define HTTP_HEAD_BYTES_MAX (32 * 1024)

struct http_field { // offsets into the text
    uint32_t name;
    uint32_t name_len;
    uint32_t value;
    uint32_t value_len;
};

// Zeroed is valid and empty.
struct http_fields {
    struct buf text;
    size_t num;
    struct http_field item[HTTP_FIELDS_MAX];
};

enum http_fields_status { HTTP_FIELDS_OK, HTTP_FIELDS_TOO_LARGE, HTTP_FIELDS_NO_MEMORY };

void http_fields_fini(struct http_fields *fields);

// Appends a copy. Nothing is checked but the sizes.
enum http_fields_status http_fields_add(struct http_fields *fields, struct span name,
                                        struct span value) MUST_USE;
// Removes every field of that name, appends this one.
enum http_fields_status http_fields_set(struct http_fields *fields, const char *name,
                                        struct span value) MUST_USE;

// Valid until the next add or set.
struct span http_fields_name(const struct http_fields *fields, size_t i);
struct span http_fields_value(const struct http_fields *fields, size_t i);

// By name, without regard to case. The first one's index, or -1; its value, or an empty span with
// a NULL pointer; how many there are.
int http_fields_find(const struct http_fields *fields, const char *name);
struct span http_fields_get(const struct http_fields *fields, const char *name);
size_t http_fields_count(const struct http_fields *fields, const char *name);
// Whether a comma-separated list in any field of that name has that element (without case).
bool http_fields_has_token(const struct http_fields *fields, const char *name, const char *token);

void http_fields_remove(struct http_fields *fields, size_t i);
void http_fields_remove_all(struct http_fields *fields, const char *name);

#endif
