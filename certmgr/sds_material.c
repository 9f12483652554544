#include "certmgr/sds_material.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/clock.h"
#include "base/file.h"
#include "certmgr/bundle.h"
#include "certmgr/pem.h"
#include "certmgr/spiffe_id.h"
#include "certmgr/svid.h"
#include "certmgr/x509_der.h"

#define SPIFFE_SCHEME "spiffe://"
#define ANY_DOMAIN "unnamed" // to judge a bundle whose trust domain is not known yet
#define CRLS_MAX 1024
// Of a file's times: steps are of a clock tick, and of seconds on some file systems.
#define FRESH_MS 3000

typedef bool parse_fn(struct span input, const char *name, struct buf *out, struct err *err);

// --- reading ---

static const char *path_of(const struct sds_data *data) {
    return (const char *)data->value.ptr;
}

static bool file_parse(const struct sds_data *data, parse_fn *parse, struct buf *out,
                       struct err *err) {
    const char *path = path_of(data);
    if (path[0] != '/') {
        return ERR_SET(err, ERR_INPUT, "the file \"%.200s\" is not named by an absolute path",
                       path);
    }
    struct buf content = {0};
    bool ok =
        file_read(path, PEM_INPUT_MAX, &content, err) && parse(buf_span(&content), path, out, err);
    buf_clear_secret(&content);
    return ok;
}

static bool data_parse(const struct sds_data *data, const char *what, parse_fn *parse,
                       struct update_bytes *to, struct err *err) {
    struct buf out = {0};
    bool ok = false;
    if (data->kind == SDS_DATA_FILE) {
        ok = file_parse(data, parse, &out, err);
    } else if (data->kind == SDS_DATA_ENVIRONMENT) {
        const char *text = getenv(path_of(data));
        ok = text == NULL ? ERR_SET(err, ERR_ENVIRONMENT, "there is no environment variable %.100s",
                                    path_of(data))
                          : parse(span_of_text(text), path_of(data), &out, err);
    } else {
        ok = parse(update_bytes_span(&data->value), what, &out, err);
    }
    if (ok && !update_bytes_set(to, buf_span(&out))) {
        ok = ERR_NO_MEMORY(err, "reading a secret");
    }
    buf_clear_secret(&out);
    return ok || err_wrap(err, "%s", what);
}

// --- judging ---

static struct update *certificate_load(const struct sds_secret *secret, struct err *err) {
    struct update *out OWNED(update_free) = update_new(1, 0, 0);
    if (out == NULL) {
        ERR_NO_MEMORY(err, "reading a secret");
        return NULL;
    }
    struct update_svid *to = &out->svids[0];
    if (!data_parse(&secret->chain, "its certificate_chain", pem_parse_certificates, &to->chain,
                    err) ||
        !data_parse(&secret->key, "its private_key", pem_parse_key, &to->key, err)) {
        return NULL;
    }
    struct svid *svid OWNED(svid_unref) =
        svid_parse(update_bytes_span(&to->chain), update_bytes_span(&to->key), span_of("", 0),
                   span_of("", 0), err);
    if (svid == NULL) {
        return NULL;
    }
    if (!update_bytes_set(&to->spiffe_id, span_of_text(svid_id(svid)->text))) {
        ERR_NO_MEMORY(err, "reading a secret");
        return NULL;
    }
    return take(&out);
}

// CRLs come as one run of DER; an update has them one by one.
static bool crls_split(struct update *out, struct span rest, struct err *err) {
    while (rest.len > 0) {
        struct span crl;
        if (!x509_der_next(&rest, &crl, err)) {
            return false;
        }
        if (out->num_crls == CRLS_MAX) {
            return ERR_SET(err, ERR_INPUT, "it has more than %d CRLs", CRLS_MAX);
        }
        if (!update_bytes_set(&out->crls[out->num_crls], crl)) {
            return ERR_NO_MEMORY(err, "reading a secret");
        }
        out->num_crls++;
    }
    return true;
}

static bool crls_load(struct update *out, const struct sds_secret *secret, struct err *err) {
    if (secret->crl.kind == SDS_DATA_NONE) {
        return true;
    }
    struct update_bytes all = {0};
    bool ok = data_parse(&secret->crl, "its crl", pem_parse_crls, &all, err) &&
              crls_split(out, update_bytes_span(&all), err);
    free(all.ptr);
    return ok;
}

static bool domain_load(struct update_bundle *to, const struct sds_domain *domain,
                        struct err *err) {
    struct spiffe_id id;
    struct buf text = {0};
    bool ok = buf_append_text(&text, SPIFFE_SCHEME) &&
              buf_append(&text, domain->name.ptr, domain->name.len) &&
              update_bytes_set(&to->trust_domain_id, buf_span(&text));
    buf_fini(&text);
    if (!ok) {
        return ERR_NO_MEMORY(err, "reading a secret");
    }
    if (!spiffe_id_parse(&id, update_bytes_span(&to->trust_domain_id), err) ||
        spiffe_id_path(&id).len > 0) {
        return ERR_SET(err, ERR_INPUT, "its SPIFFE validator names a trust domain that is none");
    }
    return data_parse(&domain->bundle, "its trust_bundle", pem_parse_certificates, &to->der, err) ||
           err_wrap(err, "%s", id.text);
}

// The store will build the same set again; here the server can still be told what is wrong.
static bool bundle_judge(const struct update *update, struct err *err) {
    struct bundle_builder *builder OWNED(bundle_builder_free) = bundle_builder_new();
    bool ok = builder != NULL || ERR_NO_MEMORY(err, "reading a secret");
    for (size_t i = 0; ok && i < update->num_federated; i++) {
        struct span name = update_bytes_span(&update->federated[i].trust_domain_id);
        struct span domain =
            name.len == 0 ? span_of_text(ANY_DOMAIN) : span_after(name, strlen(SPIFFE_SCHEME));
        ok = bundle_builder_add(builder, domain, update_bytes_span(&update->federated[i].der), err);
    }
    for (size_t i = 0; ok && i < update->num_crls; i++) {
        ok = bundle_builder_add_crl(builder, update_bytes_span(&update->crls[i]), err);
    }
    return ok;
}

static struct update *bundle_load(const struct sds_secret *secret, struct err *err) {
    bool is_plain = secret->num_domains == 0;
    struct update *out OWNED(update_free) =
        update_new(0, is_plain ? 1 : secret->num_domains, CRLS_MAX);
    if (out == NULL) {
        ERR_NO_MEMORY(err, "reading a secret");
        return NULL;
    }
    out->num_crls = 0;
    bool ok = !is_plain || data_parse(&secret->trusted_ca, "its trusted_ca", pem_parse_certificates,
                                      &out->federated[0].der, err);
    for (size_t i = 0; ok && i < secret->num_domains; i++) {
        ok = domain_load(&out->federated[i], &secret->domains[i], err);
    }
    return ok && crls_load(out, secret, err) && bundle_judge(out, err) ? take(&out) : NULL;
}

struct update *sds_material_load(const struct sds_secret *secret, struct err *err) {
    return secret->kind == SDS_SECRET_CERTIFICATE ? certificate_load(secret, err)
                                                  : bundle_load(secret, err);
}

// --- joining ---

static bool copy(struct update_bytes *out, const struct update_bytes *in, struct err *err) {
    return update_bytes_set(out, update_bytes_span(in)) ||
           ERR_NO_MEMORY(err, "putting an update together");
}

// Which entry of `bundle` is for the trust domain of `id`; num_federated when there is none.
static size_t own_bundle(const struct update *bundle, const struct spiffe_id *id) {
    struct span domain = spiffe_id_trust_domain(id);
    for (size_t i = 0; i < bundle->num_federated; i++) {
        struct span name = update_bytes_span(&bundle->federated[i].trust_domain_id);
        if (name.len == 0 || span_equal(span_after(name, strlen(SPIFFE_SCHEME)), domain)) {
            return i;
        }
    }
    return bundle->num_federated;
}

static bool svid_join(struct update_svid *to, const struct update_svid *from,
                      const struct update_bundle *own, struct err *err) {
    return copy(&to->spiffe_id, &from->spiffe_id, err) && copy(&to->chain, &from->chain, err) &&
           copy(&to->key, &from->key, err) && copy(&to->bundle, &own->der, err);
}

struct update *sds_material_join(const struct update *certificate, const struct update *bundle,
                                 struct err *err) {
    const struct update_svid *svid = &certificate->svids[0];
    struct spiffe_id id;
    if (!spiffe_id_parse(&id, update_bytes_span(&svid->spiffe_id), err)) {
        return NULL;
    }
    size_t own = own_bundle(bundle, &id);
    if (own == bundle->num_federated) {
        ERR_SET(err, ERR_INPUT, "it has no trust bundle for the trust domain of %.256s", id.text);
        return NULL;
    }
    struct update *out OWNED(update_free) =
        update_new(1, bundle->num_federated - 1, bundle->num_crls);
    if (out == NULL) {
        ERR_NO_MEMORY(err, "putting an update together");
        return NULL;
    }
    bool ok = svid_join(&out->svids[0], svid, &bundle->federated[own], err);
    for (size_t i = 0, n = 0; ok && i < bundle->num_federated; i++) {
        if (i != own) {
            ok = copy(&out->federated[n].trust_domain_id, &bundle->federated[i].trust_domain_id,
                      err) &&
                 copy(&out->federated[n].der, &bundle->federated[i].der, err);
            n++;
        }
    }
    for (size_t i = 0; ok && i < bundle->num_crls; i++) {
        ok = copy(&out->crls[i], &bundle->crls[i], err);
    }
    return ok ? take(&out) : NULL;
}

// --- files ---

static void mark_add(struct sds_mark *mark, uint64_t value) {
    mark->hash = (mark->hash ^ value) * UINT64_C(0x100000001b3) + (value >> 32); // as FNV does
}

static void mark_file(struct sds_mark *mark, const struct sds_data *data) {
    if (data->kind != SDS_DATA_FILE) {
        return;
    }
    struct stat st;
    if (stat(path_of(data), &st) != 0) {
        mark_add(mark, (uint64_t)errno);
        return;
    }
    int64_t changed_ms = (int64_t)st.st_ctim.tv_sec * 1000 + st.st_ctim.tv_nsec / 1000000;
    int64_t age_ms = clock_wall_ms() - changed_ms;
    mark->is_fresh |= age_ms < FRESH_MS;
    mark_add(mark, (uint64_t)st.st_dev);
    mark_add(mark, (uint64_t)st.st_ino);
    mark_add(mark, (uint64_t)st.st_size);
    mark_add(mark, (uint64_t)st.st_mtim.tv_sec);
    mark_add(mark, (uint64_t)st.st_mtim.tv_nsec);
    mark_add(mark, (uint64_t)st.st_ctim.tv_sec);
    mark_add(mark, (uint64_t)st.st_ctim.tv_nsec);
}

struct sds_mark sds_material_mark(const struct sds_secret *secret) {
    struct sds_mark mark = {0};
    mark_file(&mark, &secret->chain);
    mark_file(&mark, &secret->key);
    mark_file(&mark, &secret->trusted_ca);
    mark_file(&mark, &secret->crl);
    for (size_t i = 0; i < secret->num_domains; i++) {
        mark_file(&mark, &secret->domains[i].bundle);
    }
    return mark;
}

bool sds_material_has_files(const struct sds_secret *secret) {
    bool has = secret->chain.kind == SDS_DATA_FILE || secret->key.kind == SDS_DATA_FILE ||
               secret->trusted_ca.kind == SDS_DATA_FILE || secret->crl.kind == SDS_DATA_FILE;
    for (size_t i = 0; i < secret->num_domains; i++) {
        has |= secret->domains[i].bundle.kind == SDS_DATA_FILE;
    }
    return has;
}
