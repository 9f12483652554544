// The identities that this authority may give: SPIFFE IDs of its own trust domain, with a path.
#ifndef AUTHORITY_SUBJECT_ID_H
#define AUTHORITY_SUBJECT_ID_H

#include "base/err.h"
#include "base/own.h"
#include "base/span.h"

// The ID as a text of the caller's (free()). NULL with the sentence on error.
char *subject_id_parse(struct span text, const char *trust_domain, struct err *err) MUST_USE;

#endif
