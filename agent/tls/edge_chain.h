// A certificate chain and its key, as an edge_server presents them: from DER to what TLS takes.
#ifndef AGENT_TLS_EDGE_CHAIN_H
#define AGENT_TLS_EDGE_CHAIN_H

#include "agent/tls/edge_server.h"
#include "base/buf.h"
#include "base/err.h"
#include "base/span.h"

// Fills `chain`, `key`, `kind` and `not_after` from DER: certificates, leaf first, and PKCS#8.
// The sentence begins with certFile or keyFile.
bool edge_chain_fill(struct edge_certificate *out, struct span chain, struct span key,
                     struct err *err) MUST_USE;
// Fills `server_names` with the DNS names of the leaf, or its CN where it has none.
bool edge_chain_take_names(struct edge_certificate *out, struct err *err) MUST_USE;
// An encrypted PEM key ("ENCRYPTED PRIVATE KEY", or one with DEK-Info) as PKCS#8 DER.
bool edge_chain_decrypt(struct span pem, struct span passphrase, struct buf *out,
                        struct err *err) MUST_USE;

#endif
