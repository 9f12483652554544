// What the tests of the SDS modules share: responses as a server would write them.
#ifndef TESTS_CERTMGR_SDS_FIXTURE_H
#define TESTS_CERTMGR_SDS_FIXTURE_H

#include <stddef.h>

#include "base/buf.h"
#include "base/span.h"
#include "proto/sds.pb-c.h"
#include "tests/testing/pki.h"

#define SDS_FIXTURE_PREFIX "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3."
#define SDS_FIXTURE_SECRETS_MAX 80

// One DataSource; `value` is borrowed.
Sds__DataSource sds_fixture_inline(struct span value);
Sds__DataSource sds_fixture_file(const char *path);
Sds__DataSource sds_fixture_environment(const char *name);

// A response under construction; its secrets are packed as they are added.
struct sds_fixture {
    struct buf secrets[SDS_FIXTURE_SECRETS_MAX];
    const char *types[SDS_FIXTURE_SECRETS_MAX];
    size_t num;
};
void sds_fixture_fini(struct sds_fixture *fixture);

void sds_fixture_secret(struct sds_fixture *fixture, const Sds__Secret *secret);
void sds_fixture_certificate(struct sds_fixture *fixture, const char *name, Sds__DataSource chain,
                             Sds__DataSource key);
void sds_fixture_bundle(struct sds_fixture *fixture, const char *name, Sds__DataSource ca);
// With the SPIFFE validator.
struct sds_fixture_domain {
    const char *name;
    Sds__DataSource bundle;
};
void sds_fixture_validator(struct sds_fixture *fixture, const char *name,
                           const struct sds_fixture_domain *domains, size_t num);

// Appends the response.
void sds_fixture_render(const struct sds_fixture *fixture, const char *version, const char *nonce,
                        struct buf *out);

// PEM of a certificate, and of its key; appended.
void sds_fixture_pem(const struct pki_cert *cert, struct buf *out);
void sds_fixture_key_pem(const struct pki_cert *cert, struct buf *out);

// The usual response: "default" is a certificate of `ca` for `spiffe_id`, "ROOTCA" is `ca`; NULL
// leaves the one or the other out. All in inline PEM.
void sds_fixture_usual(struct buf *out, const char *version, const struct pki_cert *ca,
                       const char *spiffe_id, const struct pki_cert *roots);

#endif
