#include "agent/inject/edit.h"

#include <stdlib.h>
#include <string.h>

#include "base/check.h"

void edit_list_fini(struct edit_list *list) {
    for (size_t i = 0; i < list->num; i++) {
        buf_fini(&list->edits[i].put);
    }
    free(list->edits);
    *list = (struct edit_list){0};
}

bool edit_add(struct edit_list *list, size_t offset, size_t remove, struct buf *put,
              struct err *err) {
    if (list->num == list->cap) {
        size_t cap = list->cap == 0 ? 16 : list->cap * 2;
        struct edit *more = reallocarray(list->edits, cap, sizeof *more);
        if (more == NULL) {
            buf_fini(put);
            return ERR_NO_MEMORY(err, "editing a manifest");
        }
        list->edits = more;
        list->cap = cap;
    }
    list->edits[list->num] =
        (struct edit){.offset = offset, .remove = remove, .order = list->num, .put = *put};
    list->num++;
    *put = (struct buf){0};
    return true;
}

static int compare(const void *a, const void *b) {
    const struct edit *left = a;
    const struct edit *right = b;
    if (left->offset != right->offset) {
        return left->offset < right->offset ? -1 : 1;
    }
    return left->order < right->order ? -1 : left->order > right->order;
}

bool edit_apply(struct edit_list *list, struct span text, struct buf *out, struct err *err) {
    if (list->num > 0) {
        qsort(list->edits, list->num, sizeof *list->edits, compare);
    }
    size_t done = 0;
    bool ok = true;
    for (size_t i = 0; ok && i < list->num; i++) {
        const struct edit *edit = &list->edits[i];
        CHECK(edit->offset >= done && edit->offset + edit->remove <= text.len);
        struct span put = buf_span(&edit->put);
        ok = buf_append(out, text.ptr + done, edit->offset - done) &&
             buf_append(out, put.ptr, put.len);
        done = edit->offset + edit->remove;
    }
    // An empty text has no place to count from.
    ok = ok && (done == text.len || buf_append(out, text.ptr + done, text.len - done));
    return ok || ERR_NO_MEMORY(err, "editing a manifest");
}

// Behind a byte order mark, which belongs to no line.
static size_t first_place(struct span text) {
    return text.len >= 3 && memcmp(text.ptr, "\xef\xbb\xbf", 3) == 0 ? 3 : 0;
}

size_t edit_line_start(struct span text, size_t offset) {
    size_t first = first_place(text);
    while (offset > first && text.ptr[offset - 1] != '\n') {
        offset--;
    }
    return offset;
}

size_t edit_line_end(struct span text, size_t offset) {
    const uint8_t *end =
        offset < text.len ? memchr(text.ptr + offset, '\n', text.len - offset) : NULL;
    return end == NULL ? text.len : (size_t)(end - text.ptr) + 1;
}

bool edit_is_alone(struct span text, size_t offset) {
    size_t first = first_place(text);
    while (offset > first && text.ptr[offset - 1] == ' ') {
        offset--;
    }
    return offset == first || text.ptr[offset - 1] == '\n';
}

const char *edit_newline(struct span text) {
    const uint8_t *end = text.len == 0 ? NULL : memchr(text.ptr, '\n', text.len);
    return end != NULL && end > text.ptr && end[-1] == '\r' ? "\r\n" : "\n";
}

static bool starts_with(struct span text, size_t offset, const char *bytes) {
    size_t len = strlen(bytes);
    return text.len - offset >= len && memcmp(text.ptr + offset, bytes, len) == 0;
}

bool edit_has_plain_lines(struct span text, size_t *offset) {
    for (size_t i = 0; i < text.len; i++) {
        bool is_odd = (text.ptr[i] == '\r' && !starts_with(text, i, "\r\n")) ||
                      starts_with(text, i, "\xc2\x85") || starts_with(text, i, "\xe2\x80\xa8") ||
                      starts_with(text, i, "\xe2\x80\xa9");
        if (is_odd) {
            *offset = i;
            return false;
        }
    }
    return true;
}
