// A set of a few certificates for tests of what is made of one. A failure aborts.
#ifndef TESTS_TRUST_TRUST_FIXTURE_H
#define TESTS_TRUST_TRUST_FIXTURE_H

#include "certmgr/trust/trust_builder.h"
#include "certmgr/trust/trust_set.h"
#include "tests/testing/pki.h"

// Adds one certificate; the set is made by trust_builder_finish.
void trust_fixture_add(struct trust_builder *builder, enum trust_origin origin, const char *name,
                       const struct pki_cert *cert);
// "alpha" and "beta" of the user's, one public root. The certificates are not needed any more.
struct trust_set *trust_fixture_set(void);

#endif
