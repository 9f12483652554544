#include "authority/ca_state.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>

#include "base/buf.h"
#include "base/check.h"
#include "base/file.h"
#include "base/own.h"

#define STATE_FILE_MAX ((size_t)64 * 1024)
#define STATE_PATH_MAX 4096

OWN_DEFINE(BIO, BIO_free_all)
OWN_DEFINE(X509, X509_free)
OWN_DEFINE(EVP_PKEY, EVP_PKEY_free)

struct key_list {
    EVP_PKEY *key[2 * CA_ROOTS_MAX];
    size_t num;
};

static void key_list_fini(struct key_list *list) {
    for (size_t i = 0; i < list->num; i++) {
        EVP_PKEY_free(list->key[i]);
    }
    list->num = 0;
}

void ca_roots_fini(struct ca_roots *roots) {
    while (roots->num > 0) {
        ca_roots_remove(roots, roots->num - 1);
    }
}

void ca_roots_copy(struct ca_roots *out, const struct ca_roots *from) {
    *out = *from;
    for (size_t i = 0; i < from->num; i++) {
        X509_up_ref(from->root[i].cert);
        EVP_PKEY_up_ref(from->root[i].key);
    }
}

void ca_roots_append(struct ca_roots *roots, struct ca_root root) {
    CHECK(roots->num < CA_ROOTS_MAX);
    roots->root[roots->num++] = root;
}

void ca_roots_remove(struct ca_roots *roots, size_t index) {
    CHECK(index < roots->num);
    X509_free(roots->root[index].cert);
    EVP_PKEY_free(roots->root[index].key);
    roots->num--;
    for (size_t i = index; i < roots->num; i++) {
        roots->root[i] = roots->root[i + 1];
    }
}

static bool check_directory(int fd, const char *dir, struct err *err) {
    struct stat st;
    if (fstat(fd, &st) != 0) {
        return ERR_SET_ERRNO(err, ERR_ENVIRONMENT, errno, "cannot look at %s", dir);
    }
    if (st.st_uid != geteuid()) {
        return ERR_SET(err, ERR_ENVIRONMENT, "the state directory %s belongs to uid %u, not to us",
                       dir, (unsigned)st.st_uid);
    }
    if ((st.st_mode & 0077) != 0) {
        return ERR_SET(err, ERR_ENVIRONMENT,
                       "the state directory %s is open to others (mode %04o): make it 0700", dir,
                       (unsigned)(st.st_mode & 07777));
    }
    return true;
}

int ca_state_open(const char *dir, struct err *err) {
    if (mkdir(dir, 0700) != 0 && errno != EEXIST) {
        ERR_SET_ERRNO(err, ERR_ENVIRONMENT, errno, "cannot make the state directory %s", dir);
        return -1;
    }
    int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) {
        ERR_SET_ERRNO(err, ERR_ENVIRONMENT, errno, "cannot open the state directory %s", dir);
        return -1;
    }
    bool usable = check_directory(fd, dir, err);
    if (usable && flock(fd, LOCK_EX | LOCK_NB) != 0) {
        usable = ERR_SET(err, ERR_ENVIRONMENT,
                         "the state directory %s is in use by another authority", dir);
    }
    if (!usable) {
        (void)close(fd);
        return -1;
    }
    return fd;
}

static bool join(char out[STATE_PATH_MAX], const char *dir, const char *name, struct err *err) {
    int len = snprintf(out, STATE_PATH_MAX, "%s/%s", dir, name);
    if (len < 0 || len >= STATE_PATH_MAX) {
        return ERR_SET(err, ERR_INPUT, "the path of the state directory is too long");
    }
    return true;
}

static bool load_keys(const char *path, struct key_list *out, struct err *err) {
    struct stat st;
    struct buf text __attribute__((cleanup(buf_clear_secret))) = {0};
    if (stat(path, &st) == 0 && (st.st_mode & 0077) != 0) {
        return ERR_SET(err, ERR_ENVIRONMENT, "%s is open to others (mode %04o): make it 0600", path,
                       (unsigned)(st.st_mode & 07777));
    }
    if (!file_read(path, STATE_FILE_MAX, &text, err)) {
        return false;
    }
    struct span bytes = buf_span(&text);
    OWNED(BIO_free_all) BIO *bio = BIO_new_mem_buf(bytes.ptr, (ossl_ssize_t)bytes.len);
    if (bio == NULL) {
        return ERR_NO_MEMORY(err, "reading the CA's keys");
    }
    while (out->num < sizeof(out->key) / sizeof(out->key[0])) {
        EVP_PKEY *key = PEM_read_bio_PrivateKey(bio, NULL, NULL, NULL);
        if (key == NULL) {
            break;
        }
        out->key[out->num++] = key;
    }
    ERR_clear_error();
    return true;
}

// The key that belongs to `cert`, referenced; NULL when there is none.
static EVP_PKEY *find_key(const struct key_list *keys, X509 *cert) {
    OWNED(EVP_PKEY_free) EVP_PKEY *public_key = X509_get_pubkey(cert);
    for (size_t i = 0; public_key != NULL && i < keys->num; i++) {
        if (EVP_PKEY_cmp(keys->key[i], public_key) == 1) {
            EVP_PKEY_up_ref(keys->key[i]);
            return keys->key[i];
        }
    }
    ERR_clear_error();
    return NULL;
}

// One certificate of ca.crt: `*end` at the end of the file.
static bool load_one(BIO *bio, const char *path, X509 **out, bool *end, struct err *err) {
    *out = PEM_read_bio_X509(bio, NULL, NULL, NULL);
    *end = *out == NULL && ERR_GET_REASON(ERR_peek_last_error()) == PEM_R_NO_START_LINE;
    ERR_clear_error();
    if (*out == NULL && !*end) {
        return ERR_SET(err, ERR_INPUT, "%s holds a certificate that cannot be read", path);
    }
    return true;
}

static bool add_root(struct ca_roots *roots, X509 **cert, const struct key_list *keys,
                     const char *path, struct err *err) {
    struct ca_root root = {.cert = *cert};
    if (!certificate_validity_of(root.cert, &root.validity)) {
        return ERR_SET(err, ERR_INPUT, "%s holds a certificate without readable times", path);
    }
    if (roots->num == CA_ROOTS_MAX) {
        return ERR_SET(err, ERR_INPUT, "%s holds more than %d certificates", path, CA_ROOTS_MAX);
    }
    root.key = find_key(keys, root.cert);
    if (root.key == NULL) {
        return ERR_SET(err, ERR_INPUT, "ca.key holds no key for a certificate of %s", path);
    }
    (void)take(cert);
    ca_roots_append(roots, root);
    return true;
}

struct reading {
    const char *path; // of the certificates
    const struct key_list *keys;
    int64_t now;
};

static bool load_roots(struct span pem, const struct reading *reading, struct ca_roots *roots,
                       struct err *err) {
    OWNED(BIO_free_all) BIO *bio = BIO_new_mem_buf(pem.ptr, (ossl_ssize_t)pem.len);
    if (bio == NULL) {
        return ERR_NO_MEMORY(err, "reading the CA's certificates");
    }
    for (;;) {
        OWNED(X509_free) X509 *cert = NULL;
        struct certificate_validity validity;
        bool end = false;
        if (!load_one(bio, reading->path, &cert, &end, err)) {
            return false;
        }
        if (end) {
            return true;
        }
        if (certificate_validity_of(cert, &validity) && validity.not_after < reading->now) {
            continue;
        }
        if (!add_root(roots, &cert, reading->keys, reading->path, err)) {
            return false;
        }
    }
}

bool ca_state_load(const char *dir, int64_t now, struct ca_roots *out, struct err *err) {
    char crt_path[STATE_PATH_MAX];
    char key_path[STATE_PATH_MAX];
    struct buf pem __attribute__((cleanup(buf_fini))) = {0};
    struct key_list keys __attribute__((cleanup(key_list_fini))) = {0};
    struct ca_roots roots __attribute__((cleanup(ca_roots_fini))) = {0};
    if (!join(crt_path, dir, "ca.crt", err) || !join(key_path, dir, "ca.key", err)) {
        return false;
    }
    const struct reading reading = {.path = crt_path, .keys = &keys, .now = now};
    if (access(crt_path, F_OK) != 0 && errno == ENOENT) {
        out->num = 0;
        return true;
    }
    if (!file_read(crt_path, STATE_FILE_MAX, &pem, err) || !load_keys(key_path, &keys, err) ||
        !load_roots(buf_span(&pem), &reading, &roots, err)) {
        return false;
    }
    ca_roots_copy(out, &roots);
    return true;
}

static bool write_bio(const char *dir, const char *name, BIO *bio, mode_t mode, struct err *err) {
    const uint8_t *bytes = NULL;
    size_t len = 0;
    char path[STATE_PATH_MAX];
    if (!BIO_mem_contents(bio, &bytes, &len)) {
        return ERR_NO_MEMORY(err, "writing the CA's files");
    }
    return join(path, dir, name, err) && file_write_atomic(path, span_of(bytes, len), mode, err);
}

bool ca_state_save(const char *dir, const struct ca_roots *roots, struct err *err) {
    OWNED(BIO_free_all) BIO *crt = BIO_new(BIO_s_mem());
    OWNED(BIO_free_all) BIO *key = BIO_new(BIO_s_mem());
    bool made = crt != NULL && key != NULL;
    for (size_t i = 0; made && i < roots->num; i++) {
        made = PEM_write_bio_X509(crt, roots->root[i].cert) &&
               PEM_write_bio_PKCS8PrivateKey(key, roots->root[i].key, NULL, NULL, 0, NULL, NULL);
    }
    if (!made) {
        return ERR_NO_MEMORY(err, "writing the CA's files");
    }
    return write_bio(dir, "ca.key", key, 0600, err) && write_bio(dir, "ca.crt", crt, 0644, err);
}
