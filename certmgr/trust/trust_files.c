#include "certmgr/trust/trust_files.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/sha.h>

#include "certmgr/pem.h"
#include "certmgr/trust/trust_env.h"
#include "certmgr/trust/trust_jks.h"
#include "certmgr/trust/trust_pkcs12.h"

const char *const trust_files_visible[TRUST_FILES_VISIBLE] = {
    "ca-bundle.pem",  "ca-extra.pem", "certs",  "truststore.p12",
    "truststore.jks", "env",          "env.sh", "php",
};

// The next file; its content is appended to the result. NULL when memory is short.
static struct buf *add_file(struct trust_files *files, char *path) {
    if (path == NULL) {
        return NULL;
    }
    if (files->num == files->cap) {
        size_t cap = files->cap == 0 ? 64 : 2 * files->cap;
        struct trust_file *items = reallocarray(files->items, cap, sizeof(*items));
        if (items == NULL) {
            free(path);
            return NULL;
        }
        files->items = items;
        files->cap = cap;
    }
    struct trust_file *file = &files->items[files->num++];
    *file = (struct trust_file){.path = path};
    return &file->content;
}

static struct buf *add_named(struct trust_files *files, const char *path) {
    return add_file(files, strdup(path));
}

static bool append_pem(const struct trust_entry *entry, struct buf *out) {
    return pem_render("CERTIFICATE", span_of(entry->cert->der, entry->cert->der_len), out);
}

typedef bool belongs_fn(const struct trust_entry *entry);

static bool add_bundle(struct trust_files *files, const char *path, const struct trust_set *set,
                       belongs_fn *belongs) {
    struct buf *out = add_named(files, path);
    bool ok = out != NULL;
    for (size_t i = 0; ok && i < set->num_entries; i++) {
        ok = !belongs(set->entries[i]) || append_pem(set->entries[i], out);
    }
    return ok;
}

static int compare_hashes(const void *a, const void *b) {
    const struct trust_entry *left = *(const struct trust_entry *const *)a;
    const struct trust_entry *right = *(const struct trust_entry *const *)b;
    if (left->cert->name_hash != right->cert->name_hash) {
        return left->cert->name_hash < right->cert->name_hash ? -1 : 1;
    }
    return memcmp(left->cert->sha256, right->cert->sha256, TRUST_CERT_SHA256_LEN);
}

// certs/HHHHHHHH.N, N from 0 for each hash without a gap: OpenSSL looks no further than the first N
// that is not there.
static bool add_hashed(struct trust_files *files, const struct trust_set *set) {
    if (set->num_entries == 0) {
        return true;
    }
    const struct trust_entry **sorted = calloc(set->num_entries, sizeof(struct trust_entry *));
    if (sorted == NULL) {
        return false;
    }
    size_t num = 0;
    for (size_t i = 0; i < set->num_entries; i++) {
        if (trust_set_is_in_bundle(set->entries[i])) {
            sorted[num++] = set->entries[i];
        }
    }
    qsort(sorted, num, sizeof(struct trust_entry *), compare_hashes);
    bool ok = true;
    size_t of_hash = 0;
    for (size_t i = 0; ok && i < num; i++) {
        bool is_same = i > 0 && sorted[i]->cert->name_hash == sorted[i - 1]->cert->name_hash;
        char path[64];
        of_hash = is_same ? of_hash + 1 : 0;
        (void)snprintf(path, sizeof(path), "certs/%08x.%zu", sorted[i]->cert->name_hash, of_hash);
        struct buf *out = add_named(files, path);
        ok = out != NULL && append_pem(sorted[i], out);
    }
    free(sorted);
    return ok;
}

static bool add_own_files(struct trust_files *files, const struct trust_set *set) {
    bool ok = true;
    for (size_t i = 0; ok && i < set->num_entries; i++) {
        const struct trust_entry *entry = set->entries[i];
        char *path = NULL;
        if (!trust_set_has_own_file(entry)) {
            continue;
        }
        if (asprintf(&path, "certs/public/%s", entry->alias) < 0) {
            path = NULL;
        }
        struct buf *out = add_file(files, path);
        ok = out != NULL && append_pem(entry, out);
    }
    return ok;
}

static bool add_java(struct trust_files *files, const struct trust_set *set,
                     const struct trust_options *options) {
    struct buf *out = add_named(files, "truststore.p12");
    if (out == NULL || !trust_pkcs12_render(set, out)) {
        return false;
    }
    out = add_named(files, "truststore.jks");
    return out != NULL && trust_jks_render(set, options->jks_password, out);
}

static bool add_environment(struct trust_files *files, const struct trust_options *options) {
    const struct trust_env env = {.output = options->output,
                                  .java_uses_jks = options->java_uses_jks};
    struct buf *out = add_named(files, "env");
    if (out == NULL || !trust_env_render_lines(&env, out)) {
        return false;
    }
    out = add_named(files, "env.sh");
    if (out == NULL || !trust_env_render_shell(&env, out)) {
        return false;
    }
    out = add_named(files, "php/pavise-trust.ini");
    return out != NULL && trust_env_render_php(&env, out);
}

bool trust_files_render(const struct trust_set *set, const struct trust_options *options,
                        struct trust_files *out, struct err *err) {
    return (add_bundle(out, "ca-bundle.pem", set, trust_set_is_in_bundle) &&
            add_bundle(out, "ca-extra.pem", set, trust_set_is_in_extra) && add_hashed(out, set) &&
            add_own_files(out, set) && add_java(out, set, options) &&
            add_environment(out, options)) ||
           ERR_NO_MEMORY(err, "rendering the trust store");
}

void trust_files_fini(struct trust_files *files) {
    for (size_t i = 0; i < files->num; i++) {
        free(files->items[i].path);
        buf_fini(&files->items[i].content);
    }
    free(files->items);
    *files = (struct trust_files){0};
}

void trust_files_digest(const struct trust_files *files, char out[TRUST_FILES_DIGEST_LEN + 1]) {
    static const char digits[] = "0123456789abcdef";
    uint8_t digest[SHA256_DIGEST_LENGTH];
    SHA256_CTX sha;
    SHA256_Init(&sha);
    for (size_t i = 0; i < files->num; i++) {
        const struct trust_file *file = &files->items[i];
        uint64_t len = file->content.len;
        SHA256_Update(&sha, file->path, strlen(file->path) + 1);
        SHA256_Update(&sha, &len, sizeof(len));
        SHA256_Update(&sha, buf_span(&file->content).ptr, file->content.len);
    }
    SHA256_Final(digest, &sha);
    for (size_t i = 0; i < sizeof(digest); i++) {
        out[2 * i] = digits[digest[i] >> 4];
        out[2 * i + 1] = digits[digest[i] & 15];
    }
    out[2 * sizeof(digest)] = '\0';
}
