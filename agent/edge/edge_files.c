#include "agent/edge/edge_files.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "agent/tls/edge_chain.h"
#include "base/buf.h"
#include "base/clock.h"
#include "base/file.h"
#include "certmgr/ocsp_response.h"
#include "certmgr/pem.h"
#include "certmgr/x509_der.h"

#define LIST_FILE_MAX PEM_INPUT_MAX
#define CERTIFICATE_FILE_MAX 65536 // and of its key: APISIX takes no more either
#define PASSPHRASE_MAX 4096

static const struct trust_certificate *find_named(const struct config_trust_store *store,
                                                  const char *name) {
    for (size_t i = 0; i < store->num_certificates; i++) {
        if (strcmp(store->certificates[i].name, name) == 0) {
            return &store->certificates[i];
        }
    }
    return NULL;
}

static bool add_file(struct anchors *anchors, const char *path, struct err *err) {
    struct buf text = {0};
    bool ok = file_read(path, LIST_FILE_MAX, &text, err)
                  ? anchors_add(anchors, buf_span(&text), path, err)
                  : err_wrap(err, "invalid_certificate");
    buf_clear_secret(&text); // it may have been a key by mistake
    return ok;
}

// What a URL gave stands in the written store: a list is read without the network.
static bool add_fetched(struct anchors *anchors, const struct config_trust_store *store,
                        const char *name, struct err *err) {
    char path[PATH_MAX];
    snprintf(path, sizeof(path), "%s/certs/public/%s", store->output, name);
    return add_file(anchors, path, err) ||
           err_wrap(err,
                    "\"%s\" comes from a URL and is read from where pavise trust sync has "
                    "written it",
                    name);
}

static bool add_named(struct anchors *anchors, const struct config_trust_store *store,
                      const char *name, struct err *err) {
    const struct trust_certificate *named = find_named(store, name);
    if (named == NULL) {
        return ERR_SET(err, ERR_INPUT, "\"%s\" is no name of trustStore.certificates", name);
    }
    if (named->pem != NULL) {
        return anchors_add(anchors, span_of_text(named->pem), name, err);
    }
    return named->file != NULL ? add_file(anchors, named->file, err)
                               : add_fetched(anchors, store, name, err);
}

static bool add_ref(struct anchors *anchors, const struct config_trust_store *store,
                    const struct certificate_ref *ref, struct err *err) {
    return ref->file != NULL ? add_file(anchors, ref->file, err)
                             : add_named(anchors, store, ref->name, err);
}

struct anchors *edge_files_anchors(const struct config_trust_store *store,
                                   const struct certificate_refs *refs, struct err *err) {
    OWNED(anchors_free) struct anchors *anchors = anchors_new();
    if (anchors == NULL) {
        ERR_NO_MEMORY(err, "reading certificates");
        return NULL;
    }
    for (size_t i = 0; i < refs->num; i++) {
        if (!add_ref(anchors, store, &refs->items[i], err)) {
            return NULL;
        }
    }
    return take(&anchors);
}

static bool read_passphrase(const char *where, struct buf *out, struct err *err) {
    static const char env[] = "env:";
    static const char file[] = "file:";
    if (strncmp(where, env, sizeof(env) - 1) == 0) {
        const char *value = getenv(where + sizeof(env) - 1);
        return value == NULL
                   ? ERR_SET(err, ERR_INPUT, "keyPassphrase: %s is not set", where)
                   : buf_append_text(out, value) || ERR_NO_MEMORY(err, "reading a passphrase");
    }
    if (!file_read(where + sizeof(file) - 1, PASSPHRASE_MAX, out, err)) {
        return err_wrap(err, "keyPassphrase");
    }
    while (out->len > 0 && strchr("\r\n", buf_span(out).ptr[out->len - 1]) != NULL) {
        out->len--;
    }
    return true;
}

static bool read_key(const struct edge_certificate_options *options, struct buf *out,
                     struct err *err) {
    struct buf text = {0};
    struct buf passphrase = {0};
    bool ok = file_read(options->key_file, CERTIFICATE_FILE_MAX, &text, err);
    if (ok && options->key_passphrase != NULL) {
        ok = read_passphrase(options->key_passphrase, &passphrase, err) &&
             edge_chain_decrypt(buf_span(&text), buf_span(&passphrase), out, err);
    } else if (ok) {
        ok = pem_parse_key(buf_span(&text), options->key_file, out, err);
    }
    buf_clear_secret(&text);
    buf_clear_secret(&passphrase);
    return ok || err_wrap(err, "keyFile");
}

static bool copy_names(const struct string_list *from, struct edge_certificate *out,
                       struct err *err) {
    out->server_names = calloc(from->num + 1, sizeof(*out->server_names));
    for (size_t i = 0; out->server_names != NULL && i < from->num; i++) {
        char *name = out->server_names[i] = strdup(from->items[i]);
        if (name == NULL) {
            return ERR_NO_MEMORY(err, "reading certificates");
        }
        out->num_server_names++;
        for (; *name != '\0'; name++) {
            *name = (char)(*name >= 'A' && *name <= 'Z' ? *name - 'A' + 'a' : *name);
        }
    }
    return out->server_names != NULL || ERR_NO_MEMORY(err, "reading certificates");
}

bool edge_files_certificate(const struct edge_certificate_options *options,
                            struct edge_certificate *out, struct err *err) {
    struct buf chain = {0};
    struct buf chain_der = {0};
    struct buf key_der = {0};
    out->name = options->name;
    out->path = options->cert_file;
    bool ok = (file_read(options->cert_file, CERTIFICATE_FILE_MAX, &chain, err) &&
               pem_parse_certificates(buf_span(&chain), options->cert_file, &chain_der, err)) ||
              err_wrap(err, "certFile");
    ok = ok && read_key(options, &key_der, err) &&
         edge_chain_fill(out, buf_span(&chain_der), buf_span(&key_der), err);
    buf_clear_secret(&chain); // it may hold the key as well
    buf_fini(&chain_der);
    buf_clear_secret(&key_der);
    if (!ok) {
        return false;
    }
    return options->server_names.num > 0 ? copy_names(&options->server_names, out, err)
                                         : edge_chain_take_names(out, err);
}

bool edge_files_check_expiry(const struct edge_certificate *cert,
                             const struct edge_certificate *before, struct err *err) {
    bool was_there = before != NULL && before->not_after == cert->not_after;
    return cert->not_after > clock_wall_s() || was_there ||
           ERR_SET(err, ERR_INPUT, "certificate_expired: %s has expired", cert->path);
}

static bool read_staple(const struct edge_certificate *cert, struct span der,
                        struct ocsp_response *out, struct err *err) {
    if (cert->num_chain < 2) {
        return ERR_SET(err, ERR_INPUT, "certFile has to hold the certificate's issuer as well");
    }
    X509 *leaf OWNED(X509_free) = x509_der_parse(cert->chain[0], err);
    X509 *issuer OWNED(X509_free) = leaf == NULL ? NULL : x509_der_parse(cert->chain[1], err);
    return issuer != NULL && ocsp_response_read(der, leaf, issuer, out, err);
}

bool edge_files_staple(const struct stapling_options *options, struct edge_certificate *out,
                       const char **withheld, struct err *err) {
    struct ocsp_response response = {0};
    int64_t now = clock_wall_s();
    *withheld = NULL;
    if (!file_read(options->file, OCSP_RESPONSE_MAX, &out->staple, err)) {
        return err_wrap(err, "file");
    }
    if (!read_staple(out, buf_span(&out->staple), &response, err)) {
        return err_wrap(err, "file: %s", options->file);
    }
    out->staple_from = response.this_update;
    out->staple_until = response.next_update;
    out->staple_path = options->file;
    out->staple_status = ocsp_status_name(response.status);
    if (response.status != OCSP_GOOD && !options->staple_revoked) {
        buf_fini(&out->staple);
        *withheld = response.status == OCSP_REVOKED
                        ? "the response says that the certificate is revoked; it is not sent"
                        : "the responder does not know the certificate; its response is not sent";
    } else if (response.next_update <= now) {
        *withheld = "the response has expired and is not sent";
    } else if (response.this_update > now) {
        *withheld = "the response begins in the future and is not sent before";
    }
    return true;
}

bool edge_files_is_open(const char *path) {
    struct stat st;
    return stat(path, &st) == 0 && (st.st_mode & S_IROTH) != 0;
}

bool edge_files_alpn(struct buf *out, const struct string_list *names) {
    bool ok = true;
    for (size_t i = 0; i < names->num; i++) {
        uint8_t len = (uint8_t)strlen(names->items[i]); // at most 64
        ok = ok && buf_append(out, &len, 1) && buf_append_text(out, names->items[i]);
    }
    return ok;
}
