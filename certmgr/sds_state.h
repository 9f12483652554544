// What an SDS client knows: the two secrets that it has asked for, as they were last good, and the
// version. Takes responses, decides whether they are good, and puts updates together. No network;
// it reads files only where a secret names them. One owner, one thread.
#ifndef CERTMGR_SDS_STATE_H
#define CERTMGR_SDS_STATE_H

#include <stdbool.h>

#include "base/err.h"
#include "base/own.h"
#include "base/span.h"
#include "certmgr/sds_codec.h"
#include "certmgr/update.h"

struct sds_state;

// The names of the secrets are borrowed. NULL when memory is short.
struct sds_state *sds_state_new(const char *certificate, const char *bundle) MUST_USE;
void sds_state_free(struct sds_state *state);
OWN_DEFINE(struct sds_state, sds_state_free)

// Takes the wanted secrets out of a response, which may hold both, one or none (absence is not
// deletion). False with the sentence: the response is to be refused, and nothing has changed. A
// secret whose files cannot be used (yet) is no reason for that: it waits for them
// (sds_state_reload), and meanwhile what was last good stays.
bool sds_state_apply(struct sds_state *state, struct sds_response *response,
                     struct err *err) MUST_USE;

// Reads those files again that have changed; true when anything about the secrets has.
bool sds_state_reload(struct sds_state *state);
bool sds_state_has_files(const struct sds_state *state);

struct span sds_state_version(const struct sds_state *state); // of the last good response; "" first

// Whether both secrets have come.
bool sds_state_is_complete(const struct sds_state *state);
// True, with the sentence, when something is missing or a file cannot be used.
bool sds_state_has_problem(const struct sds_state *state, struct err *problem);
// The last good secrets as an update; NULL with the sentence while there are none, or when they do
// not fit together.
struct update *sds_state_update(const struct sds_state *state, struct err *err) MUST_USE;

// Forgets secrets and version: they have been withdrawn.
void sds_state_forget(struct sds_state *state);

#endif
