// A CA's roots and keys, and where they are kept: a directory of mode 0700 with ca.crt (all roots,
// PEM, oldest first) and ca.key (their keys, PEM, mode 0600). Values in, values out; what to keep
// and when is the CA's business.
#ifndef AUTHORITY_CA_STATE_H
#define AUTHORITY_CA_STATE_H

#include <stdbool.h>
#include <stddef.h>

#include <openssl/base.h>

#include "authority/certificate.h"
#include "base/err.h"

#define CA_ROOTS_MAX 4 // in practice two: one that signs and the one before or after it

struct ca_root {
    X509 *cert;
    EVP_PKEY *key;
    struct certificate_validity validity;
};

struct ca_roots { // owns its certificates and keys; oldest first
    struct ca_root root[CA_ROOTS_MAX];
    size_t num;
};

void ca_roots_fini(struct ca_roots *roots);
// References to the same certificates and keys.
void ca_roots_copy(struct ca_roots *out, const struct ca_roots *from);
// Takes the certificate and the key. There is room.
void ca_roots_append(struct ca_roots *roots, struct ca_root root);
// Drops root `index`.
void ca_roots_remove(struct ca_roots *roots, size_t index);

// Opens the directory, made with mode 0700 if it is missing, and locks it for this process. It must
// be our own and closed to others. -1 with the sentence on error; the caller closes the descriptor.
int ca_state_open(const char *dir, struct err *err) MUST_USE;

// Reads the roots; none when there is no ca.crt. Every root must have its key, unless it expired
// before `now`: such are left out.
bool ca_state_load(const char *dir, int64_t now, struct ca_roots *out, struct err *err) MUST_USE;

// Writes both files, each atomically and the keys first, so that a crash in between leaves every
// certificate with its key.
bool ca_state_save(const char *dir, const struct ca_roots *roots, struct err *err) MUST_USE;

#endif
