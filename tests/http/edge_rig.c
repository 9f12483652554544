#include "tests/http/edge_rig.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"

static bool dial(void *arg, struct http_back *back) {
    struct rig *rig = arg;
    if (rig->no_dial || rig->num_backs == RIG_BACKS_MAX) {
        return false;
    }
    struct rig_back *slot = &rig->backs[rig->num_backs++];
    slot->rig = rig;
    slot->back = back;
    http_back_set_arg(back, slot);
    return true;
}

static void drop(void *arg UNUSED, struct http_back *back, bool clean) {
    struct rig_back *slot = http_back_arg(back);
    slot->back = NULL;
    slot->clean = clean;
}

static void refused(void *arg, enum http_reason reason, int status, const char *why) {
    struct rig *rig = arg;
    rig->reason = reason;
    rig->status = status;
    rig->num_refused++;
    snprintf(rig->why, sizeof(rig->why), "%s", why);
}

static const struct http_edge_env ENV = {.dial = dial, .drop = drop, .refused = refused};

struct rig *rig_new(const struct rig_setup *setup) {
    struct rig *rig = calloc(1, sizeof(*rig));
    const struct http_policy_setup none = {.num_rules = 0};
    CHECK(rig != NULL);
    rig->policy = http_policy_new(setup->policy == NULL ? &none : setup->policy, NULL);
    CHECK(rig->policy != NULL);
    rig->caller = setup->caller != NULL
                      ? *setup->caller
                      : (struct http_caller){.tls = true, .client = HTTP_CLIENT_VERIFIED};
    rig->piece = SIZE_MAX;
    rig->app_takes = SIZE_MAX;
    const struct http_edge_setup edge = {
        .policy = rig->policy,
        .caller = &rig->caller,
        .client = setup->client,
        .application = setup->application,
        .env = &ENV,
        .arg = rig,
    };
    rig->edge = http_edge_new(&edge);
    CHECK(rig->edge != NULL);
    return rig;
}

void rig_free(struct rig *rig) {
    if (rig == NULL) {
        return;
    }
    http_edge_free(rig->edge);
    http_policy_free(rig->policy);
    for (size_t i = 0; i < rig->num_backs; i++) {
        CHECK(rig->backs[i].back == NULL); // every one was dropped
        buf_fini(&rig->backs[i].got);
    }
    buf_fini(&rig->client);
    free(rig);
}

// True when something moved.
static bool pump_back(struct rig_back *slot) {
    struct rig *rig = slot->rig;
    if (slot->back == NULL || rig->unconnected) {
        return false;
    }
    struct span out = http_back_output(slot->back);
    size_t len = out.len < rig->app_takes ? out.len : rig->app_takes;
    if (len > 0) {
        CHECK(buf_append(&slot->got, out.ptr, len));
        http_back_sent(slot->back, len);
    }
    if (slot->back != NULL && http_back_output(slot->back).len == 0) {
        slot->finished = slot->finished || http_back_wants_finish(slot->back);
    }
    if (len > 0 && rig->app != NULL) {
        rig->app(slot);
    }
    return len > 0;
}

static bool pump_client(struct rig *rig) {
    struct span out = http_edge_output(rig->edge);
    if (out.len == 0) {
        return false;
    }
    CHECK(buf_append(&rig->client, out.ptr, out.len));
    http_edge_sent(rig->edge, out.len);
    return true;
}

void rig_pump(struct rig *rig) {
    bool moved;
    do {
        moved = pump_client(rig);
        for (size_t i = 0; i < rig->num_backs; i++) {
            moved = pump_back(&rig->backs[i]) || moved;
        }
    } while (moved);
}

size_t rig_send(struct rig *rig, struct span bytes) {
    while (bytes.len > 0) {
        size_t len = bytes.len < rig->piece ? bytes.len : rig->piece;
        size_t taken = http_edge_receive(rig->edge, span_of(bytes.ptr, len));
        CHECK(taken <= len);
        bytes = span_after(bytes, taken);
        rig_pump(rig);
        if (taken == 0 && !http_edge_wants_input(rig->edge)) {
            break;
        }
    }
    return bytes.len;
}

size_t rig_send_text(struct rig *rig, const char *text) {
    return rig_send(rig, span_of_text(text));
}

void rig_app(struct rig *rig, size_t n, struct span bytes) {
    CHECK(n < rig->num_backs);
    while (bytes.len > 0 && rig->backs[n].back != NULL) {
        size_t len = bytes.len < rig->piece ? bytes.len : rig->piece;
        size_t taken = http_back_receive(rig->backs[n].back, span_of(bytes.ptr, len));
        bytes = span_after(bytes, taken);
        rig_pump(rig);
        CHECK(taken > 0 || rig->backs[n].back == NULL);
    }
}

void rig_app_text(struct rig *rig, size_t n, const char *text) {
    rig_app(rig, n, span_of_text(text));
}

void rig_app_end(struct rig *rig, size_t n) {
    CHECK(n < rig->num_backs && rig->backs[n].back != NULL);
    http_back_end(rig->backs[n].back);
    rig_pump(rig);
}

// Where the chunks that begin at `at` end, trailers included; 0: not yet.
static size_t chunks_end(struct span got, size_t at) {
    for (;;) {
        struct span rest = span_after(got, at);
        const uint8_t *line = rest.len == 0 ? NULL : memmem(rest.ptr, rest.len, "\r\n", 2);
        if (line == NULL) {
            return 0;
        }
        size_t size = strtoul((const char *)rest.ptr, NULL, 16);
        if (size == 0) {
            const uint8_t *end = memmem(line, (size_t)(rest.ptr + rest.len - line), "\r\n\r\n", 4);
            return end == NULL ? 0 : (size_t)(end - got.ptr) + 4;
        }
        at += (size_t)(line - rest.ptr) + 2 + size + 2;
        if (at > got.len) {
            return 0;
        }
    }
}

// Where the request that begins at `from` ends; 0: not yet. Trusts its input, which is the edge's.
static size_t request_end(struct span got, size_t from) {
    const uint8_t *text = got.ptr + from;
    const uint8_t *head = memmem(text, got.len - from, "\r\n\r\n", 4);
    if (head == NULL) {
        return 0;
    }
    size_t head_len = (size_t)(head - text) + 4;
    const char *length = memmem(text, head_len, "\r\nContent-Length: ", 18);
    if (length != NULL) {
        size_t end = from + head_len + strtoul(length + 18, NULL, 10);
        return end <= got.len ? end : 0;
    }
    if (memmem(text, head_len, "\r\nTransfer-Encoding: chunked\r\n", 30) == NULL) {
        return from + head_len;
    }
    return chunks_end(got, from + head_len);
}

void rig_app_ok(struct rig_back *slot) {
    static const char ANSWER[] = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
    size_t end;
    while (slot->answered < slot->got.len &&
           (end = request_end(buf_span(&slot->got), slot->answered)) > 0) {
        bool head = memcmp(buf_span(&slot->got).ptr + slot->answered, "HEAD ", 5) == 0;
        slot->answered = end;
        if (slot->back != NULL) {
            (void)http_back_receive(slot->back,
                                    span_of(ANSWER, sizeof(ANSWER) - 1 - (head ? 2 : 0)));
        }
    }
}

static bool got(struct buf *buf, const char *text) {
    bool equal = span_equal_text(buf_span(buf), text);
    if (!equal) {
        fprintf(stderr, "--- got\n%.*s\n--- wanted\n%s\n---\n", (int)buf->len,
                buf->len == 0 ? "" : (const char *)buf_span(buf).ptr, text);
    }
    buf_clear(buf);
    return equal;
}

bool rig_client_got(struct rig *rig, const char *text) {
    return got(&rig->client, text);
}

bool rig_app_got(struct rig *rig, size_t n, const char *text) {
    CHECK(n < rig->num_backs);
    rig->backs[n].answered = 0;
    return got(&rig->backs[n].got, text);
}
