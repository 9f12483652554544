// Which names a TLS server on an address is reached by: what its certificate is to say.
#ifndef AUTHORITY_LISTEN_NAMES_H
#define AUTHORITY_LISTEN_NAMES_H

#include "authority/certificate.h"
#include "base/netaddr.h"

#define LISTEN_NAMES_HOST_MAX 256

// A plain value; `names` points into it: it is not to be copied.
struct listen_names {
    struct certificate_names names;
    char host[LISTEN_NAMES_HOST_MAX];
};

// The address itself, or for 0.0.0.0 and [::] those of this machine at the moment; "localhost" for
// loopback ones, and this machine's name for others.
void listen_names_load(const struct netaddr *listen, struct listen_names *out);

#endif
