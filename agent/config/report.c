#include "agent/config/report.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void report_init(struct report *report) {
    *report = (struct report){0};
}

void report_fini(struct report *report) {
    for (size_t i = 0; i < report->num; i++) {
        free(report->entries[i].sentence);
    }
    free(report->entries);
    report_init(report);
}

static bool has_room(struct report *report) {
    if (report->entries == NULL) {
        report->entries = calloc(REPORT_MAX, sizeof *report->entries);
        report->out_of_memory |= report->entries == NULL;
    }
    return report->entries != NULL && report->num < REPORT_MAX;
}

void report_add(struct report *report, enum report_kind kind, struct report_place place,
                const char *format, ...) {
    report->num_errors += kind == REPORT_ERROR;
    if (!has_room(report)) {
        report->num_left_out++;
        return;
    }
    va_list args;
    va_start(args, format);
    char *sentence = NULL;
    if (vasprintf(&sentence, format, args) < 0) {
        sentence = NULL; // its value is undefined then
        report->out_of_memory = true;
    }
    va_end(args);
    if (sentence != NULL) {
        report->entries[report->num++] =
            (struct report_entry){.kind = kind, .place = place, .sentence = sentence};
    }
}

bool report_has_errors(const struct report *report) {
    return report->num_errors > 0 || report->out_of_memory;
}

// By place. Sentences of one place stay as they came: insertion sort is stable.
static void sort(struct report *report) {
    for (size_t i = 1; i < report->num; i++) {
        struct report_entry entry = report->entries[i];
        size_t at = i;
        while (at > 0) {
            const struct report_place *before = &report->entries[at - 1].place;
            if (before->line < entry.place.line ||
                (before->line == entry.place.line && before->column <= entry.place.column)) {
                break;
            }
            report->entries[at] = report->entries[at - 1];
            at--;
        }
        report->entries[at] = entry;
    }
}

static bool render_entry(const struct report_entry *entry, const char *name, struct buf *out) {
    const char *kind = entry->kind == REPORT_WARNING ? "warning: " : "";
    if (entry->place.line == 0) {
        return buf_printf(out, "%s: %s%s\n", name, kind, entry->sentence);
    }
    return buf_printf(out, "%s:%u:%u: %s%s\n", name, entry->place.line, entry->place.column, kind,
                      entry->sentence);
}

bool report_render(struct report *report, const char *name, struct buf *errors,
                   struct buf *warnings) {
    sort(report);
    bool ok = true;
    for (size_t i = 0; ok && i < report->num; i++) {
        const struct report_entry *entry = &report->entries[i];
        struct buf *out = entry->kind == REPORT_WARNING ? warnings : errors;
        ok = out == NULL || render_entry(entry, name, out);
    }
    if (ok && errors != NULL && report->num_left_out > 0) {
        ok = buf_printf(errors, "%s: %zu more are not shown\n", name, report->num_left_out);
    }
    if (ok && errors != NULL && report->out_of_memory) {
        ok = buf_printf(errors, "%s: cannot allocate memory while reading it\n", name);
    }
    return ok;
}

const char *report_excerpt(const char *text, char out[REPORT_EXCERPT_MAX]) {
    static const char dots[] = "...";
    size_t len = strlen(text);
    if (len < REPORT_EXCERPT_MAX) {
        memcpy(out, text, len + 1);
        return out;
    }
    len = REPORT_EXCERPT_MAX - sizeof dots;
    while (len > 0 && ((unsigned char)text[len] & 0xc0) == 0x80) {
        len--;
    }
    memcpy(out, text, len);
    memcpy(out + len, dots, sizeof dots);
    return out;
}
