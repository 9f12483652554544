// All certificates of a trust store, and what could not be taken. Immutable, shared by reference
// count; trust_builder makes it.
#ifndef CERTMGR_TRUST_TRUST_SET_H
#define CERTMGR_TRUST_TRUST_SET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/own.h"
#include "certmgr/trust/trust_cert.h"

// Who brought a certificate first: the user, the SPIFFE bundles in use, the public roots.
enum trust_origin { TRUST_USER, TRUST_SPIFFE, TRUST_PUBLIC };
const char *trust_origin_name(enum trust_origin origin); // "user", "spiffe", "public"

#define TRUST_SET_ALSO_MAX 8 // further places of one certificate that are kept

struct trust_entry {
    struct trust_cert *cert;
    char *alias;  // no other entry has it, whatever a Java key store makes of letter case
    char *source; // a path, a URL, "trustStore.certificates[NAME]"
    char *also_in[TRUST_SET_ALSO_MAX]; // further sources of the user's
    size_t num_also_in;
    enum trust_origin origin;
    bool is_public;    // it is also one of the public roots
    bool is_loaded;    // it is in the store; else only a file of its own
    unsigned findings; // bits of enum trust_finding, when the set was made
};

// What was left out or is worth saying.
struct trust_problem {
    char *place; // as an entry's source
    char *sentence;
    bool is_whole; // nothing of this place was taken
};

struct trust_set {
    struct trust_entry **entries; // by SHA-256, ascending
    size_t num_entries;
    struct trust_problem *problems; // in the order in which they were met
    size_t num_problems;
    size_t num_unsaid;   // further problems, which were not kept
    int64_t next_change; // Unix seconds at which a finding changes; INT64_MAX: never
};

struct trust_set *trust_set_ref(struct trust_set *set);
void trust_set_unref(struct trust_set *set);
OWN_DEFINE(struct trust_set, trust_set_unref)

// Which outputs hold an entry.
bool trust_set_is_in_bundle(const struct trust_entry *entry); // combined PEM, hash directory
bool trust_set_is_in_extra(const struct trust_entry *entry);  // PEM without the public roots
bool trust_set_is_in_java(const struct trust_entry *entry);   // PKCS#12 and JKS
bool trust_set_has_own_file(const struct trust_entry *entry); // certs/public/ALIAS

size_t trust_set_count(const struct trust_set *set, enum trust_origin origin);
// The entry of this alias (the case of ASCII letters does not matter), or the only one whose SHA-1
// or SHA-256 starts with these hex digits, at least 8 of them. NULL when there is none or several.
const struct trust_entry *trust_set_find(const struct trust_set *set, const char *name);

// For trust_builder.
struct trust_set *trust_set_new(void) MUST_USE; // empty, one reference

#endif
