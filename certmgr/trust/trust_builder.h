// Makes a trust_set out of certificates as they are found, place by place. The same certificate
// from two places is one entry (by SHA-256): the first place names it. Names go as Azure Spring's
// do: a file's name without its last extension is the alias, further certificates of that file are
// NAME-1, NAME-2, and another certificate under a taken alias becomes NAME-<8 hex of its SHA-256>.
#ifndef CERTMGR_TRUST_TRUST_BUILDER_H
#define CERTMGR_TRUST_TRUST_BUILDER_H

#include <stdbool.h>
#include <stdint.h>

#include "base/own.h"
#include "certmgr/trust/trust_cert.h"
#include "certmgr/trust/trust_set.h"

#define TRUST_BUILDER_CERTS_MAX 100000
#define TRUST_BUILDER_PROBLEMS_MAX 10000 // that are kept
#define TRUST_BUILDER_STEM_MAX 180       // bytes of a name, before what makes it unique

// Where certificates are from and what becomes of them. Borrowed until trust_builder_end.
struct trust_place {
    const char *source; // for people
    const char *stem;   // the alias to begin with; NULL: from each subject
    enum trust_origin origin;
    bool is_loaded;
};

struct trust_builder;

// Certificates with a finding of `refuse` are left out, public roots excepted: what a browser
// vendor trusts is not the user's to judge. `now` is Unix seconds.
struct trust_builder *trust_builder_new(unsigned refuse, int64_t now) MUST_USE;
void trust_builder_free(struct trust_builder *builder);
OWN_DEFINE(struct trust_builder, trust_builder_free)

void trust_builder_begin(struct trust_builder *builder, const struct trust_place *place);
// Takes `cert` in any case. What is left out becomes a problem. False when memory is short.
bool trust_builder_add(struct trust_builder *builder, struct trust_cert *cert) MUST_USE;
bool trust_builder_say(struct trust_builder *builder, const char *sentence) MUST_USE;
// How many certificates the place brought, those that were there already included.
size_t trust_builder_end(struct trust_builder *builder);

// Ends the builder's use (it is freed). NULL when memory is short.
struct trust_set *trust_builder_finish(struct trust_builder *builder) MUST_USE;

// The alias to begin with that a file name gives: no directory, no last extension, and '_' for what
// is no printable character or would be a path.
void trust_builder_stem(const char *path, char out[TRUST_BUILDER_STEM_MAX + 1]);

#endif
