#include "certmgr/source_sds.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "certmgr/sds_codec.h"
#include "certmgr/sds_state.h"
#include "certmgr/stream_source.h"

#define NODE_ID_MAX 96

struct sds {
    struct source_sds_timing timing;
    char *certificate;
    char *bundle;
    char node_id[NODE_ID_MAX]; // Istio's agent wants one; what it says does not matter
    struct sds_state *state;

    // Of the stream that runs.
    int64_t began_ms;
    bool message_seen;
    bool said; // what has not come in time, or that nothing has to
};

// --- delivering ---

// What there is goes to the store, which judges it as a whole.
static void deliver(struct sds *sds, struct stream_source *source, enum source_state state) {
    struct err problem = {0};
    bool has_problem = sds_state_has_problem(sds->state, &problem);
    if (has_problem && !sds_state_is_complete(sds->state)) {
        stream_source_report(source, state, ""); // the other one is on its way
        return;
    }
    struct err err = {0};
    struct update *update = sds_state_update(sds->state, &err);
    if (update != NULL) {
        stream_source_update(source, update);
    } else if (!has_problem) {
        problem = err;
        has_problem = true;
    }
    if (has_problem) {
        err_wrap(&problem, "the secrets of the SDS server at %s", stream_source_endpoint(source));
    }
    stream_source_report(source, state, has_problem ? problem.msg : "");
}

// Error details are a string in UTF-8, and so no place for what a peer may have put in a message.
static void make_printable(char *text) {
    for (char *c = text; *c != '\0'; c++) {
        *c = *c >= ' ' && *c <= '~' ? *c : '?';
    }
}

static bool refuse(struct stream_source *source, struct err *err) {
    err_wrap(err, "refused a response of the SDS server at %s", stream_source_endpoint(source));
    make_printable(err->msg);
    stream_source_report(source, SOURCE_CONNECTED, err->msg);
    return false;
}

// --- the protocol ---

static struct sds_request request_of(const struct sds *sds) {
    return (struct sds_request){.version = sds_state_version(sds->state),
                                .names = {sds->certificate, sds->bundle}};
}

static bool begin(void *arg, struct stream_source *source, struct buf *request, struct err *err) {
    struct sds *sds = arg;
    sds->began_ms = clock_mono_ms();
    sds->message_seen = false;
    sds->said = false;
    if (sds_state_reload(sds->state)) { // also while the server is down
        deliver(sds, source, SOURCE_CONNECTING);
    }
    struct sds_request first = request_of(sds);
    first.node_id = sds->node_id;
    return sds_encode_request(&first, request, err);
}

static bool message(void *arg, struct stream_source *source, struct span message,
                    struct buf *answer) {
    struct sds *sds = arg;
    struct err err = {0};
    struct sds_response *response OWNED(sds_response_free) = sds_decode_response(message, &err);
    if (response == NULL) {
        return refuse(source, &err); // without a nonce there is nothing to answer to
    }
    bool good = sds_state_apply(sds->state, response, &err);
    if (good) {
        sds->message_seen = true;
        deliver(sds, source, SOURCE_CONNECTED);
    } else {
        sds->said = true; // why it is missing says more than that it is
        refuse(source, &err);
    }
    struct sds_request reply = request_of(sds);
    reply.nonce = update_bytes_span(&response->nonce);
    reply.refusal = good ? NULL : err.msg;
    return sds_encode_request(&reply, answer, &err) && good;
}

static int64_t left_ms(const struct sds *sds, int64_t after_ms) {
    int64_t left = sds->began_ms + after_ms - clock_mono_ms();
    return left > 0 ? left : 0;
}

// The server may be silent for as long as it likes once both secrets are here.
static int64_t patience_ms(void *arg) {
    const struct sds *sds = arg;
    bool complete = sds_state_is_complete(sds->state);
    int64_t wait_ms = -1;
    if (!sds->said && !(complete && sds->message_seen)) {
        wait_ms = left_ms(sds, sds->timing.names_ms);
    } else if (!complete) {
        wait_ms = left_ms(sds, sds->timing.give_up_ms);
    }
    bool polls = sds_state_has_files(sds->state);
    return polls && (wait_ms < 0 || wait_ms > sds->timing.files_ms) ? sds->timing.files_ms
                                                                    : wait_ms;
}

// The time for the names is over.
static void say_what_is_missing(struct sds *sds, struct stream_source *source) {
    sds->said = true;
    struct err problem = {0};
    if (sds_state_has_problem(sds->state, &problem)) {
        err_wrap(&problem, "the SDS server at %s", stream_source_endpoint(source));
    }
    stream_source_report(source, SOURCE_CONNECTED, problem.msg);
}

static bool quiet(void *arg, struct stream_source *source) {
    struct sds *sds = arg;
    if (sds_state_reload(sds->state)) {
        deliver(sds, source, SOURCE_CONNECTED);
    }
    bool complete = sds_state_is_complete(sds->state);
    if (!sds->said && !(complete && sds->message_seen) && left_ms(sds, sds->timing.names_ms) == 0) {
        say_what_is_missing(sds, source);
    }
    return complete || left_ms(sds, sds->timing.give_up_ms) > 0;
}

static void withdrawn(void *arg) {
    struct sds *sds = arg;
    sds_state_forget(sds->state);
}

static void sds_free(void *arg) {
    struct sds *sds = arg;
    if (sds != NULL) {
        sds_state_free(sds->state);
        free(sds->certificate);
        free(sds->bundle);
        free(sds);
    }
}
OWN_DEFINE(struct sds, sds_free)

static const struct stream_protocol PROTOCOL = {
    .kind = "sds",
    .method = "/envoy.service.secret.v3.SecretDiscoveryService/StreamSecrets",
    .message_max = SDS_MESSAGE_MAX,
    .service = WORKLOAD_SERVICE_SDS,
    .is_bidi = true,
    .begin = begin,
    .message = message,
    .patience_ms = patience_ms,
    .quiet = quiet,
    .withdrawn = withdrawn,
    .free = sds_free,
};

// --- the interface ---

static struct sds *create(const struct source_sds_options *options, struct err *err) {
    struct sds *sds OWNED(sds_free) = calloc(1, sizeof *sds);
    if (sds == NULL) {
        ERR_NO_MEMORY(err, "starting the identity source");
        return NULL;
    }
    sds->certificate = strdup(options->certificate);
    sds->bundle = strdup(options->bundle);
    if (sds->certificate != NULL && sds->bundle != NULL) {
        sds->state = sds_state_new(sds->certificate, sds->bundle);
    }
    if (sds->state == NULL) {
        ERR_NO_MEMORY(err, "starting the identity source");
        return NULL;
    }
    char host[NODE_ID_MAX / 2] = "";
    if (gethostname(host, sizeof host - 1) != 0) {
        host[0] = '\0';
    }
    snprintf(sds->node_id, sizeof sds->node_id, "pavise~%s", host);
    make_printable(sds->node_id);
    return take(&sds);
}

struct source *source_sds_new_timed(const struct source_sds_options *options,
                                    struct source_sink *sink, struct source_sds_timing timing,
                                    struct err *err) {
    if (strcmp(options->certificate, options->bundle) == 0) {
        ERR_SET(err, ERR_INPUT, "identity.sds: certificate and bundle are one secret, \"%s\"",
                options->bundle);
        return NULL;
    }
    struct sds *sds = create(options, err);
    if (sds == NULL) {
        return NULL;
    }
    sds->timing = timing;
    struct stream_source_options stream = {.protocol = &PROTOCOL,
                                           .arg = sds,
                                           .endpoint = options->endpoint,
                                           .sink = sink,
                                           .connect_ms = timing.connect_ms};
    return stream_source_new(&stream, err);
}

struct source *source_sds_new(const struct source_sds_options *options, struct source_sink *sink,
                              struct err *err) {
    return source_sds_new_timed(options, sink, SOURCE_SDS_TIMING_DEFAULT, err);
}
