#include "tests/tunnel/h2_raw.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static const char MAGIC[] = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

static void put(struct buf *out, const void *bytes, size_t len) {
    if (len > 0) {
        assert_true(buf_append(out, bytes, len));
    }
}

static void put_u32(struct buf *out, uint32_t value) {
    uint8_t bytes[4] = {(uint8_t)(value >> 24), (uint8_t)(value >> 16), (uint8_t)(value >> 8),
                        (uint8_t)value};
    put(out, bytes, sizeof(bytes));
}

void raw_add(struct buf *out, const struct raw_frame *frame) {
    size_t len = frame->payload.len;
    uint8_t head[5] = {(uint8_t)(len >> 16), (uint8_t)(len >> 8), (uint8_t)len, frame->type,
                       frame->flags};
    put(out, head, sizeof(head));
    put_u32(out, frame->id);
    put(out, frame->payload.ptr, len);
}

void raw_preface(struct buf *out) {
    put(out, MAGIC, sizeof(MAGIC) - 1);
    raw_add(out, &(struct raw_frame){.type = RAW_SETTINGS});
}

void raw_add_u32(struct buf *out, uint8_t type, uint32_t id, uint32_t value) {
    struct buf payload = {0};
    put_u32(&payload, value);
    raw_add(out, &(struct raw_frame){.type = type, .id = id, .payload = buf_span(&payload)});
    buf_fini(&payload);
}

void raw_setting(struct buf *out, uint16_t setting, uint32_t value) {
    struct buf payload = {0};
    uint8_t name[2] = {(uint8_t)(setting >> 8), (uint8_t)setting};
    put(&payload, name, sizeof(name));
    put_u32(&payload, value);
    raw_add(out, &(struct raw_frame){.type = RAW_SETTINGS, .payload = buf_span(&payload)});
    buf_fini(&payload);
}

static void put_string(struct buf *out, const char *text) { // RFC 7541 sections 5.1 and 5.2
    size_t len = strlen(text);
    uint8_t byte = (uint8_t)(len < 127 ? len : 127);
    put(out, &byte, 1);
    if (len >= 127) {
        size_t rest = len - 127;
        while (rest >= 128) {
            byte = (uint8_t)(rest % 128 + 128);
            put(out, &byte, 1);
            rest /= 128;
        }
        byte = (uint8_t)rest;
        put(out, &byte, 1);
    }
    put(out, text, len);
}

void raw_field(struct buf *block, const char *name, const char *value) {
    put(block, "\0", 1);
    put_string(block, name);
    put_string(block, value);
}

void raw_request(struct buf *out, uint32_t id, const char *method, const char *authority) {
    struct buf block = {0};
    raw_field(&block, ":method", method);
    if (authority != NULL) {
        raw_field(&block, ":authority", authority);
    }
    raw_add(out, &(struct raw_frame){RAW_HEADERS, RAW_END_HEADERS, id, buf_span(&block)});
    buf_fini(&block);
}

void raw_status(struct buf *out, uint32_t id, const char *status, bool end) {
    struct buf block = {0};
    raw_field(&block, ":status", status);
    uint8_t flags = RAW_END_HEADERS | (end ? RAW_END_STREAM : 0);
    raw_add(out, &(struct raw_frame){RAW_HEADERS, flags, id, buf_span(&block)});
    buf_fini(&block);
}

bool raw_give(struct end *end, struct buf *bytes) {
    bool received = h2_session_receive(end->session, buf_span(bytes));
    buf_clear(bytes);
    bool sent = h2_session_send(end->session);
    return received && sent;
}

uint32_t raw_u32(struct span payload, size_t at) {
    assert_true(payload.len >= at + 4);
    const uint8_t *p = payload.ptr + at;
    return ((uint32_t)p[0] << 24) | ((uint32_t)p[1] << 16) | ((uint32_t)p[2] << 8) | p[3];
}

static struct span skip_magic(struct span wire) {
    size_t len = sizeof(MAGIC) - 1;
    bool has = wire.len >= len && memcmp(wire.ptr, MAGIC, len) == 0;
    return has ? span_after(wire, len) : wire;
}

bool raw_take(struct end *end, uint8_t type, uint32_t id, struct raw_frame *frame) {
    struct span wire = skip_magic(buf_span(&end->wire));
    while (wire.len > 0) {
        assert_true(wire.len >= H2_FRAME_HEADER);
        size_t len = ((size_t)wire.ptr[0] << 16) | ((size_t)wire.ptr[1] << 8) | wire.ptr[2];
        assert_true(wire.len >= H2_FRAME_HEADER + len);
        *frame = (struct raw_frame){
            .type = wire.ptr[3],
            .flags = wire.ptr[4],
            .id = raw_u32(wire, 5),
            .payload = span_of(wire.ptr + H2_FRAME_HEADER, len),
        };
        if (frame->type == type && frame->id == id) {
            ((uint8_t *)(uintptr_t)wire.ptr)[3] = 0xff; // taken
            return true;
        }
        wire = span_after(wire, H2_FRAME_HEADER + len);
    }
    return false;
}

struct end *raw_client_new(uint16_t setting, uint32_t value) {
    struct end *end = end_new(false);
    struct buf in = {0};
    assert_int_equal(end->num_ready, 0);
    raw_setting(&in, setting, value);
    assert_true(raw_give(end, &in));
    assert_int_equal(end->num_ready, 1);
    buf_clear(&end->wire);
    return end;
}

struct flow *raw_open_answered(struct end *end, uint32_t id) {
    struct buf in = {0};
    struct flow *flow = end_open(end, "192.0.2.1:80");
    assert_true(h2_session_send(end->session));
    raw_status(&in, id, "200", false);
    assert_true(raw_give(end, &in));
    assert_int_equal(flow->status, 200);
    buf_clear(&end->wire);
    return flow;
}
