#include "certmgr/trust/trust_gather.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/file.h"
#include "certmgr/trust/trust_builder.h"
#include "certmgr/trust/trust_input.h"
#include "certmgr/trust/trust_walk.h"

const char *const trust_gather_system_bundles[] = {
    "/etc/ssl/certs/ca-certificates.crt",                // Debian, Alpine
    "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem", // RHEL, Fedora
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem", // SUSE
    "/etc/ssl/cert.pem",
    NULL,
};

struct gathering {
    struct trust_builder *builder;
    const struct trust_set *before; // may be NULL
    const char *source;             // the one that is being walked
};

static bool on_certificate(void *arg, struct trust_cert *cert, size_t index UNUSED) {
    return trust_builder_add(arg, cert);
}

static bool on_problem(void *arg, const char *sentence) {
    return trust_builder_say(arg, sentence);
}

static bool take_bytes(struct trust_builder *builder, struct span input) {
    const struct trust_input_sink sink = {
        .arg = builder, .certificate = on_certificate, .problem = on_problem};
    return trust_input_parse(input, &sink);
}

// "cannot read PATH: No such file", "PATH is larger than ..." name the path, which the place does
// already.
static bool say_unreadable(struct trust_builder *builder, const char *path, const char *sentence) {
    const char *at = strstr(sentence, path);
    const char *rest = at == NULL ? "" : at + strlen(path);
    char text[ERR_MSG_MAX + 8];
    if (strncmp(rest, ": ", 2) == 0) {
        return trust_builder_say(builder, rest + 2);
    }
    (void)snprintf(text, sizeof(text), "it%s", rest);
    return trust_builder_say(builder, at == sentence && rest[0] == ' ' ? text : sentence);
}

static bool take_file(struct trust_builder *builder, const char *path) {
    struct buf text = {0};
    struct err err = {0};
    bool ok;
    if (file_read(path, TRUST_INPUT_MAX, &text, &err)) {
        ok = take_bytes(builder, buf_span(&text));
    } else {
        ok = say_unreadable(builder, path, err.msg);
    }
    buf_clear_secret(&text); // somebody may have left a key in it
    return ok;
}

// --- what was there before ---

// Whether an entry is of the place: a file, or with `below` a directory.
static bool is_of(const struct trust_entry *entry, const char *place, bool below) {
    size_t len = strlen(place);
    if (entry->origin != TRUST_USER || strncmp(entry->source, place, len) != 0) {
        return false;
    }
    return entry->source[len] == '\0' ||
           (below && (entry->source[len] == '/' || place[len - 1] == '/'));
}

// The certificates that a place had, under their names. False when memory is short.
static bool keep(const struct gathering *gathering, const char *place, bool below, bool *any) {
    const struct trust_set *before = gathering->before;
    bool ok = true;
    for (size_t i = 0; ok && before != NULL && i < before->num_entries; i++) {
        const struct trust_entry *entry = before->entries[i];
        if (!is_of(entry, place, below)) {
            continue;
        }
        const struct trust_place own = {.source = entry->source,
                                        .stem = entry->alias,
                                        .origin = TRUST_USER,
                                        .is_loaded = entry->is_loaded};
        struct err err = {0};
        struct trust_cert *cert =
            trust_cert_parse(span_of(entry->cert->der, entry->cert->der_len), false, &err);
        trust_builder_begin(gathering->builder, &own);
        ok = cert != NULL && trust_builder_add(gathering->builder, cert);
        trust_builder_end(gathering->builder);
        *any = true;
    }
    return ok;
}

static bool say_kept(struct trust_builder *builder, const char *source) {
    const struct trust_place place = {.source = source, .origin = TRUST_USER};
    trust_builder_begin(builder, &place);
    bool ok = trust_builder_say(builder, "the certificates that it held before stay until it is "
                                         "mended or removed");
    trust_builder_end(builder);
    return ok;
}

// What is gone is removed; what is there and cannot be read is a mishap.
static bool keep_and_say(const struct gathering *gathering, const char *place, bool below) {
    bool any = false;
    struct stat st;
    if (lstat(place, &st) != 0 && (errno == ENOENT || errno == ENOTDIR)) {
        return true;
    }
    return keep(gathering, place, below, &any) && (!any || say_kept(gathering->builder, place));
}

// Reads a file of the user's.
static bool take_user_file(const struct gathering *gathering, const char *path, const char *stem,
                           bool is_loaded) {
    const struct trust_place place = {
        .source = path, .stem = stem, .origin = TRUST_USER, .is_loaded = is_loaded};
    trust_builder_begin(gathering->builder, &place);
    bool ok = take_file(gathering->builder, path);
    bool any = trust_builder_end(gathering->builder) > 0;
    return ok && (any || keep_and_say(gathering, path, false));
}

// --- sources ---

static bool on_file(void *arg, const char *path) {
    char stem[TRUST_BUILDER_STEM_MAX + 1];
    trust_builder_stem(path, stem);
    return take_user_file(arg, path, stem, true);
}

static bool on_skipped(void *arg, const char *path, const char *why) {
    const struct gathering *gathering = arg;
    const struct trust_place place = {.source = path, .origin = TRUST_USER};
    trust_builder_begin(gathering->builder, &place);
    bool ok = trust_builder_say(gathering->builder, why);
    trust_builder_end(gathering->builder);
    // What is skipped inside of a directory never held any; a whole source may have.
    bool is_source = strcmp(path, gathering->source) == 0;
    return ok && (!is_source || keep_and_say(gathering, path, true));
}

static bool take_sources(struct gathering *gathering, const struct trust_options *options) {
    const struct trust_walk_sink sink = {.arg = gathering, .file = on_file, .skipped = on_skipped};
    bool ok = true;
    for (size_t i = 0; ok && i < options->num_sources; i++) {
        gathering->source = options->sources[i];
        ok = trust_walk(options->sources[i], &sink);
    }
    return ok;
}

// --- trustStore.certificates ---

static bool take_named(const struct gathering *gathering, const struct trust_named *named) {
    struct trust_builder *builder = gathering->builder;
    if (named->file != NULL) {
        return take_user_file(gathering, named->file, named->name, named->is_loaded);
    }
    char source[TRUST_BUILDER_STEM_MAX + 64];
    (void)snprintf(source, sizeof(source), "trustStore.certificates[%s]", named->name);
    const struct trust_place place = {.source = named->from == NULL ? source : named->from,
                                      .stem = named->name,
                                      .origin = TRUST_USER,
                                      .is_loaded = named->is_loaded};
    trust_builder_begin(builder, &place);
    bool ok = named->missing == NULL || trust_builder_say(builder, named->missing);
    ok = ok && (named->content.len == 0 || take_bytes(builder, named->content));
    trust_builder_end(builder);
    return ok;
}

static bool take_domain_root(struct trust_builder *builder, const struct trust_domain_root *root) {
    char stem[TRUST_BUILDER_STEM_MAX + 1];
    char source[TRUST_BUILDER_STEM_MAX + 64];
    (void)snprintf(stem, sizeof(stem), "spiffe-%s", root->trust_domain);
    (void)snprintf(source, sizeof(source), "SPIFFE bundle of %s", root->trust_domain);
    const struct trust_place place = {
        .source = source, .stem = stem, .origin = TRUST_SPIFFE, .is_loaded = true};
    trust_builder_begin(builder, &place);
    bool ok = take_bytes(builder, root->der);
    trust_builder_end(builder);
    return ok;
}

// --- public roots ---

const char *trust_gather_public_path(const struct trust_options *options) {
    if (options->public_roots != NULL) {
        return options->public_roots;
    }
    for (size_t i = 0; trust_gather_system_bundles[i] != NULL; i++) {
        if (access(trust_gather_system_bundles[i], R_OK) == 0) {
            return trust_gather_system_bundles[i];
        }
    }
    return NULL;
}

static bool read_public(const char *path, struct buf *out, struct err *err) {
    return file_read(path, TRUST_INPUT_MAX, out, err) || err_wrap(err, "trustStore.publicRoots");
}

static bool take_public(struct trust_builder *builder, const struct trust_options *options,
                        struct err *err) {
    const char *path = trust_gather_public_path(options);
    if (path == NULL) {
        return ERR_SET(err, ERR_INPUT,
                       "this system has no bundle of public roots (%s and others), and without "
                       "them the application could reach no public server: install "
                       "ca-certificates, name a file in trustStore.publicRoots, or say none there",
                       trust_gather_system_bundles[0]);
    }
    if (path[0] == '\0') {
        return true;
    }
    struct buf text = {0};
    const struct trust_place place = {.source = path, .origin = TRUST_PUBLIC, .is_loaded = true};
    bool ok = read_public(path, &text, err);
    if (ok) {
        trust_builder_begin(builder, &place);
        ok = take_bytes(builder, buf_span(&text)) || ERR_NO_MEMORY(err, "reading public roots");
        bool has_any = trust_builder_end(builder) > 0;
        ok = ok && (has_any || ERR_SET(err, ERR_INPUT,
                                       "trustStore.publicRoots: %s holds no certificate", path));
    }
    buf_fini(&text);
    return ok;
}

struct trust_set *trust_gather(const struct trust_options *options, const struct trust_set *before,
                               int64_t now, struct err *err) {
    OWNED(trust_builder_free)
    struct trust_builder *builder = trust_builder_new(options->refuse, now);
    struct gathering gathering = {.builder = builder, .before = before};
    bool ok = builder != NULL;
    for (size_t i = 0; ok && i < options->num_named; i++) {
        ok = take_named(&gathering, &options->named[i]);
    }
    ok = ok && take_sources(&gathering, options);
    for (size_t i = 0; ok && i < options->num_domain_roots; i++) {
        ok = take_domain_root(builder, &options->domain_roots[i]);
    }
    if (!ok) {
        ERR_NO_MEMORY(err, "reading certificates");
        return NULL;
    }
    return take_public(builder, options, err) ? trust_builder_finish(take(&builder)) : NULL;
}

static bool append_der(void *arg, struct trust_cert *owned, size_t index UNUSED) {
    OWNED(trust_cert_free) struct trust_cert *cert = owned;
    return buf_append(arg, cert->der, cert->der_len);
}

static bool pass_over(void *arg UNUSED, const char *sentence UNUSED) {
    return true;
}

bool trust_gather_public_roots(const struct trust_options *options, struct buf *out,
                               struct err *err) {
    const char *path = trust_gather_public_path(options);
    if (path == NULL || path[0] == '\0') {
        return true;
    }
    struct buf text = {0};
    const struct trust_input_sink sink = {
        .arg = out, .certificate = append_der, .problem = pass_over};
    bool ok = read_public(path, &text, err) && (trust_input_parse(buf_span(&text), &sink) ||
                                                ERR_NO_MEMORY(err, "reading public roots"));
    buf_fini(&text);
    return ok;
}

// --- stamps ---

static void add_stamp(uint64_t *sum, const char *path) {
    uint64_t stamp = 0;
    // Without memory it counts as a change, and what is read then will say so.
    *sum = *sum * 31 + (trust_walk_stamp(path, &stamp) ? stamp : *sum);
}

uint64_t trust_gather_stamp(const struct trust_options *options) {
    uint64_t sum = 1;
    for (size_t i = 0; i < options->num_sources; i++) {
        add_stamp(&sum, options->sources[i]);
    }
    for (size_t i = 0; i < options->num_named; i++) {
        if (options->named[i].file != NULL) {
            add_stamp(&sum, options->named[i].file);
        }
    }
    const char *public_path = trust_gather_public_path(options);
    if (public_path != NULL && public_path[0] != '\0') {
        add_stamp(&sum, public_path);
    }
    return sum;
}
