// The headers that tell the application who its client is: made from the certificate that TLS has
// verified, and from nothing else.
#ifndef AGENT_HTTP_CLIENT_HEADERS_H
#define AGENT_HTTP_CLIENT_HEADERS_H

#include "agent/http/http_fields.h"
#include "base/err.h"

// `der` is the verified leaf, `spiffe_id` its SPIFFE ID or NULL. Sets
//   X-Ssl-Client-S-DN          subject, RFC 2253
//   X-Ssl-Client-Serial        upper-case hex
//   X-Ssl-Client-Fingerprint   SHA-1 of the DER, lower-case hex
//   X-Ssl-Client-Sha256        SHA-256 of the DER, lower-case hex
//   X-Ssl-Client-Spiffe-Id     when there is one
//   X-Forwarded-Client-Cert    Hash, Subject and URI of the above, as Envoy writes them
// False with the sentence when one cannot be written exactly: the connection is then to be refused.
bool client_headers_from_der(struct http_fields *out, struct span der, const char *spiffe_id,
                             struct err *err) MUST_USE;

#endif
