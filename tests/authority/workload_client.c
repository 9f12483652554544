#include "tests/authority/workload_client.h"

#include <stdio.h>

#include "base/buf.h"
#include "base/check.h"
#include "base/err.h"
#include "certmgr/workload_codec.h"

#define WAIT_MS 20000 // only a hang reaches it

static struct grpc_stream *open_stream(const char *target, const char *method) {
    struct err err = {0};
    const struct grpc_stream_options options = {
        .target = target,
        .method = method,
        .metadata_key = "workload.spiffe.io",
        .metadata_value = "true",
        .message_max = WORKLOAD_MESSAGE_MAX,
        .connect_ms = 5000,
    };
    struct grpc_stream *stream = grpc_stream_open(&options, span_of_text(""), &err);
    CHECK(stream != NULL);
    return stream;
}

struct grpc_stream *workload_client_svids(const char *target) {
    return open_stream(target, "/SpiffeWorkloadAPI/FetchX509SVID");
}

struct grpc_stream *workload_client_bundles(const char *target) {
    return open_stream(target, "/SpiffeWorkloadAPI/FetchX509Bundles");
}

static struct update *next(struct grpc_stream *stream,
                           struct update *(*decode)(struct span message, struct err *err)) {
    struct err err = {0};
    struct buf message __attribute__((cleanup(buf_clear_secret))) = {0};
    enum grpc_stream_event event = grpc_stream_next(stream, WAIT_MS, &message);
    CHECK(event != GRPC_STREAM_TIMEOUT);
    if (event == GRPC_STREAM_ENDED) {
        return NULL;
    }
    struct update *update = decode(buf_span(&message), &err);
    if (update == NULL) {
        (void)fprintf(stderr, "%s\n", err.msg);
    }
    CHECK(update != NULL);
    return update;
}

struct update *workload_client_next(struct grpc_stream *stream) {
    return next(stream, workload_decode_svids);
}

struct update *workload_client_next_bundles(struct grpc_stream *stream) {
    return next(stream, workload_decode_bundles);
}

int workload_client_status(struct grpc_stream *stream) {
    for (;;) {
        struct buf message __attribute__((cleanup(buf_clear_secret))) = {0};
        enum grpc_stream_event event = grpc_stream_next(stream, WAIT_MS, &message);
        CHECK(event != GRPC_STREAM_TIMEOUT);
        if (event == GRPC_STREAM_ENDED) {
            return grpc_stream_end(stream).code;
        }
    }
}

struct svid *workload_client_svid(const struct update *update, const char *spiffe_id) {
    struct err err = {0};
    CHECK(update->num_svids == 1);
    const struct update_svid *raw = &update->svids[0];
    CHECK(span_equal_text(update_bytes_span(&raw->spiffe_id), spiffe_id));
    struct svid *svid = svid_parse(update_bytes_span(&raw->chain), update_bytes_span(&raw->key),
                                   span_of_text(spiffe_id), update_bytes_span(&raw->hint), &err);
    if (svid == NULL) {
        (void)fprintf(stderr, "%s\n", err.msg);
    }
    CHECK(svid != NULL);
    return svid;
}
