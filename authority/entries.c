#include "authority/entries.h"

#include <stdlib.h>

#include "authority/subject_id.h"
#include "authority/yaml_records.h"
#include "base/buf.h"
#include "base/file.h"
#include "base/own.h"

#define UID_RESERVED UINT32_MAX // (uid_t)-1 names nobody

struct entry {
    uint32_t uid;
    char *spiffe_id;
};

struct entries {
    struct entry *entry;
    size_t num;
    size_t cap;
};

struct reading {
    struct entries *entries;
    const char *trust_domain;
    struct entry draft; // what has been read of the present entry
};

void entries_free(struct entries *entries) {
    if (entries == NULL) {
        return;
    }
    for (size_t i = 0; i < entries->num; i++) {
        free(entries->entry[i].spiffe_id);
    }
    free(entries->entry);
    free(entries);
}

const char *entries_find(const struct entries *entries, uint32_t uid) {
    for (size_t i = 0; i < entries->num; i++) {
        if (entries->entry[i].uid == uid) {
            return entries->entry[i].spiffe_id;
        }
    }
    return NULL;
}

size_t entries_num(const struct entries *entries) {
    return entries->num;
}

static bool parse_uid(struct span text, uint32_t *out) {
    uint64_t value = 0;
    if (text.len == 0 || text.len > 10) {
        return false;
    }
    for (size_t i = 0; i < text.len; i++) {
        if (text.ptr[i] < '0' || text.ptr[i] > '9') {
            return false;
        }
        value = value * 10 + (uint64_t)(text.ptr[i] - '0');
    }
    if (value >= UID_RESERVED) {
        return false;
    }
    *out = (uint32_t)value;
    return true;
}

#define UID_SENTENCE "uid must be a number from 0 to 4294967294"

static bool read_uid(void *arg, struct yaml_records_scalar value, struct err *err) {
    struct reading *reading = arg;
    return (value.is_plain && parse_uid(value.text, &reading->draft.uid)) ||
           ERR_SET(err, ERR_INPUT, UID_SENTENCE);
}

static bool read_spiffe_id(void *arg, struct yaml_records_scalar value, struct err *err) {
    struct reading *reading = arg;
    reading->draft.spiffe_id = subject_id_parse(value.text, reading->trust_domain, err);
    return reading->draft.spiffe_id != NULL;
}

static bool append(void *arg, struct err *err) {
    struct reading *reading = arg;
    struct entries *entries = reading->entries;
    if (entries->num == entries->cap) {
        size_t cap = entries->cap == 0 ? 16 : entries->cap * 2;
        struct entry *grown = reallocarray(entries->entry, cap, sizeof(*grown));
        if (grown == NULL) {
            return ERR_NO_MEMORY(err, "reading the entries");
        }
        entries->entry = grown;
        entries->cap = cap;
    }
    entries->entry[entries->num++] = reading->draft;
    reading->draft = (struct entry){0};
    return true;
}

static const struct yaml_records_field fields[] = {
    {"uid", read_uid, UID_SENTENCE},
    {"spiffeId", read_spiffe_id, "spiffeId must be a text like \"spiffe://example.org/web\""},
};

static const struct yaml_records_form form = {
    .fields = fields,
    .num_fields = sizeof(fields) / sizeof(fields[0]),
    .example = "an entry is written {uid: 1001, spiffeId: \"spiffe://...\"}",
    .keys = "unknown key: an entry has uid and spiffeId",
    .max = ENTRIES_MAX,
    .end = append,
};

struct entries *entries_parse(const char *name, struct span text, const char *trust_domain,
                              struct err *err) {
    OWNED(entries_free) struct entries *entries = calloc(1, sizeof(*entries));
    if (entries == NULL) {
        ERR_NO_MEMORY(err, "reading the entries");
        return NULL;
    }
    struct reading reading = {.entries = entries, .trust_domain = trust_domain};
    bool ok = yaml_records_parse(name, text, &form, &reading, err);
    free(reading.draft.spiffe_id);
    return ok ? take(&entries) : NULL;
}

struct entries *entries_load(const char *path, const char *trust_domain, struct err *err) {
    struct buf text __attribute__((cleanup(buf_fini))) = {0};
    if (!file_read(path, ENTRIES_FILE_MAX, &text, err)) {
        return NULL;
    }
    return entries_parse(path, buf_span(&text), trust_domain, err);
}
