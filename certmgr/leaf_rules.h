// What a leaf certificate must say about itself to serve as an identity: the X.509-SVID profile
// and the points that path validation does not refuse (SPIFFE X509-SVID, 3-5; RFC 5280).
// The same rules for our own SVID and for peers. Pure; signatures and times are not looked at.
#ifndef CERTMGR_LEAF_RULES_H
#define CERTMGR_LEAF_RULES_H

#include <stdbool.h>

#include <openssl/base.h>

#include "base/err.h"
#include "base/netaddr.h"
#include "base/span.h"
#include "certmgr/spiffe_id.h"

// The single URI SAN as a SPIFFE ID with a path: none, two, another kind of name, or a text that
// the strict parser refuses are errors.
bool leaf_rules_id(const X509 *leaf, struct spiffe_id *out, struct err *err) MUST_USE;

// An end-entity certificate that may sign a handshake: version 3, cA false, neither keyCertSign
// nor cRLSign, digitalSignature where keyUsage is there, no name constraints.
bool leaf_rules_usage(const X509 *leaf, struct err *err) MUST_USE;

// The same for an X509-SVID: keyUsage must be there and critical (SPIFFE X509-SVID, 4.3).
bool leaf_rules_svid_usage(const X509 *leaf, struct err *err) MUST_USE;

// Whether a DNS SAN matches `name` (RFC 6125 6.4): the same labels without regard to ASCII case,
// or `*` as the whole left-most label with at least two labels after it. The subject is not
// looked at.
bool leaf_rules_has_dns_name(const X509 *leaf, struct span name);

// Whether an IP address SAN is `addr`; the port is not looked at.
bool leaf_rules_has_address(const X509 *leaf, const struct netaddr *addr);

#endif
