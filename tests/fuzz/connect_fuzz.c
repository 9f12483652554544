// A tunnel's server session fed arbitrary bytes after the preface, in pieces that the input itself
// cuts, with an application behind it that answers, echoes, stalls, ends and resets by what the
// input says; and every authority through its parser.
#include <stdlib.h>
#include <string.h>

#include "agent/tunnel/connect_authority.h"
#include "agent/tunnel/h2.h"
#include "tests/fuzz/fuzz_target.h"

#define MAX_SEEN 64

struct app;

struct seen {
    struct app *app;
    struct h2_stream *stream;
    size_t unconsumed;
};

struct app {
    struct h2_session *session;
    struct seen seen[MAX_SEEN];
    size_t num_seen;
    unsigned choices; // the input's own bytes decide
    size_t emitted;
};

static unsigned choose(struct app *app, unsigned below) {
    app->choices = app->choices * 1664525U + 1013904223U;
    return (app->choices >> 16) % below;
}

static bool on_emit(void *arg, struct span header, struct span payload) {
    struct app *app = arg;
    if (header.len > 0 && choose(app, 4) == 0) {
        return false;
    }
    if (header.len > 0) { // both may be overwritten
        memset((uint8_t *)(uintptr_t)payload.ptr - header.len, 0, header.len + payload.len);
    }
    app->emitted += header.len + payload.len;
    return true;
}

static void on_ready(void *arg) {
    (void)arg;
}

static void on_goaway(void *arg, uint32_t error) {
    (void)arg;
    (void)error;
}

static void answer(struct h2_stream *stream, int status) {
    if (!h2_stream_respond(stream, status)) {
        h2_stream_reset(stream, H2_INTERNAL_ERROR);
    }
}

static void on_request(void *arg, struct h2_stream *stream, const struct h2_request *request) {
    struct app *app = arg;
    struct netaddr addr;
    bool good = request->is_connect && connect_authority_parse(&addr, request->authority, NULL);
    if (!good || app->num_seen == MAX_SEEN) {
        answer(stream, good ? 503 : 400);
        return;
    }
    struct seen *seen = &app->seen[app->num_seen++];
    *seen = (struct seen){.app = app, .stream = stream};
    h2_stream_set_arg(stream, seen);
    if (choose(app, 8) != 0) {
        answer(stream, 200);
    }
}

static void on_status(void *arg, int status) {
    (void)arg;
    (void)status;
}

static void act(struct seen *seen) {
    uint8_t room[H2_FRAME_HEADER + 300] = {0};
    switch (choose(seen->app, 8)) {
    case 0:
        h2_stream_reset(seen->stream, H2_CANCEL);
        seen->stream = NULL;
        break;
    case 1:
    case 2:
        if (h2_stream_window(seen->stream) > 0) { // nothing is written after the end
            (void)h2_stream_write(seen->stream, room + H2_FRAME_HEADER, 300);
        }
        break;
    case 3:
        h2_stream_end(seen->stream);
        break;
    case 4:
        break;
    default:
        h2_stream_consumed(seen->stream, seen->unconsumed);
        seen->unconsumed = 0;
        break;
    }
}

static void on_data(void *arg, struct span bytes) {
    struct seen *seen = arg;
    seen->unconsumed += bytes.len;
    act(seen);
}

static void on_stream_event(void *arg) {
    act(arg);
}

static void on_closed(void *arg, uint32_t error, bool clean) {
    struct seen *seen = arg;
    (void)error;
    (void)clean;
    seen->stream = NULL;
}

static const struct h2_events EVENTS = {
    .emit = on_emit,
    .ready = on_ready,
    .goaway = on_goaway,
    .pong = on_ready,
    .request = on_request,
    .status = on_status,
    .data = on_data,
    .end = on_stream_event,
    .writable = on_stream_event,
    .closed = on_closed,
};

static bool receive_copy(struct app *app, const uint8_t *data, size_t len) {
    uint8_t *copy = malloc(len);
    if (copy == NULL) {
        return false;
    }
    memcpy(copy, data, len);
    bool ok = h2_session_receive(app->session, span_of(copy, len));
    free(copy);
    return h2_session_send(app->session) && ok;
}

static void run(struct app *app, const uint8_t *data, size_t size) {
    static const char MAGIC[] = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
    static const uint8_t SETTINGS[] = {0, 0, 0, 4, 0, 0, 0, 0, 0};
    bool goes_on = receive_copy(app, (const uint8_t *)MAGIC, sizeof(MAGIC) - 1) &&
                   receive_copy(app, SETTINGS, sizeof(SETTINGS));
    while (goes_on && size > 0) {
        size_t len = choose(app, 2) == 0 ? size : 1 + choose(app, 64);
        len = len < size ? len : size;
        goes_on = receive_copy(app, data, len);
        data += len;
        size -= len;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct netaddr addr;
    if (connect_authority_parse(&addr, span_of(data, size), NULL) && addr.port == 0) {
        abort();
    }
    struct app *app = calloc(1, sizeof(*app));
    if (app == NULL) {
        return 0;
    }
    app->choices = size > 0 ? data[size - 1] : 0;
    app->session = h2_session_new(true, &EVENTS, app);
    if (app->session != NULL) {
        run(app, data, size);
    }
    h2_session_free(app->session);
    free(app);
    return 0;
}
