#include "agent/tls/tls_bio.h"

#include <pthread.h>
#include <string.h>

#include <openssl/bio.h>

static int bio_read(BIO *handle, char *out, int cap) {
    struct tls_bio *bio = BIO_get_data(handle);
    BIO_clear_retry_flags(handle);
    if (cap <= 0) {
        return 0;
    }
    if (bio->fed.len == 0) {
        if (bio->input_ended) {
            bio->saw_end = true;
            return 0;
        }
        BIO_set_retry_read(handle);
        return -1;
    }
    size_t len = bio->fed.len < (size_t)cap ? bio->fed.len : (size_t)cap;
    memcpy(out, bio->fed.ptr, len);
    bio->fed = span_after(bio->fed, len);
    return (int)len;
}

uint8_t *tls_bio_reserve(struct tls_bio *bio, size_t len) {
    struct tls_scratch *scratch = bio->scratch;
    if (bio->is_out_of_memory) {
        return NULL;
    }
    if (scratch != NULL && bio->backlog.len == 0) {
        if (len <= TLS_SCRATCH_SIZE - scratch->len) {
            return scratch->bytes + scratch->len;
        }
        if (!tls_bio_keep(bio, span_of(scratch->bytes, scratch->len))) {
            return NULL;
        }
    }
    uint8_t *out = buf_reserve(&bio->backlog, len);
    bio->is_out_of_memory = out == NULL;
    return out;
}

void tls_bio_commit(struct tls_bio *bio, size_t len) {
    if (bio->scratch != NULL && bio->backlog.len == 0) {
        bio->scratch->len += len;
    } else {
        buf_commit(&bio->backlog, len);
    }
}

static int bio_write(BIO *handle, const char *bytes, int len) {
    struct tls_bio *bio = BIO_get_data(handle);
    BIO_clear_retry_flags(handle);
    if (len <= 0) {
        return 0;
    }
    uint8_t *out = tls_bio_reserve(bio, (size_t)len);
    if (out == NULL) {
        return -1;
    }
    memcpy(out, bytes, (size_t)len);
    tls_bio_commit(bio, (size_t)len);
    return len;
}

static long bio_ctrl(BIO *handle, int command, long number, void *pointer) {
    (void)handle;
    (void)number;
    (void)pointer;
    return command == BIO_CTRL_FLUSH ? 1 : 0;
}

static BIO_METHOD *method;
static pthread_once_t method_once = PTHREAD_ONCE_INIT;

static void method_make(void) {
    BIO_METHOD *made = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "tls_bio");
    if (made == NULL) {
        return;
    }
    BIO_meth_set_read(made, bio_read);
    BIO_meth_set_write(made, bio_write);
    BIO_meth_set_ctrl(made, bio_ctrl);
    method = made;
}

BIO *tls_bio_open(struct tls_bio *bio) {
    pthread_once(&method_once, method_make);
    BIO *handle = method == NULL ? NULL : BIO_new(method);
    if (handle != NULL) {
        BIO_set_data(handle, bio);
        BIO_set_init(handle, 1);
    }
    return handle;
}

void tls_bio_fini(struct tls_bio *bio) {
    buf_fini(&bio->backlog);
}

bool tls_bio_has_room(const struct tls_bio *bio, size_t len) {
    size_t used = bio->backlog.len;
    size_t cap = TLS_BACKLOG_MAX;
    if (bio->scratch != NULL && used == 0) {
        used = bio->scratch->len;
        cap = TLS_SCRATCH_SIZE;
    }
    return used <= cap && len <= cap - used;
}

bool tls_bio_keep(struct tls_bio *bio, struct span unsent) {
    if (unsent.len > 0 && !buf_append(&bio->backlog, unsent.ptr, unsent.len)) {
        bio->is_out_of_memory = true;
        return false;
    }
    if (bio->scratch != NULL) {
        bio->scratch->len = 0;
    }
    return true;
}
