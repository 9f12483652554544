// TLS that ends at one of the application's ports: which certificate for which server name, and
// what a client has to prove. Loaded as a whole, then immutable; whoever loaded it owns it, and it
// outlives every session. What changes with the name is set on each connection's SSL when its
// ClientHello is known, because switching contexts would not carry it over.
#ifndef AGENT_TLS_EDGE_SERVER_H
#define AGENT_TLS_EDGE_SERVER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <openssl/base.h>
#include <openssl/pool.h>

#include "agent/tls/client_hello.h"
#include "base/buf.h"
#include "base/err.h"
#include "certmgr/anchors.h"
#include "certmgr/subject_rule.h"

#define EDGE_SESSION_LIFETIME_S 3600 // from the full handshake on
// Of issuers that are named to clients: BoringSSL's take 16 KiB of CertificateRequest.
#define EDGE_ISSUERS_MAX (8 * 1024)

enum edge_auth { EDGE_AUTH_NONE, EDGE_AUTH_OPTIONAL, EDGE_AUTH_REQUIRED };

enum edge_version { EDGE_TLS_1_2 = 0x0303, EDGE_TLS_1_3 = 0x0304 };

// What a client has to prove. A certificate is good when one of the two lists takes it.
struct edge_rules {
    enum edge_auth auth;
    bool by_spiffe;                // a workload identity instead of the lists
    const struct anchors *clients; // borrowed; NULL: none
    const struct anchors *peers;
    unsigned depth;
    bool allow_outdated, allow_weak;
    bool answers_http; // a client that is not accepted is told so by HTTP, request by request
    bool full_subject; // else by CN or DNS name
    const struct subject_rule *subjects; // borrowed
    size_t num_subjects;                 // 0: any subject
    uint16_t min_version, max_version;   // enum edge_version
};

enum edge_key { EDGE_KEY_RSA, EDGE_KEY_P256, EDGE_KEY_P384 };

struct edge_certificate {
    const char *name;    // borrowed
    const char *path;    // borrowed
    char **server_names; // owned; lower case, exact, "*.x" for one label, "*" for all
    size_t num_server_names;
    CRYPTO_BUFFER **chain; // owned, leaf first
    size_t num_chain;
    EVP_PKEY *key; // owned
    enum edge_key kind;
    int64_t not_after;
    struct buf staple; // an OCSP response in DER; empty: none
    int64_t staple_from, staple_until;
    const char *staple_status;   // of the file's: what it says; static text, NULL: there is no file
    const char *staple_path;     // borrowed
    size_t staple_slot;          // else its place in an edge_staples; 0: nobody is asked
    struct anchors *own_clients; // owned; NULL: the port's
    struct edge_rules rules;
    STACK_OF(CRYPTO_BUFFER) * issuers; // owned; named to clients; by edge_server_finish; as above
};

void edge_certificate_fini(struct edge_certificate *cert);

struct edge_server {
    struct edge_certificate *certificates; // owned; none: the workload's own is presented
    size_t num_certificates;
    struct edge_rules rules;         // of the workload's certificate
    struct anchors *clients, *peers; // owned; NULL: none
    const char *fallback_name;       // borrowed; for clients without SNI; NULL: none
    struct buf alpn;                 // in the wire's form, best first
    uint16_t suites[3];              // of TLS 1.3 that may come out; num_suites 0: any
    size_t num_suites;
    bool resumes; // tickets are given and taken
    SSL_CTX *ssl; // owned; by edge_server_finish
};

// Everything but `ssl` is set. `ciphers` is for TLS 1.2 (NULL: the default). False with the
// sentence, which begins with the key of the configuration that is wrong.
bool edge_server_finish(struct edge_server *server, const char *ciphers, struct err *err) MUST_USE;
void edge_server_fini(struct edge_server *server);

// "TLS_AES_128_GCM_SHA256" and its like; 0: no suite of TLS 1.3.
uint16_t edge_server_suite(const char *name);

// Which certificate answers; NULL: `*why` says why none does (static text). Never asked of a server
// without certificates.
const struct edge_certificate *edge_server_choose(const struct edge_server *server,
                                                  const struct client_hello *hello,
                                                  const char **why);

#endif
