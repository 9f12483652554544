// The certificates in the bytes of one file, as users have them: PEM with several blocks, comments,
// CRLF, TRUSTED CERTIFICATE; or DER, one or several. What is broken is said and the rest is taken.
// A private key is never decoded, let alone copied. Pure.
#ifndef CERTMGR_TRUST_TRUST_INPUT_H
#define CERTMGR_TRUST_TRUST_INPUT_H

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"
#include "base/own.h"
#include "base/span.h"
#include "certmgr/trust/trust_cert.h"

#define TRUST_INPUT_MAX ((size_t)64 << 20) // bytes of one file
#define TRUST_INPUT_PROBLEMS_MAX 20        // that are said of one file; the last says how many more

// Who is told. Each returns false to stop (memory is short).
struct trust_input_sink {
    void *arg;
    // Takes `cert`. `index` counts the certificates of this input from 0.
    bool (*certificate)(void *arg, struct trust_cert *cert, size_t index);
    bool (*problem)(void *arg, const char *sentence); // "block 2: ..."
};

// At least one certificate or problem is reported. False when a sink stopped.
bool trust_input_parse(struct span input, const struct trust_input_sink *sink) MUST_USE;

#endif
