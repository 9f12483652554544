#include "agent/http/http_fields.h"

#include <string.h>

#include "agent/http/http_chars.h"

void http_fields_fini(struct http_fields *fields) {
    buf_fini(&fields->text);
    fields->num = 0;
}

enum http_fields_status http_fields_add(struct http_fields *fields, struct span name,
                                        struct span value) {
    struct buf *text = &fields->text;
    if (fields->num == HTTP_FIELDS_MAX || name.len > HTTP_FIELDS_BYTES_MAX ||
        value.len > HTTP_FIELDS_BYTES_MAX ||
        text->len + name.len + value.len > HTTP_FIELDS_BYTES_MAX) {
        return HTTP_FIELDS_TOO_LARGE;
    }
    uint8_t *to = buf_reserve(text, name.len + value.len);
    if (to == NULL) {
        return HTTP_FIELDS_NO_MEMORY;
    }
    memcpy(to, name.ptr, name.len);
    if (value.len > 0) {
        memcpy(to + name.len, value.ptr, value.len);
    }
    fields->item[fields->num++] = (struct http_field){
        .name = (uint32_t)text->len,
        .name_len = (uint32_t)name.len,
        .value = (uint32_t)(text->len + name.len),
        .value_len = (uint32_t)value.len,
    };
    buf_commit(text, name.len + value.len);
    return HTTP_FIELDS_OK;
}

enum http_fields_status http_fields_set(struct http_fields *fields, const char *name,
                                        struct span value) {
    http_fields_remove_all(fields, name);
    return http_fields_add(fields, span_of_text(name), value);
}

struct span http_fields_name(const struct http_fields *fields, size_t i) {
    const struct http_field *field = &fields->item[i];
    return span_of(buf_span(&fields->text).ptr + field->name, field->name_len);
}

struct span http_fields_value(const struct http_fields *fields, size_t i) {
    const struct http_field *field = &fields->item[i];
    return span_of(buf_span(&fields->text).ptr + field->value, field->value_len);
}

int http_fields_find(const struct http_fields *fields, const char *name) {
    for (size_t i = 0; i < fields->num; i++) {
        if (http_chars_equal_nocase(http_fields_name(fields, i), name)) {
            return (int)i;
        }
    }
    return -1;
}

struct span http_fields_get(const struct http_fields *fields, const char *name) {
    int i = http_fields_find(fields, name);
    return i < 0 ? span_of(NULL, 0) : http_fields_value(fields, (size_t)i);
}

size_t http_fields_count(const struct http_fields *fields, const char *name) {
    size_t num = 0;
    for (size_t i = 0; i < fields->num; i++) {
        num += http_chars_equal_nocase(http_fields_name(fields, i), name);
    }
    return num;
}

bool http_fields_has_token(const struct http_fields *fields, const char *name, const char *token) {
    for (size_t i = 0; i < fields->num; i++) {
        if (!http_chars_equal_nocase(http_fields_name(fields, i), name)) {
            continue;
        }
        struct span rest = http_fields_value(fields, i);
        struct span element;
        while (http_chars_next_element(&rest, &element)) {
            if (http_chars_equal_nocase(element, token)) {
                return true;
            }
        }
    }
    return false;
}

void http_fields_remove(struct http_fields *fields, size_t i) {
    fields->num--;
    memmove(&fields->item[i], &fields->item[i + 1],
            (fields->num - i) * sizeof(fields->item[0])); // the text stays until the end
}

void http_fields_remove_all(struct http_fields *fields, const char *name) {
    for (size_t i = fields->num; i > 0; i--) {
        if (http_chars_equal_nocase(http_fields_name(fields, i - 1), name)) {
            http_fields_remove(fields, i - 1);
        }
    }
}
