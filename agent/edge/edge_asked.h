// Certificates of ports whose OCSP responses are asked for at a responder: what to ask, and where.
// Part of an edge_set.
#ifndef AGENT_EDGE_EDGE_ASKED_H
#define AGENT_EDGE_EDGE_ASKED_H

#include <stddef.h>
#include <stdint.h>

#include "agent/config/config_types.h"
#include "agent/tls/edge_server.h"
#include "base/buf.h"
#include "base/err.h"

struct edge_asked {
    uint16_t port;
    const struct edge_certificate *cert;    // borrowed
    const struct stapling_options *options; // borrowed
    char *responder;                        // a URL that has been checked
    struct buf request;                     // in DER
};

struct edge_asked_list {
    struct edge_asked *items;
    size_t num;
};

// Adds a certificate with its chain, and gives it its `staple_slot`. False with the sentence when
// nobody can be asked about it.
bool edge_asked_add(struct edge_asked_list *list, uint16_t port,
                    const struct stapling_options *options, struct edge_certificate *cert,
                    struct err *err) MUST_USE;
void edge_asked_fini(struct edge_asked_list *list);

// By the certificate's issuer, and about it: whatever `asked` sent its request for. False with the
// sentence.
struct ocsp_response;
bool edge_asked_read(const struct edge_asked *asked, struct span der, struct ocsp_response *out,
                     struct err *err) MUST_USE;

#endif
