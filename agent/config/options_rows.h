// How the tables of options_*.c are written: a word for each type and field of a row. For those
// files alone. Offsets of sections that occur once are into struct config, those of a list's items
// into the item. The sentences are for the reference page, docs/configuration.md.
#ifndef AGENT_CONFIG_OPTIONS_ROWS_H
#define AGENT_CONFIG_OPTIONS_ROWS_H

#include <stddef.h>
#include <stdint.h>

#include "agent/config/config_types.h"
#include "agent/config/options.h"

#define HOUR_MS INT64_C(3600000)
#define YEAR_MS (365 * 24 * HOUR_MS)
#define PORT_MAX 65535
#define UID_MAX INT64_C(4294967294) // the value above it means "no uid" to the kernel
#define ADDRESSES_MAX 16            // of one kind of listener
#define ITEMS_MAX 1024

#define VALUE(T, member) .offset = offsetof(T, member), .size = sizeof(((T *)0)->member)
#define LIST(T, items_, num_, max_)                                                                \
    .is_list = true, .offset = offsetof(T, items_), .size = sizeof(*((T *)0)->items_),             \
    .num_offset = offsetof(T, num_), .list_max = (max_)
#define HAS(T, member) .has_offset = offsetof(T, member)

#define ADDRESS .type = OPTION_ADDRESS
#define PLACE .type = OPTION_PLACE
#define PREFIXES .type = OPTION_PREFIX
#define PORTS .type = OPTION_PORTS, .min = 1, .max = PORT_MAX
#define PORT .type = OPTION_NUMBER, .min = 1, .max = PORT_MAX
#define PATTERNS .type = OPTION_TEXT, .check = spiffe_pattern_check, .form = "SPIFFE patterns"
#define TEXT(check_, form_) .type = OPTION_TEXT, .check = (check_), .form = (form_)
#define CHOICE(choices_) .type = OPTION_CHOICE, .choices = (choices_)
#define NOT_YET(name)                                                                              \
    { .key = (name), .type = OPTION_NOT_YET }
#define SECTION(name, section_, sentence)                                                          \
    { .key = (name), .type = OPTION_SECTION, .section = &(section_), .meaning = (sentence) }
// The files of a struct edge_certificate_options.
#define CERTIFICATE_FILES                                                                          \
    {.key = "certFile",                                                                            \
     TEXT(text_checks_path, "absolute path"),                                                      \
     VALUE(struct edge_certificate_options, cert_file),                                            \
     .is_required = true,                                                                          \
     .meaning = "The chain, leaf first, PEM."},                                                    \
        {.key = "keyFile",                                                                         \
         TEXT(text_checks_path, "absolute path"),                                                  \
         VALUE(struct edge_certificate_options, key_file),                                         \
         .is_required = true,                                                                      \
         .meaning = "Its private key, PEM or DER."},                                               \
    {                                                                                              \
        .key = "keyPassphrase", TEXT(text_checks_secret_ref, "`env:NAME` or `file:PATH`"),         \
        VALUE(struct edge_certificate_options, key_passphrase), .is_hidden = true,                 \
        .meaning = "Where the passphrase of an encrypted key is."                                  \
    }
#define END                                                                                        \
    { .key = NULL }

extern const struct option_section options_identity;
extern const struct option_section options_outbound;
extern const struct option_section options_inbound;
extern const struct option_section options_port; // an item of inbound.ports
extern const struct option_section options_certificate_ref;
extern const struct option_section options_subject;   // an item of authorizedSubjects
extern const struct option_section options_http_rule; // an item of inbound.ports[].httpRules
extern const struct option_section options_stapling;  // of one of its certificates
extern const struct option_choice options_tls_versions[];
extern const struct option_section options_intercept;
extern const struct option_section options_status;
extern const struct option_section options_trust;

#endif
