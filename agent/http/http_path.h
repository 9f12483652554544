// A request's path in the form that is judged, and the same in the form that the application gets,
// so that both mean the same: whoever judges one spelling and forwards another can be walked
// around ("/open/../x").
#ifndef AGENT_HTTP_HTTP_PATH_H
#define AGENT_HTTP_HTTP_PATH_H

#include <stdbool.h>

#include "base/buf.h"
#include "base/span.h"

enum http_path_status {
    HTTP_PATH_OK,
    HTTP_PATH_BAD, // `*why` is a static sentence
    HTTP_PATH_NO_MEMORY,
};

// `target` is origin-form ("/a/b?q"). `decoded` becomes the path without the query: percent signs
// decoded once, "//" and "." and ".." resolved. Refused are: a broken percent sign, NUL, a
// backslash, ".." above the root, and dots with path parameters (".." followed by ';'), which
// servers read in different ways.
enum http_path_status http_path_normalise(struct span target, struct buf *decoded,
                                          const char **why);
// The other way: `decoded` with what is not allowed in a path percent-encoded, then the query of
// `target` as it was sent.
bool http_path_render(struct span decoded, struct span target, struct buf *out);

#endif
