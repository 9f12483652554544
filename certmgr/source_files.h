// Files as a source: certificate chain, private key and trust bundle (PEM or DER, certmgr/pem.h),
// read again whenever they change. Nothing is delivered that does not fit together: half-written
// files, and a key and a certificate that are replaced at different moments, only become the
// report's last error, and the files are looked at again soon. Files that vanish take nothing back:
// what was delivered last stays good until it expires. The bundle is that of the trust domain in
// the certificate's SPIFFE ID.
#ifndef CERTMGR_SOURCE_FILES_H
#define CERTMGR_SOURCE_FILES_H

#include <stdint.h>

#include "base/err.h"
#include "base/own.h"
#include "certmgr/source.h"

struct source_files_options { // absolute paths; copied
    const char *certificate;
    const char *key;    // may be the same file
    const char *bundle; // NULL: there is none, the kept one has to do (kept_bundles.h)
};

// How patient the source is; the defaults are for the product, others for tests.
struct source_files_timing {
    int64_t settle_ms; // changed files are read when they have been unchanged for this long
    int64_t retry_ms;  // until the next look while something is wrong with them
    int64_t rescan_ms; // until the next look while all is well, for file systems without inotify
};
#define SOURCE_FILES_TIMING_DEFAULT                                                                \
    ((struct source_files_timing){.settle_ms = 200, .retry_ms = 1000, .rescan_ms = 10000})

// Starts the thread. `sink` is borrowed and outlives the source. NULL with the sentence on error;
// missing or bad files are none: the report says so.
struct source *source_files_new(const struct source_files_options *options,
                                struct source_sink *sink, struct err *err) MUST_USE;
struct source *source_files_new_timed(const struct source_files_options *options,
                                      struct source_sink *sink, struct source_files_timing timing,
                                      struct err *err) MUST_USE;

#endif
