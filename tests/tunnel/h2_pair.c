#include "tests/tunnel/h2_pair.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#define WRITE_CHUNK (3 * 16384)

unsigned pair_random(unsigned below) {
    return below == 0 ? 0 : (unsigned)(random() % (long)below);
}

static uint8_t pattern(uint8_t kind, size_t offset) {
    return (uint8_t)((offset * 167) ^ (offset >> 8) ^ (offset >> 16) ^ kind);
}

static bool chance(int percent) {
    return percent > 0 && (int)pair_random(100) < percent;
}

// ---- events -----------------------------------------------------------------------------------

static bool on_emit(void *arg, struct span header, struct span payload) {
    struct end *end = arg;
    if (header.len == 0) {
        return !end->refuse_control && buf_append(&end->wire, payload.ptr, payload.len);
    }
    assert_int_equal(header.len, H2_FRAME_HEADER);
    assert_true(payload.len <= H2_DATA_MAX);
    if (chance(end->refuse_percent)) {
        return false;
    }
    uint8_t *place = (uint8_t *)(uintptr_t)payload.ptr;
    memcpy(place - header.len, header.ptr, header.len); // allowed
    bool kept = buf_append(&end->wire, place - header.len, header.len + payload.len);
    assert_true(kept);
    memset(place - header.len, 0xee, header.len + payload.len);
    end->data_emitted += payload.len;
    return true;
}

static void on_ready(void *arg) {
    struct end *end = arg;
    end->num_ready++;
}

static void on_goaway(void *arg, uint32_t error) {
    struct end *end = arg;
    end->num_goaway++;
    end->goaway_error = error;
}

static void on_pong(void *arg) {
    struct end *end = arg;
    end->num_pong++;
}

static struct flow *add_flow(struct end *end, uint8_t kind) {
    assert_true(end->num_flows < PAIR_MAX_FLOWS);
    struct flow *flow = &end->flows[end->num_flows++];
    *flow = (struct flow){.end = end, .sends = kind, .expects = (uint8_t)(kind ^ 0x80)};
    return flow;
}

static void copy_text(char *out, size_t size, struct span text) {
    snprintf(out, size, "%.*s", (int)text.len, (const char *)text.ptr);
}

static void on_request(void *arg, struct h2_stream *stream, const struct h2_request *request) {
    struct end *end = arg;
    end->num_requests++;
    end->is_connect = request->is_connect;
    copy_text(end->method, sizeof(end->method), request->method);
    copy_text(end->authority, sizeof(end->authority), request->authority);
    struct flow *flow = add_flow(end, (uint8_t)((end->num_flows & 0x7f) | 0x80));
    flow->stream = stream;
    flow->to_send = end->answer_bytes;
    flow->ends_after = end->answer_bytes > 0;
    flow->lazy = end->answer_lazy;
    flow->stalled = end->answer_stalled;
    h2_stream_set_arg(stream, flow);
    if (end->answer != 0) {
        assert_true(h2_stream_respond(stream, end->answer));
    }
    if (end->on_request != NULL) {
        end->on_request(end, flow);
    }
}

static void report(struct flow *flow, char event) {
    assert_int_equal(flow->num_closed, event == 'c' ? 1 : 0);
    if (flow->end->on_flow != NULL) {
        flow->end->on_flow(flow, event);
    }
}

static void on_status(void *arg, int status) {
    struct flow *flow = arg;
    assert_int_equal(flow->status, 0);
    flow->status = status;
    report(flow, 's');
}

void flow_consume_all(struct flow *flow) {
    size_t len = flow->received - flow->consumed;
    flow->consumed = flow->received;
    if (flow->stream != NULL && len > 0) {
        h2_stream_consumed(flow->stream, len);
    }
}

static void on_data(void *arg, struct span bytes) {
    struct flow *flow = arg;
    assert_int_equal(flow->num_ends, 0);
    for (size_t i = 0; i < bytes.len; i++) {
        if (bytes.ptr[i] != pattern(flow->expects, flow->received + i)) {
            fail_msg("byte %zu of a stream is wrong", flow->received + i);
        }
    }
    flow->received += bytes.len;
    if (!flow->stalled && (!flow->lazy || chance(20))) {
        flow_consume_all(flow);
    }
    report(flow, 'd');
}

static void on_end(void *arg) {
    struct flow *flow = arg;
    flow->num_ends++;
    report(flow, 'e');
}

static void on_writable(void *arg) {
    struct flow *flow = arg;
    assert_true(h2_stream_window(flow->stream) > 0);
    flow->num_writable++;
    report(flow, 'w');
}

static void on_closed(void *arg, uint32_t error, bool clean) {
    struct flow *flow = arg;
    flow->num_closed++;
    flow->error = error;
    flow->clean = clean;
    report(flow, 'c');
    flow->stream = NULL;
}

static const struct h2_events EVENTS = {
    .emit = on_emit,
    .ready = on_ready,
    .goaway = on_goaway,
    .pong = on_pong,
    .request = on_request,
    .status = on_status,
    .data = on_data,
    .end = on_end,
    .writable = on_writable,
    .closed = on_closed,
};

// ---- ends -------------------------------------------------------------------------------------

static void init_end(struct end *end, bool server) {
    end->session = h2_session_new(server, &EVENTS, end);
    assert_non_null(end->session);
    end->answer = 200;
}

static void fini_end(struct end *end) {
    h2_session_free(end->session);
    buf_fini(&end->wire);
}

struct end *end_new(bool server) {
    struct end *end = calloc(1, sizeof(*end));
    assert_non_null(end);
    init_end(end, server);
    return end;
}

void end_free(struct end *end) {
    fini_end(end);
    free(end);
}

struct flow *end_open(struct end *end, const char *authority) {
    struct flow *flow = add_flow(end, (uint8_t)(end->num_flows & 0x7f));
    flow->stream = h2_session_connect(end->session, authority, "for=\"192.0.2.9:1234\"", flow);
    assert_non_null(flow->stream);
    return flow;
}

size_t flow_write_some(struct flow *flow, size_t len) {
    uint8_t *room = malloc(H2_FRAME_HEADER + len);
    assert_non_null(room);
    uint8_t *bytes = room + H2_FRAME_HEADER;
    for (size_t i = 0; i < len; i++) {
        bytes[i] = pattern(flow->sends, flow->sent + i);
    }
    size_t said = h2_stream_room(flow->stream);
    size_t taken = h2_stream_write(flow->stream, bytes, len);
    assert_true(taken <= len && taken <= said);
    flow->sent += taken;
    free(room);
    return taken;
}

void flow_write(struct flow *flow) {
    bool goes_on = flow->stream != NULL && flow->sent < flow->to_send;
    while (goes_on) {
        size_t left = flow->to_send - flow->sent;
        size_t len = left < WRITE_CHUNK ? left : 1 + pair_random(WRITE_CHUNK);
        goes_on = flow_write_some(flow, len) == len && flow->sent < flow->to_send;
    }
    if (flow->stream != NULL && flow->ends_after && flow->sent == flow->to_send) {
        h2_stream_end(flow->stream);
        flow->ends_after = false;
    }
}

// ---- pairs ------------------------------------------------------------------------------------

struct pair *pair_new(void) {
    const char *text = getenv("PAIR_SEED");
    unsigned seed = text != NULL ? (unsigned)strtoul(text, NULL, 0) : (unsigned)random();
    printf("PAIR_SEED=%u\n", seed);
    srandom(seed);
    struct pair *pair = calloc(1, sizeof(*pair));
    assert_non_null(pair);
    init_end(&pair->client, false);
    init_end(&pair->server, true);
    pair->client.peer = &pair->server;
    pair->server.peer = &pair->client;
    return pair;
}

void pair_free(struct pair *pair) {
    fini_end(&pair->client);
    fini_end(&pair->server);
    free(pair);
}

struct flow *pair_open(struct pair *pair, size_t to_send, bool ends_after) {
    struct flow *flow = end_open(&pair->client, "192.0.2.1:80");
    flow->to_send = to_send;
    flow->ends_after = ends_after;
    return flow;
}

// In a copy of its exact size, so that the sanitizer sees a read beyond it.
static bool deliver_chunk(struct end *from, size_t len) {
    uint8_t *copy = malloc(len);
    assert_non_null(copy);
    memcpy(copy, buf_span(&from->wire).ptr, len);
    buf_consume(&from->wire, len);
    bool ok = h2_session_receive(from->peer->session, span_of(copy, len));
    free(copy);
    return ok;
}

bool pair_deliver(struct end *from, size_t max_chunk) {
    size_t left = buf_span(&from->wire).len;
    while (left > 0) {
        size_t len = max_chunk == 0 ? left : 1 + pair_random((unsigned)max_chunk);
        len = len < left ? len : left;
        if (!deliver_chunk(from, len)) {
            return false;
        }
        left = buf_span(&from->wire).len;
    }
    return true;
}

static bool turn(struct end *end, size_t max_chunk, bool *moved) {
    for (size_t i = 0; i < end->num_flows; i++) {
        struct flow *flow = &end->flows[i];
        flow_write(flow);
        if (flow->lazy && chance(50)) {
            flow_consume_all(flow);
        }
    }
    if (!h2_session_send(end->session)) {
        return false;
    }
    *moved = *moved || buf_span(&end->wire).len > 0 || h2_session_wants_send(end->session);
    return pair_deliver(end, max_chunk);
}

bool pair_run(struct pair *pair) {
    // Refusals, laziness and full windows are random: several quiet rounds mean the end.
    for (int quiet = 0; quiet < 20; quiet++) {
        bool moved = false;
        if (!turn(&pair->client, pair->max_chunk, &moved) ||
            !turn(&pair->server, pair->max_chunk, &moved)) {
            return false;
        }
        quiet = moved ? -1 : quiet;
    }
    return true;
}
