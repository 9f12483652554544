// A plain view of the certificates that the configuration names.
#ifndef AGENT_OBSERVE_CERTIFICATE_VIEW_H
#define AGENT_OBSERVE_CERTIFICATE_VIEW_H

#include <stdbool.h>
#include <stdint.h>

// The OCSP response that goes with a certificate.
struct staple_view {
    const char *status; // "good", "revoked", "unknown", "pending": there was none yet; static text;
                        // NULL: nothing is stapled
    bool is_wanted;     // what it says is for clients
    int64_t from, until;  // Unix seconds: when it is sent; INT64_MAX: no end
    int64_t asked_s;      // of a responder: 0: not asked, or it is a file
    int64_t due_s;        // when it is asked next; 0: at once, or it is a file
    char source[512];     // a file or a URL; cut when longer
    char last_error[256]; // of the last question; "" after a success
};

// One row for all certificates of one file in one place.
struct certificate_view {
    char logical_name[384]; // "inbound/8443/www"
    char path[512];         // or a name of the trust store; cut when longer
    int64_t not_after;      // Unix seconds; of the first that expires
    struct staple_view staple;
};

static inline bool certificate_view_is_stapled(const struct certificate_view *cert, int64_t now_s) {
    const struct staple_view *staple = &cert->staple;
    return staple->is_wanted && staple->from <= now_s && now_s < staple->until;
}

#endif
