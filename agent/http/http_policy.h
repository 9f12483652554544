// What a request on an `http` port becomes: forwarded with which target, or answered here and why.
// A policy is immutable and belongs to one port and server name; it does not own TLS: what the
// handshake found out comes as plain facts.
#ifndef AGENT_HTTP_HTTP_POLICY_H
#define AGENT_HTTP_HTTP_POLICY_H

#include <stdint.h>

#include "agent/http/http_fields.h"
#include "agent/http/http_rules.h"
#include "base/buf.h"

enum http_reason { // why a request was answered here: a bounded set, for metrics and /refusals
#define HTTP_REASON(id, name) id,
#include "agent/http/http_reason.def"
#undef HTTP_REASON
    HTTP_REASON_COUNT
};
const char *http_reason_name(enum http_reason reason);

// A server name that the port has a certificate for, and whether its clients must show one.
struct http_server_name {
    const char *pattern; // as http_rules_host_matches
    bool requires_client;
};

struct http_policy_setup { // borrowed during http_policy_new only
    const struct http_rule *rules;
    size_t num_rules;
    const char *const *skip_mtls; // skipMtlsUriRegex
    size_t num_skip_mtls;
    const struct http_server_name *names;
    size_t num_names;
    bool check_host_matches_sni;
    bool redirect_to_https; // plaintext requests are answered with 301
    uint16_t port;          // that clients connect to, for the redirect
};

struct http_policy;

struct http_policy *http_policy_new(const struct http_policy_setup *setup,
                                    struct err *err) MUST_USE;
void http_policy_free(struct http_policy *policy);
OWN_DEFINE(struct http_policy, http_policy_free)

enum http_client_state {
    HTTP_CLIENT_NONE,     // showed no certificate
    HTTP_CLIENT_VERIFIED, // or came through the tunnel
    HTTP_CLIENT_REFUSED,  // showed one that is not accepted
};

// What is known about the connection that requests come by. Borrowed while it lasts.
struct http_caller {
    bool tls;             // it is encrypted to here: by this port's TLS or by the tunnel
    bool mesh;            // by the tunnel: who it is for was agreed on there, without server names
    const char *sni;      // or the fallback name; NULL when there is none
    bool requires_client; // a certificate, for every URI that is not exempted
    enum http_client_state client;
    const char *refusal;             // HTTP_CLIENT_REFUSED: the verifier's words
    const struct http_fields *facts; // client_headers; NULL: no headers are to be set
};

#define HTTP_WHY_MAX 512

struct http_verdict {
    int status; // 0: forward to the application
    enum http_reason reason;
    char why[HTTP_WHY_MAX]; // one sentence for the log
    struct buf target;      // what the application is asked for, or Location for 301
};
void http_verdict_fini(struct http_verdict *verdict);

// `request` has :method, :path and :authority.
void http_policy_judge(const struct http_policy *policy, const struct http_caller *caller,
                       const struct http_fields *request, struct http_verdict *out);

#endif
