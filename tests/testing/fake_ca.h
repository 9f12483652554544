// A scripted Istio CA: TLS and gRPC as the authority does them, answers as the test says, in its
// own thread.
#ifndef TESTS_TESTING_FAKE_CA_H
#define TESTS_TESTING_FAKE_CA_H

#include <stdint.h>

#include "base/buf.h"
#include "base/own.h"
#include "base/span.h"
#include "certmgr/grpc_code.h"
#include "tests/testing/pki.h"

#define FAKE_CA_NAME "ca.test" // the DNS name in its certificate, beside 127.0.0.1
#define FAKE_CA_ID "spiffe://td/ns/default/sa/web"

struct fake_ca_reply {
    enum grpc_code code; // GRPC_CODE_OK: `message` is the answer
    const char *reason;  // static text
    struct buf message;
    bool is_silent; // no answer at all
};

// Answers a request message; called on the server's thread.
typedef void fake_ca_answer_fn(void *arg, struct span request, struct fake_ca_reply *reply);

struct fake_ca_seen {
    unsigned num_calls;
    char authorization[128]; // of the last call
    char cluster_id[64];
    char method[128];
};

struct fake_ca;

// Listens on 127.0.0.1. Its own certificate is issued by `root`, which is borrowed, as are the
// certificate and key that it shows when `shown` is not NULL. `port` 0: any.
struct fake_ca_options {
    const struct pki_cert *root;
    const struct pki_cert *shown;
    uint16_t port;
    fake_ca_answer_fn *answer;
    void *arg;
};
struct fake_ca *fake_ca_new(const struct fake_ca_options *options) MUST_USE;
void fake_ca_free(struct fake_ca *fake);
OWN_DEFINE(struct fake_ca, fake_ca_free)

uint16_t fake_ca_port(const struct fake_ca *fake);
struct fake_ca_seen fake_ca_seen(struct fake_ca *fake);

// A well-formed answer: certifies the key of the request's CSR for `spiffe_id` until `not_after`
// (Unix seconds) and appends the message.
void fake_ca_certify(const struct pki_cert *root, struct span request, const char *spiffe_id,
                     int64_t not_after, struct buf *out);

#endif
