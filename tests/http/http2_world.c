#include "tests/http/http2_world.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

static struct flow *flow_of(struct end *end, struct http2_stream *stream) {
    struct flow *flow = http2_stream_arg(stream);
    if (flow == NULL) { // a server's new one
        assert_true(end->num_flows < HTTP2_FLOWS_MAX);
        flow = &end->flows[end->num_flows++];
        flow->stream = stream;
        http2_stream_set_arg(stream, flow);
    }
    return flow;
}

static void on_head(void *arg, struct http2_stream *stream, struct http_fields *fields,
                    bool ended) {
    struct flow *flow = flow_of(arg, stream);
    http_fields_fini(&flow->head);
    flow->head = *fields;
    *fields = (struct http_fields){.num = 0};
    flow->num_heads++;
    flow->num_ends += ended;
}

static void on_data(void *arg, struct http2_stream *stream, struct span bytes) {
    struct flow *flow = flow_of(arg, stream);
    assert_true(buf_append(&flow->body, bytes.ptr, bytes.len));
    if (!flow->no_credit) {
        http2_stream_consumed(stream);
    }
}

static void on_end(void *arg, struct http2_stream *stream, struct http_fields *trailers) {
    struct flow *flow = flow_of(arg, stream);
    flow->trailers = *trailers;
    *trailers = (struct http_fields){.num = 0};
    flow->num_ends++;
}

static void on_drained(void *arg UNUSED, struct http2_stream *stream UNUSED) {
}

static void on_closed(void *arg, struct http2_stream *stream, uint32_t error) {
    struct flow *flow = flow_of(arg, stream);
    flow->stream = NULL;
    flow->num_closed++;
    flow->error = error;
}

static const struct http2_events EVENTS = {
    .head = on_head, .data = on_data, .end = on_end, .drained = on_drained, .closed = on_closed};

static struct end *end_new(bool server) {
    struct end *end = calloc(1, sizeof(*end));
    assert_non_null(end);
    end->session = http2_session_new(server, &EVENTS, end);
    assert_non_null(end->session);
    return end;
}

static void end_free(struct end *end) {
    if (end == NULL) {
        return;
    }
    http2_session_free(end->session);
    for (size_t i = 0; i < end->num_flows; i++) {
        http_fields_fini(&end->flows[i].head);
        http_fields_fini(&end->flows[i].trailers);
        buf_fini(&end->flows[i].body);
    }
    free(end);
}
void http2_world_init(struct http2_world *world, const struct rig_setup *setup, bool http2_app) {
    *world = (struct http2_world){.rig = rig_new(setup)};
    world->client = setup->client == HTTP_VERSION_1 ? NULL : end_new(false);
    world->app = http2_app ? end_new(true) : NULL;
}

void http2_world_fini(struct http2_world *world) {
    rig_free(world->rig);
    end_free(world->client);
    end_free(world->app);
}

// Moves one end's frames towards the edge.
static bool move_client(struct http2_world *world) {
    if (world->client == NULL) {
        return false;
    }
    struct buf out = {0};
    (void)http2_session_fill(world->client->session, &out, SIZE_MAX);
    bool moved = out.len > 0;
    (void)rig_send(world->rig, buf_span(&out));
    buf_fini(&out);
    struct span back = buf_span(&world->rig->client);
    moved = moved || back.len > 0;
    (void)http2_session_receive(world->client->session, back);
    buf_clear(&world->rig->client);
    return moved;
}

static bool move_app(struct http2_world *world) {
    if (world->app == NULL || world->rig->num_backs == 0) {
        return false;
    }
    struct rig_back *slot = &world->rig->backs[0];
    bool moved = slot->got.len > 0;
    (void)http2_session_receive(world->app->session, buf_span(&slot->got));
    buf_clear(&slot->got);
    struct buf out = {0};
    (void)http2_session_fill(world->app->session, &out, SIZE_MAX);
    moved = moved || out.len > 0;
    rig_app(world->rig, 0, buf_span(&out));
    buf_fini(&out);
    return moved;
}

void http2_world_settle(struct http2_world *world) {
    bool moved;
    do {
        rig_pump(world->rig);
        moved = move_client(world);
        moved = move_app(world) || moved;
    } while (moved);
}

struct flow *http2_world_ask(struct http2_world *world, const char *const *fields, bool end) {
    struct end *client = world->client;
    struct flow *flow = &client->flows[client->num_flows++];
    struct http_fields head = {.num = 0};
    for (; *fields != NULL; fields += 2) {
        assert_int_equal(http_fields_add(&head, span_of_text(fields[0]), span_of_text(fields[1])),
                         HTTP_FIELDS_OK);
    }
    flow->stream = http2_session_request(client->session, &head, end, flow);
    assert_non_null(flow->stream);
    http_fields_fini(&head);
    http2_world_settle(world);
    return flow;
}

bool fields_have(const struct http_fields *fields, const char *name, const char *value) {
    return span_equal_text(http_fields_get(fields, name), value);
}
