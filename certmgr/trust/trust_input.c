#include "certmgr/trust/trust_input.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <openssl/mem.h>

#include "certmgr/pem_blocks.h"
#include "certmgr/x509_der.h"

#define DER_SEQUENCE 0x30
#define PEM_BLOCK_MAX ((size_t)2 * TRUST_CERT_DER_MAX) // base64 of a certificate, and line ends

OWN_DEFINE(uint8_t, OPENSSL_free)

struct reading {
    const struct trust_input_sink *sink;
    size_t num_certificates;
    size_t num_problems;
    bool stopped;
};

static void say(struct reading *reading, const char *format, ...) PRINTF_LIKE(2, 3);

static void say(struct reading *reading, const char *format, ...) {
    char sentence[ERR_MSG_MAX + 64];
    if (++reading->num_problems > TRUST_INPUT_PROBLEMS_MAX || reading->stopped) {
        return;
    }
    va_list args;
    va_start(args, format);
    (void)vsnprintf(sentence, sizeof(sentence), format, args);
    va_end(args);
    reading->stopped = !reading->sink->problem(reading->sink->arg, sentence);
}

static void take_certificate(struct reading *reading, const char *what, size_t number,
                             struct span der, bool may_trail) {
    struct err err = {0};
    struct trust_cert *cert = trust_cert_parse(der, may_trail, &err);
    if (cert == NULL) {
        say(reading, "%s %zu: %s", what, number, err.msg);
        return;
    }
    reading->stopped =
        !reading->sink->certificate(reading->sink->arg, cert, reading->num_certificates++);
}

// --- PEM ---

static bool is_key(struct span label) {
    static const char word[] = "PRIVATE KEY";
    return label.len >= strlen(word) &&
           memcmp(label.ptr + label.len - strlen(word), word, strlen(word)) == 0;
}

static bool is_certificate(struct span label, bool *may_trail) {
    *may_trail = span_equal_text(label, "TRUSTED CERTIFICATE");
    return *may_trail || span_equal_text(label, "CERTIFICATE") ||
           span_equal_text(label, "X509 CERTIFICATE");
}

static void take_block(struct reading *reading, const struct pem_block *block, size_t number) {
    bool may_trail = false;
    if (is_key(block->label)) {
        say(reading,
            "block %zu is a PRIVATE KEY: it was not copied, but it does not belong in a "
            "directory of public certificates",
            number);
        return;
    }
    if (!is_certificate(block->label, &may_trail)) {
        say(reading, "block %zu is no certificate but \"%.*s\"", number, (int)block->label.len,
            (const char *)block->label.ptr);
        return;
    }
    if (block->body.len > PEM_BLOCK_MAX) {
        say(reading, "block %zu has %zu bytes; at most %zu are taken", number, block->body.len,
            PEM_BLOCK_MAX);
        return;
    }
    OWNED(OPENSSL_free) uint8_t *der = NULL;
    size_t len = 0;
    struct err err = {0};
    if (pem_blocks_decode(block, &der, &len, &err)) {
        take_certificate(reading, "block", number, span_of(der, len), may_trail);
    } else {
        say(reading, "block %zu: it %s", number, err.msg);
    }
}

static void take_pem(struct reading *reading, struct pem_blocks *blocks) {
    for (size_t number = 1; !reading->stopped; number++) {
        struct pem_block block = {0};
        struct err err = {0};
        switch (pem_blocks_next(blocks, &block, &err)) {
        case PEM_BLOCKS_END:
            return;
        case PEM_BLOCKS_ONE:
            take_block(reading, &block, number);
            break;
        case PEM_BLOCKS_BAD:
            say(reading, "block %zu: the file %s", number, err.msg);
            break;
        }
    }
}

// --- DER ---

static void take_der(struct reading *reading, struct span rest) {
    for (size_t number = 1; rest.len > 0 && !reading->stopped; number++) {
        struct span element;
        struct err err = {0};
        if (!x509_der_next(&rest, &element, &err)) {
            say(reading, "certificate %zu: %s", number, err.msg);
            return;
        }
        take_certificate(reading, "certificate", number, element, false);
    }
}

bool trust_input_parse(struct span input, const struct trust_input_sink *sink) {
    struct reading reading = {.sink = sink};
    struct pem_blocks blocks;
    pem_blocks_init(&blocks, input);
    if (!pem_blocks_at_end(&blocks)) {
        take_pem(&reading, &blocks);
    } else if (input.len > 0 && input.ptr[0] == DER_SEQUENCE) {
        take_der(&reading, input);
    }
    if (reading.num_certificates == 0 && reading.num_problems == 0) {
        say(&reading, input.len == 0 ? "it is empty" : "it holds no certificate, PEM or DER");
    }
    if (reading.num_problems > TRUST_INPUT_PROBLEMS_MAX && !reading.stopped) {
        char sentence[64];
        (void)snprintf(sentence, sizeof(sentence), "and %zu more problems",
                       reading.num_problems - TRUST_INPUT_PROBLEMS_MAX);
        reading.stopped = !sink->problem(sink->arg, sentence);
    }
    return !reading.stopped;
}
