// What SDS secrets hold: their DataSources are read (inline, files, environment variables), parsed
// (PEM or DER) and judged as far as one secret alone allows. Results are pieces of an update.
#ifndef CERTMGR_SDS_MATERIAL_H
#define CERTMGR_SDS_MATERIAL_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/own.h"
#include "certmgr/sds_codec.h"
#include "certmgr/update.h"

// A certificate gives one SVID without bundle, with the SPIFFE ID of the certificate; key and chain
// belong together (certmgr/svid.h). A bundle gives `federated`, one entry for each trust domain,
// and `crls`; with trusted_ca, which is of no named domain, one entry with an empty name.
// NULL with the sentence on error.
struct update *sds_material_load(const struct sds_secret *secret, struct err *err) MUST_USE;

// The two together as a complete update: the bundle of the SVID's own trust domain is needed, the
// others are federated. NULL with the sentence on error.
struct update *sds_material_join(const struct update *certificate, const struct update *bundle,
                                 struct err *err) MUST_USE;

// How the files that a secret names look from outside; another value once one of them has changed.
struct sds_mark {
    uint64_t hash;
    bool is_fresh; // changed so recently that a further change might not show in `hash`
};
bool sds_material_has_files(const struct sds_secret *secret);
struct sds_mark sds_material_mark(const struct sds_secret *secret);

#endif
