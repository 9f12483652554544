// What the audit says of a connection, as one line of JSON (the fields' names are Redis
// Enterprise's, with TLS added; docs/edge-tls.md, RE35). Pure. Text from a peer is escaped to
// ASCII, so a line is one line whatever a certificate holds.
#ifndef AGENT_AUDIT_AUDIT_RECORD_H
#define AGENT_AUDIT_AUDIT_RECORD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/netaddr.h"

enum audit_event {
    AUDIT_NEW_CONN,        // somebody connected to the application
    AUDIT_AUTH,            // what TLS and the lists say of who that is
    AUDIT_REQUEST_REFUSED, // a request that was answered in the application's place
    AUDIT_CLOSE_CONN,
};

// Texts are borrowed; what is NULL, "" or NETADDR_NONE is left out.
struct audit_record {
    enum audit_event event;
    uint64_t id; // of the connection, in this process; 0: it did not come to one
    struct netaddr source, destination;
    const char *transport; // "direct", "tunnel"
    // AUDIT_AUTH
    const char *status;       // "accepted", "refused"
    bool has_peer;            // there was a certificate: `is_verified` says something
    bool is_verified;         // else the subject is a claim
    const char *username;     // common name, verified
    const char *identity;     // SPIFFE ID, else the subject; verified
    const char *peer_subject; // RFC 2253
    const char *peer_serial;
    const char *server_name, *tls_version, *tls_cipher;
    const char *verify_error; // verify_result.def
    // of whatever was refused, and of the end
    const char *reason; // close_reason.def, http_reason.def
    const char *rule;   // the key that refused
    const char *detail; // one sentence
    int http_status;    // AUDIT_REQUEST_REFUSED
    uint64_t bytes_sent, bytes_received;
    int64_t duration_ms;
};

#define AUDIT_LINE_MAX 8192

// The part of a line behind "ts" and "audit_seq", with its newline: "\"new_conn\":{...}}\n".
// Returns its length. Pairs that do not fit are left out, and the line says "truncated".
size_t audit_record_render(const struct audit_record *record, char out[AUDIT_LINE_MAX]);

#endif
