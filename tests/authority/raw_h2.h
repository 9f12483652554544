// HTTP/2 by hand, for a caller that no library makes: it gives the server no window until it says
// so. One FetchX509SVID call on stream 1.
#ifndef TESTS_AUTHORITY_RAW_H2_H
#define TESTS_AUTHORITY_RAW_H2_H

#include "base/buf.h"

struct raw_h2 {
    int fd;            // owned
    struct buf input;  // bytes read, not yet taken apart
    struct buf stream; // what DATA frames carried
};

// Sends preface, settings with an initial window of 0, and the call.
void raw_h2_init(struct raw_h2 *h2, int fd);
void raw_h2_fini(struct raw_h2 *h2);
// Lets the server send on stream 1.
void raw_h2_open_window(struct raw_h2 *h2);
// The next gRPC message, appended to `out`.
void raw_h2_next(struct raw_h2 *h2, struct buf *out);

#endif
