// The text: a first line with the version, then for each trust domain "domain NAME CONFIRMED" and
// its certificates in PEM, at last "crls CONFIRMED" and the CRLs.
#include "certmgr/kept_bundles.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/own.h"
#include "certmgr/bundle.h"
#include "certmgr/pem.h"
#include "certmgr/spiffe_id.h"
#include "certmgr/x509_der.h"

#define FIRST_LINE "pavise bundles 1\n"
#define DOMAIN_WORD "domain "
#define CRLS_WORD "crls "
#define SCHEME "spiffe://"
#define ENTRIES_MAX (BUNDLE_DOMAINS_MAX + 1)

struct entry {
    char name[SPIFFE_TRUST_DOMAIN_MAX + 1]; // "": the CRLs
    struct update_bytes der;                // concatenated
    int64_t confirmed_at;
    bool filled; // it was added to the last update
};

struct kept_bundles {
    struct entry *entries;
    size_t num;
    bool is_of_source; // the last recorded update was a full state: all of this is what it said
};

struct kept_bundles *kept_bundles_new(void) {
    return calloc(1, sizeof(struct kept_bundles));
}

static void drop(struct kept_bundles *kept, size_t index) {
    free(kept->entries[index].der.ptr);
    kept->entries[index] = kept->entries[--kept->num];
}

static void clear(struct kept_bundles *kept) {
    while (kept->num > 0) {
        drop(kept, kept->num - 1);
    }
    free(kept->entries);
    kept->entries = NULL;
}

void kept_bundles_free(struct kept_bundles *kept) {
    if (kept != NULL) {
        clear(kept);
        free(kept);
    }
}

static struct entry *find(const struct kept_bundles *kept, struct span name) {
    for (size_t i = 0; i < kept->num; i++) {
        if (span_equal_text(name, kept->entries[i].name)) {
            return &kept->entries[i];
        }
    }
    return NULL;
}

// Puts one in, or another in its place. `name` is a valid trust domain, or empty.
static bool set(struct kept_bundles *kept, struct span name, struct span der, int64_t now,
                struct err *err) {
    struct entry *entry = find(kept, name);
    if (entry == NULL) {
        struct entry *grown = reallocarray(kept->entries, kept->num + 1, sizeof *grown);
        if (grown == NULL) {
            return ERR_NO_MEMORY(err, "keeping the trust bundles");
        }
        kept->entries = grown;
        entry = &kept->entries[kept->num];
        *entry = (struct entry){0};
        if (name.len > 0) {
            memcpy(entry->name, name.ptr, name.len);
        }
        kept->num++;
    }
    entry->confirmed_at = now;
    entry->filled = false;
    return update_bytes_set(&entry->der, der) || ERR_NO_MEMORY(err, "keeping the trust bundles");
}

// --- text ---

static struct span take_line(struct span *rest) {
    const uint8_t *end = rest->len == 0 ? NULL : memchr(rest->ptr, '\n', rest->len);
    size_t len = end == NULL ? rest->len : (size_t)(end - rest->ptr);
    struct span line = span_of(rest->ptr, len);
    *rest = span_after(*rest, end == NULL ? len : len + 1);
    return line;
}

static bool has_prefix(struct span text, const char *prefix) {
    return text.len >= strlen(prefix) && memcmp(text.ptr, prefix, strlen(prefix)) == 0;
}

static bool parse_seconds(struct span text, int64_t *out) {
    int64_t value = 0;
    for (size_t i = 0; i < text.len; i++) {
        if (text.ptr[i] < '0' || text.ptr[i] > '9' || i > 12) {
            return false;
        }
        value = value * 10 + (text.ptr[i] - '0');
    }
    *out = value;
    return text.len > 0;
}

// "domain NAME CONFIRMED" or "crls CONFIRMED".
static bool parse_heading(struct span line, struct span *name, int64_t *confirmed_at) {
    *name = span_of("", 0);
    if (has_prefix(line, CRLS_WORD)) {
        return parse_seconds(span_after(line, strlen(CRLS_WORD)), confirmed_at);
    }
    if (!has_prefix(line, DOMAIN_WORD)) {
        return false;
    }
    struct span rest = span_after(line, strlen(DOMAIN_WORD));
    const uint8_t *space = rest.len == 0 ? NULL : memchr(rest.ptr, ' ', rest.len);
    if (space == NULL) {
        return false;
    }
    *name = span_of(rest.ptr, (size_t)(space - rest.ptr));
    return spiffe_trust_domain_is_valid(*name) &&
           parse_seconds(span_after(rest, name->len + 1), confirmed_at);
}

// Up to the next heading.
static struct span take_body(struct span *rest) {
    struct span body = span_of(rest->ptr, 0);
    while (rest->len > 0 && !has_prefix(*rest, DOMAIN_WORD) && !has_prefix(*rest, CRLS_WORD)) {
        (void)take_line(rest);
        body.len = (size_t)(rest->ptr - body.ptr);
    }
    return body;
}

static bool add_crls(struct bundle_builder *builder, struct span der, struct err *err) {
    while (der.len > 0) {
        struct span element;
        if (!x509_der_next(&der, &element, err) || !bundle_builder_add_crl(builder, element, err)) {
            return false;
        }
    }
    return true;
}

// Takes one heading with its body off `rest`. The builder is only there to refuse.
static bool parse_entry(struct kept_bundles *kept, struct span *rest,
                        struct bundle_builder *builder, int64_t now, struct err *err) {
    struct span name;
    int64_t confirmed_at = 0;
    if (!parse_heading(take_line(rest), &name, &confirmed_at) || find(kept, name) != NULL ||
        kept->num == ENTRIES_MAX) {
        return ERR_SET(err, ERR_INPUT, "it is damaged");
    }
    struct span body = take_body(rest);
    struct buf der = {0};
    bool ok = name.len > 0 ? pem_parse_certificates(body, "a bundle", &der, err) &&
                                 bundle_builder_add(builder, name, buf_span(&der), err)
                           : pem_parse_crls(body, "its CRLs", &der, err) &&
                                 add_crls(builder, buf_span(&der), err);
    // A time to come is a clock that was wrong then or is wrong now: of no use.
    bool is_fresh = confirmed_at <= now && now - confirmed_at < KEPT_BUNDLES_FOR_S;
    ok = ok && (!is_fresh || set(kept, name, buf_span(&der), confirmed_at, err));
    buf_fini(&der);
    return ok;
}

bool kept_bundles_parse(struct kept_bundles *kept, struct span text, int64_t now, struct err *err) {
    if (!has_prefix(text, FIRST_LINE) || text.len > KEPT_BUNDLES_TEXT_MAX) {
        return ERR_SET(err, ERR_INPUT, "it is not a file of kept bundles of this version");
    }
    struct kept_bundles fresh = {0};
    OWNED(bundle_builder_free) struct bundle_builder *builder = bundle_builder_new();
    bool ok = builder != NULL || ERR_NO_MEMORY(err, "reading the kept bundles");
    struct span rest = span_after(text, strlen(FIRST_LINE));
    while (ok && rest.len > 0) {
        ok = parse_entry(&fresh, &rest, builder, now, err);
    }
    if (!ok) {
        clear(&fresh);
        return false;
    }
    clear(kept);
    *kept = fresh;
    return true;
}

static bool render_entry(const struct entry *entry, struct buf *out) {
    bool is_bundle = entry->name[0] != '\0';
    bool ok = buf_printf(out, "%s%s%s%" PRId64 "\n", is_bundle ? DOMAIN_WORD : CRLS_WORD,
                         entry->name, is_bundle ? " " : "", entry->confirmed_at);
    struct span rest = update_bytes_span(&entry->der);
    while (ok && rest.len > 0) {
        struct span element;
        ok = x509_der_next(&rest, &element, NULL) &&
             pem_render(is_bundle ? "CERTIFICATE" : "X509 CRL", element, out);
    }
    return ok;
}

bool kept_bundles_render(const struct kept_bundles *kept, struct buf *out) {
    bool ok = buf_append_text(out, FIRST_LINE);
    for (size_t i = 0; ok && i < kept->num; i++) {
        ok = render_entry(&kept->entries[i], out);
    }
    return ok;
}

// --- updates ---

// The trust domain of an ID's text; empty when it is none.
static struct span domain_of(const struct update_bytes *id_text, struct spiffe_id *id) {
    return spiffe_id_parse(id, update_bytes_span(id_text), NULL) ? spiffe_id_trust_domain(id)
                                                                 : span_of("", 0);
}

static bool is_good(const struct entry *entry, int64_t now) {
    return entry->confirmed_at <= now && now - entry->confirmed_at < KEPT_BUNDLES_FOR_S;
}

static bool fill_svids(struct kept_bundles *kept, struct update *update, int64_t now) {
    for (size_t i = 0; i < update->num_svids; i++) {
        struct update_svid *svid = &update->svids[i];
        struct spiffe_id id;
        struct span domain = domain_of(&svid->spiffe_id, &id);
        struct entry *entry = domain.len == 0 ? NULL : find(kept, domain);
        if (entry == NULL || svid->bundle.len > 0 || !is_good(entry, now)) {
            continue;
        }
        if (!update_bytes_set(&svid->bundle, update_bytes_span(&entry->der))) {
            return false;
        }
        entry->filled = true;
    }
    return true;
}

// Whether the update had something for this domain when it came.
static bool is_covered(const struct update *update, size_t num_federated, struct span name) {
    struct spiffe_id id;
    for (size_t i = 0; i < update->num_svids; i++) {
        if (span_equal(domain_of(&update->svids[i].spiffe_id, &id), name)) {
            return true;
        }
    }
    for (size_t i = 0; i < num_federated; i++) {
        if (span_equal(domain_of(&update->federated[i].trust_domain_id, &id), name)) {
            return true;
        }
    }
    return false;
}

static bool fill_federated(struct update *update, struct entry *entry) {
    struct update_bundle *grown =
        reallocarray(update->federated, update->num_federated + 2, sizeof *grown);
    if (grown == NULL) {
        return false;
    }
    update->federated = grown;
    struct update_bundle *added = &grown[update->num_federated];
    *added = (struct update_bundle){0};
    update->num_federated++;
    char name[sizeof SCHEME + SPIFFE_TRUST_DOMAIN_MAX];
    int len = snprintf(name, sizeof name, SCHEME "%s", entry->name);
    entry->filled = true;
    return update_bytes_set(&added->trust_domain_id, span_of(name, (size_t)len)) &&
           update_bytes_set(&added->der, update_bytes_span(&entry->der));
}

static bool fill_crls(struct update *update, struct entry *entry) {
    struct span rest = update_bytes_span(&entry->der);
    entry->filled = true;
    while (rest.len > 0) {
        struct span element;
        struct update_bytes *grown =
            reallocarray(update->crls, update->num_crls + 2, sizeof *grown);
        if (grown == NULL || !x509_der_next(&rest, &element, NULL)) {
            return false;
        }
        update->crls = grown;
        grown[update->num_crls] = (struct update_bytes){0};
        if (!update_bytes_set(&grown[update->num_crls++], element)) {
            return false;
        }
    }
    return true;
}

bool kept_bundles_fill(struct kept_bundles *kept, struct update *update, int64_t now,
                       struct err *err) {
    for (size_t i = 0; i < kept->num; i++) {
        kept->entries[i].filled = false;
    }
    if (!update->takes_kept || update->withdrawn) {
        return true;
    }
    size_t num_federated = update->num_federated;
    bool ok = fill_svids(kept, update, now);
    for (size_t i = 0; ok && i < kept->num; i++) {
        struct entry *entry = &kept->entries[i];
        if (!is_good(entry, now)) {
            continue;
        }
        if (entry->name[0] == '\0') {
            ok = update->num_crls > 0 || fill_crls(update, entry);
        } else if (!is_covered(update, num_federated, span_of_text(entry->name))) {
            ok = fill_federated(update, entry);
        }
    }
    return ok || ERR_NO_MEMORY(err, "using the kept bundles");
}

static bool record_bundle(struct kept_bundles *kept, const struct update_bytes *id_text,
                          const struct update_bytes *der, int64_t now, struct err *err) {
    struct spiffe_id id;
    struct span domain = domain_of(id_text, &id);
    struct entry *entry = domain.len == 0 ? NULL : find(kept, domain);
    if (domain.len == 0 || der->len == 0 || (entry != NULL && entry->filled)) {
        return true;
    }
    return set(kept, domain, update_bytes_span(der), now, err);
}

static bool record_crls(struct kept_bundles *kept, const struct update *update, int64_t now,
                        struct err *err) {
    struct entry *entry = find(kept, span_of("", 0));
    if (update->num_crls == 0 || (entry != NULL && entry->filled)) {
        return true;
    }
    struct buf all = {0};
    bool ok = true;
    for (size_t i = 0; ok && i < update->num_crls; i++) {
        struct span crl = update_bytes_span(&update->crls[i]);
        ok = buf_append(&all, crl.ptr, crl.len);
    }
    ok = ok ? set(kept, span_of("", 0), buf_span(&all), now, err)
            : ERR_NO_MEMORY(err, "keeping the CRLs");
    buf_fini(&all);
    return ok;
}

bool kept_bundles_record(struct kept_bundles *kept, const struct update *update, int64_t now,
                         struct err *err) {
    if (!update->takes_kept) {
        clear(kept); // a full state: what it does not name is gone
    }
    kept->is_of_source = !update->takes_kept;
    bool ok = true;
    for (size_t i = update->num_federated; ok && i > 0; i--) {
        const struct update_bundle *bundle = &update->federated[i - 1];
        ok = record_bundle(kept, &bundle->trust_domain_id, &bundle->der, now, err);
    }
    for (size_t i = update->num_svids; ok && i > 0; i--) {
        const struct update_svid *svid = &update->svids[i - 1];
        ok = record_bundle(kept, &svid->spiffe_id, &svid->bundle, now, err);
    }
    return ok && record_crls(kept, update, now, err);
}

void kept_bundles_confirm(struct kept_bundles *kept, int64_t now) {
    for (size_t i = 0; kept->is_of_source && i < kept->num; i++) {
        kept->entries[i].confirmed_at = now;
    }
}

int64_t kept_bundles_filled_until(const struct kept_bundles *kept) {
    int64_t first = 0;
    for (size_t i = 0; i < kept->num; i++) {
        const struct entry *entry = &kept->entries[i];
        int64_t until = entry->confirmed_at + KEPT_BUNDLES_FOR_S;
        if (entry->filled && (first == 0 || until < first)) {
            first = until;
        }
    }
    return first;
}
