#include "certmgr/source_workload.h"

#include <stdlib.h>

#include "base/clock.h"
#include "certmgr/stream_source.h"
#include "certmgr/workload_codec.h"

struct workload {
    int64_t first_message_ms;
    int64_t deadline_ms; // for the first message of the stream that runs
    bool message_seen;   // on it
};

// The request is the empty message.
static bool begin(void *arg, struct stream_source *source UNUSED, struct buf *request UNUSED,
                  struct err *err UNUSED) {
    struct workload *w = arg;
    w->deadline_ms = clock_mono_ms() + w->first_message_ms;
    w->message_seen = false;
    return true;
}

// A message that does not decode is discarded whole and the old state stays.
static bool message(void *arg, struct stream_source *source, struct span message,
                    struct buf *answer UNUSED) {
    struct workload *w = arg;
    w->message_seen = true;
    struct err err;
    struct update *update = workload_decode_svids(message, &err);
    if (update == NULL) {
        err_wrap(&err, "discarded a message from the identity source at %s",
                 stream_source_endpoint(source));
        stream_source_report(source, SOURCE_CONNECTED, err.msg);
        return false;
    }
    bool withdrawn = update->withdrawn;
    stream_source_update(source, update);
    stream_source_report(source, withdrawn ? SOURCE_DENIED : SOURCE_CONNECTED,
                         withdrawn ? "the identity source answered without any identity; register "
                                     "this workload (its user or selectors) with the source"
                                   : "");
    return true;
}

// After the first message it may be silent for as long as it likes.
static int64_t patience_ms(void *arg) {
    const struct workload *w = arg;
    int64_t left_ms = w->deadline_ms - clock_mono_ms();
    return w->message_seen ? -1 : left_ms > 0 ? left_ms : 0;
}

static bool quiet(void *arg, struct stream_source *source UNUSED) {
    const struct workload *w = arg;
    return w->message_seen;
}

static const struct stream_protocol PROTOCOL = {
    .kind = "workloadApi",
    .method = "/SpiffeWorkloadAPI/FetchX509SVID",
    .metadata_key = "workload.spiffe.io",
    .metadata_value = "true",
    .message_max = WORKLOAD_MESSAGE_MAX,
    .service = WORKLOAD_SERVICE_SPIFFE,
    .begin = begin,
    .message = message,
    .patience_ms = patience_ms,
    .quiet = quiet,
    .free = free,
};

struct source *source_workload_new_timed(const char *endpoint, struct source_sink *sink,
                                         struct source_workload_timing timing, struct err *err) {
    struct workload *w = calloc(1, sizeof(*w));
    if (w == NULL) {
        ERR_NO_MEMORY(err, "starting the identity source");
        return NULL;
    }
    w->first_message_ms = timing.first_message_ms;
    struct stream_source_options options = {.protocol = &PROTOCOL,
                                            .arg = w,
                                            .endpoint = endpoint,
                                            .sink = sink,
                                            .connect_ms = timing.connect_ms};
    return stream_source_new(&options, err);
}

struct source *source_workload_new(const char *endpoint, struct source_sink *sink,
                                   struct err *err) {
    return source_workload_new_timed(endpoint, sink, SOURCE_WORKLOAD_TIMING_DEFAULT, err);
}
