// The trust bundles and CRLs that outlive a restart (docs/decisions/0006): what an identity source
// has said, each with the time at which it was last confirmed. They only ever fill the gaps of a
// source that knows no bundles of its own (update.h, `takes_kept`), and only for KEPT_BUNDLES_FOR_S
// after their confirmation. Never a key. One owner, no locking, no files: text in, text out.
#ifndef CERTMGR_KEPT_BUNDLES_H
#define CERTMGR_KEPT_BUNDLES_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/own.h"
#include "base/span.h"
#include "certmgr/update.h"

#define KEPT_BUNDLES_FOR_S (24 * 3600)
#define KEPT_BUNDLES_TEXT_MAX ((size_t)8 << 20)

struct kept_bundles;

struct kept_bundles *kept_bundles_new(void) MUST_USE;
void kept_bundles_free(struct kept_bundles *kept);
OWN_DEFINE(struct kept_bundles, kept_bundles_free)

// Replaces what is kept by a text of kept_bundles_render. What is too old is left out; a bundle or
// CRL that the store would refuse makes the whole text an error, and then nothing changes.
bool kept_bundles_parse(struct kept_bundles *kept, struct span text, int64_t now,
                        struct err *err) MUST_USE;
bool kept_bundles_render(const struct kept_bundles *kept, struct buf *out) MUST_USE;

// Adds to an update that takes them what is kept and still good at `now`: the bundle of an SVID's
// trust domain where it has none, those of other domains, CRLs. False when memory is short.
bool kept_bundles_fill(struct kept_bundles *kept, struct update *update, int64_t now,
                       struct err *err) MUST_USE;
// An update was accepted: what its source said is what is kept, confirmed at `now`. What
// kept_bundles_fill added to it keeps its age. `update` is as kept_bundles_fill left it.
bool kept_bundles_record(struct kept_bundles *kept, const struct update *update, int64_t now,
                         struct err *err) MUST_USE;
// The source is there and has nothing new to say: if its last update was a full state, all of it is
// confirmed.
void kept_bundles_confirm(struct kept_bundles *kept, int64_t now);
// When the first of those that were filled in last has to go; 0: none was.
int64_t kept_bundles_filled_until(const struct kept_bundles *kept);

#endif
