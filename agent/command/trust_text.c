#include "agent/command/trust_text.h"

#include <stdio.h>
#include <string.h>

#include "agent/command/text_table.h"
#include "agent/status/escape.h"
#include "agent/status/human.h"
#include "agent/status/render_trust.h"
#include "base/clock.h"

#define CELL_MAX 2048

static void append(char out[CELL_MAX], const char *text) {
    size_t len = strlen(out);
    (void)snprintf(out + len, CELL_MAX - len, "%s%s", len == 0 ? "" : ", ", text);
}

static void warnings(unsigned findings, char out[CELL_MAX]) {
    out[0] = '\0';
    for (unsigned i = 0; i < TRUST_FINDINGS; i++) {
        if ((findings & 1U << i) != 0) {
            append(out, trust_cert_finding_name((enum trust_finding)(1U << i)));
        }
    }
}

static bool add_row(struct text_table *table, const struct trust_entry *entry, int64_t now_ms) {
    char sha1[2 * TRUST_CERT_SHA1_LEN + 1], left[HUMAN_TEXT_MAX], warned[CELL_MAX];
    trust_cert_hex(entry->cert->sha1, TRUST_CERT_SHA1_LEN, sha1);
    warnings(entry->findings, warned);
    if (!entry->is_loaded) {
        append(warned, "not in the store");
    }
    return text_table_add(table, entry->alias) && text_table_add(table, entry->cert->subject) &&
           text_table_add(table, sha1) &&
           text_table_add(table, human_distance(entry->cert->not_after * 1000, now_ms, left)) &&
           text_table_add(table, warned) && text_table_add(table, entry->source);
}

bool trust_text_table(struct buf *out, const struct trust_view *view, bool all, int64_t now_ms) {
    static const char *const titles[] = {"NAME",    "SUBJECT",  "THUMBPRINT (SHA-1)",
                                         "EXPIRES", "WARNINGS", "SOURCE"};
    OWNED(text_table_free)
    struct text_table *table = text_table_new(titles, sizeof(titles) / sizeof(titles[0]));
    const struct trust_set *set = view->set;
    bool ok = table != NULL;
    for (size_t i = 0; ok && i < set->num_entries; i++) {
        const struct trust_entry *entry = set->entries[i];
        ok = (!all && entry->origin == TRUST_PUBLIC) || add_row(table, entry, now_ms);
    }
    return ok && text_table_render(table, out);
}

static bool line(struct buf *out, const char *key, const char *value) {
    return buf_printf(out, "%-12s ", key) && escape_plain(out, value[0] == '\0' ? "-" : value) &&
           buf_append_text(out, "\n");
}

static bool time_line(struct buf *out, const char *key, int64_t wall_s, int64_t now_ms) {
    char when[CLOCK_TEXT_MAX], distance[HUMAN_TEXT_MAX], text[CELL_MAX];
    clock_format(wall_s * 1000, false, when);
    (void)snprintf(text, sizeof(text), "%s (%s)", when,
                   human_distance(wall_s * 1000, now_ms, distance));
    return line(out, key, text);
}

static bool name_lines(struct buf *out, const struct trust_entry *entry) {
    const struct trust_cert *cert = entry->cert;
    char sha1[2 * TRUST_CERT_SHA1_LEN + 1], sha256[2 * TRUST_CERT_SHA256_LEN + 1];
    char names[CELL_MAX] = "";
    trust_cert_hex(cert->sha1, TRUST_CERT_SHA1_LEN, sha1);
    trust_cert_hex(cert->sha256, TRUST_CERT_SHA256_LEN, sha256);
    for (size_t i = 0; i < cert->num_dns_names; i++) {
        append(names, cert->dns_names[i]);
    }
    return line(out, "name", entry->alias) && line(out, "subject", cert->subject) &&
           line(out, "issuer", cert->issuer) && line(out, "thumbprint", sha1) &&
           line(out, "sha256", sha256) && line(out, "dns names", names);
}

bool trust_text_entry(struct buf *out, const struct trust_entry *entry, int64_t now_ms) {
    char files[RENDER_TRUST_OUTPUTS_MAX][300];
    size_t num = render_trust_outputs(entry, files);
    bool ok =
        name_lines(out, entry) && time_line(out, "valid from", entry->cert->not_before, now_ms) &&
        time_line(out, "expires", entry->cert->not_after, now_ms) &&
        line(out, "source", entry->source) && line(out, "origin", trust_origin_name(entry->origin));
    for (size_t i = 0; ok && i < entry->num_also_in; i++) {
        ok = line(out, "also in", entry->also_in[i]);
    }
    for (unsigned i = 0; ok && i < TRUST_FINDINGS; i++) {
        enum trust_finding finding = (enum trust_finding)(1U << i);
        ok = (entry->findings & finding) == 0 ||
             line(out, "warning", trust_cert_finding_sentence(finding));
    }
    for (size_t i = 0; ok && i < num; i++) {
        ok = line(out, i == 0 ? "in" : "", files[i]);
    }
    return ok;
}

bool trust_text_long(struct buf *out, const struct trust_view *view, bool all, int64_t now_ms) {
    const struct trust_set *set = view->set;
    bool ok = true;
    for (size_t i = 0; ok && i < set->num_entries; i++) {
        const struct trust_entry *entry = set->entries[i];
        ok = (!all && entry->origin == TRUST_PUBLIC) ||
             (trust_text_entry(out, entry, now_ms) && buf_append_text(out, "\n"));
    }
    return ok;
}

bool trust_text_summary(struct buf *out, const struct trust_view *view) {
    const struct trust_set *set = view->set;
    size_t num_public = trust_set_count(set, TRUST_PUBLIC);
    return buf_printf(out, "%zu certificates: %zu of the user's, %zu public roots%s",
                      set->num_entries, set->num_entries - num_public, num_public,
                      num_public == 0 ? "\n" : " from ") &&
           (num_public == 0 ||
            (escape_plain(out, view->public_roots) && buf_append_text(out, "\n")));
}

static const char *file_name(const char *path) {
    const char *slash = strrchr(path, '/');
    return slash == NULL ? path : slash + 1;
}

bool trust_text_loaded(struct buf *out, const struct trust_set *set) {
    bool ok = true;
    for (size_t i = 0; ok && i < set->num_entries; i++) {
        const struct trust_entry *entry = set->entries[i];
        char sha1[2 * TRUST_CERT_SHA1_LEN + 1];
        trust_cert_hex(entry->cert->sha1, TRUST_CERT_SHA1_LEN, sha1);
        ok = entry->origin == TRUST_PUBLIC || !entry->is_loaded ||
             (buf_append_text(out, "Load certificate from specific path. alias = ") &&
              escape_plain(out, entry->alias) &&
              buf_printf(out, ", thumbprint = %s, file = ", sha1) &&
              escape_plain(out, file_name(entry->source)) && buf_append_text(out, "\n"));
    }
    return ok;
}
