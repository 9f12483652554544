// A plain view of the certificates that the configuration names.
#ifndef AGENT_OBSERVE_CERTIFICATE_VIEW_H
#define AGENT_OBSERVE_CERTIFICATE_VIEW_H

#include <stdint.h>

// One row for all certificates of one file in one place.
struct certificate_view {
    char logical_name[384]; // "inbound/8443/www"
    char path[512];         // or a name of the trust store; cut when longer
    int64_t not_after;      // Unix seconds; of the first that expires
};

#endif
