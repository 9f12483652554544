// /trust and what `pavise trust ... -o json` prints. Names of fields are Azure Spring's where it
// has them (thumbprint, subjectName, issuedDate, ...). A door to jansson.
#ifndef AGENT_STATUS_RENDER_TRUST_H
#define AGENT_STATUS_RENDER_TRUST_H

#include <stdbool.h>
#include <stddef.h>

#include "agent/observe/trust_view.h"
#include "base/buf.h"
#include "base/own.h"

#define RENDER_TRUST_OUTPUTS_MAX 6
#define RENDER_TRUST_ROWS_MAX 10000 // of an answer of the status port

// What of a view is rendered.
struct render_trust_scope {
    bool all;        // every public root too, else only how many there are
    size_t rows_max; // certificates; more are cut, and the document then says so
};
bool render_trust_view(struct buf *out, const struct trust_view *view,
                       struct render_trust_scope scope) MUST_USE;
// One certificate.
bool render_trust_entry(struct buf *out, const struct trust_entry *entry) MUST_USE;

// The files of the store that hold an entry; how many.
size_t render_trust_outputs(const struct trust_entry *entry,
                            char out[RENDER_TRUST_OUTPUTS_MAX][300]);

#endif
