// Reading what a port's options name: lists of certificates, a chain with its key, a passphrase.
// Nothing of a key or a passphrase ever reaches a message.
#ifndef AGENT_EDGE_EDGE_FILES_H
#define AGENT_EDGE_EDGE_FILES_H

#include "agent/config/config_types.h"
#include "agent/tls/edge_server.h"
#include "base/err.h"

// The certificates of a list: files, and names of `store`. NULL with the sentence. One that comes
// from a URL is read from the written store.
struct anchors *edge_files_anchors(const struct config_trust_store *store,
                                   const struct certificate_refs *refs, struct err *err) MUST_USE;

// Fills `name`, `path`, `chain`, `key`, `kind`, `server_names` and `not_after`. The key belongs to
// the leaf. On error what was filled is still freed with the server.
bool edge_files_certificate(const struct edge_certificate_options *options,
                            struct edge_certificate *out, struct err *err) MUST_USE;
// False when the certificate has expired and `before` (may be NULL) is not as old: what expired
// since it was there blocks nothing. The sentence begins with certificate_expired.
bool edge_files_check_expiry(const struct edge_certificate *cert,
                             const struct edge_certificate *before, struct err *err) MUST_USE;

// Fills `staple`, its times and its status from the file that `options` name; `out` holds the
// chain. `*withheld` says why the response is not sent now (static text), NULL: it is. False when
// it must not be used at all.
bool edge_files_staple(const struct stapling_options *options, struct edge_certificate *out,
                       const char **withheld, struct err *err) MUST_USE;

// Others than its owner and group may read the file.
bool edge_files_is_open(const char *path);

// Appends the protocols' names in the wire's form. False when memory is short.
bool edge_files_alpn(struct buf *out, const struct string_list *names) MUST_USE;

#endif
