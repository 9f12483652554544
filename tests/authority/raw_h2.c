#include "tests/authority/raw_h2.h"

#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "base/check.h"
#include "base/span.h"

enum { DATA = 0, HEADERS = 1, SETTINGS = 4, PING = 6, WINDOW_UPDATE = 8 };
enum { ACK = 1, END_STREAM = 1, END_HEADERS = 4 };

#define FRAME_HEADER 9
#define MESSAGE_HEADER 5
#define WAIT_S 20 // only a hang reaches it

static void send_all(const struct raw_h2 *h2, const void *bytes, size_t len) {
    CHECK(send(h2->fd, bytes, len, MSG_NOSIGNAL) == (ssize_t)len);
}

static void send_frame(const struct raw_h2 *h2, uint8_t type, uint8_t flags, struct span payload) {
    bool on_stream = type == DATA || type == HEADERS || type == WINDOW_UPDATE;
    const uint8_t header[FRAME_HEADER] = {0,
                                          (uint8_t)(payload.len >> 8),
                                          (uint8_t)payload.len,
                                          type,
                                          flags,
                                          0,
                                          0,
                                          0,
                                          on_stream ? 1 : 0};
    send_all(h2, header, sizeof(header));
    if (payload.len > 0) {
        send_all(h2, payload.ptr, payload.len);
    }
}

// A header field as a literal that is not indexed (RFC 7541 section 6.2.2).
static void add_field(struct buf *out, const char *name, const char *value) {
    const uint8_t start[] = {0, (uint8_t)strlen(name)};
    const uint8_t len = (uint8_t)strlen(value);
    CHECK(buf_append(out, start, sizeof(start)) && buf_append_text(out, name) &&
          buf_append(out, &len, 1) && buf_append_text(out, value));
}

void raw_h2_init(struct raw_h2 *h2, int fd) {
    static const char preface[] = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
    static const uint8_t no_window[] = {0, 4, 0, 0, 0, 0};
    static const uint8_t empty_message[MESSAGE_HEADER] = {0};
    struct timeval wait = {.tv_sec = WAIT_S};
    struct buf fields = {0};
    *h2 = (struct raw_h2){.fd = fd};
    CHECK(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof(wait)) == 0);
    add_field(&fields, ":method", "POST");
    add_field(&fields, ":scheme", "http");
    add_field(&fields, ":path", "/SpiffeWorkloadAPI/FetchX509SVID");
    add_field(&fields, ":authority", "localhost");
    add_field(&fields, "te", "trailers");
    add_field(&fields, "content-type", "application/grpc");
    add_field(&fields, "workload.spiffe.io", "true");
    send_all(h2, preface, sizeof(preface) - 1);
    send_frame(h2, SETTINGS, 0, span_of(no_window, sizeof(no_window)));
    send_frame(h2, HEADERS, END_HEADERS, buf_span(&fields));
    send_frame(h2, DATA, END_STREAM, span_of(empty_message, sizeof(empty_message)));
    buf_fini(&fields);
}

void raw_h2_fini(struct raw_h2 *h2) {
    (void)close(h2->fd);
    buf_fini(&h2->input);
    buf_clear_secret(&h2->stream);
}

void raw_h2_open_window(struct raw_h2 *h2) {
    static const uint8_t increment[] = {0, 0, 0xff, 0xff};
    send_frame(h2, WINDOW_UPDATE, 0, span_of(increment, sizeof(increment)));
}

static void on_frame(struct raw_h2 *h2, uint8_t type, uint8_t flags, struct span payload) {
    if (type == DATA) {
        CHECK(buf_append(&h2->stream, payload.ptr, payload.len));
    } else if (type == SETTINGS && (flags & ACK) == 0) {
        send_frame(h2, SETTINGS, ACK, span_of(NULL, 0));
    } else if (type == PING && (flags & ACK) == 0) {
        send_frame(h2, PING, ACK, payload);
    }
}

// Takes one frame off the input. False when there is no whole one.
static bool take_frame(struct raw_h2 *h2) {
    struct span in = buf_span(&h2->input);
    if (in.len < FRAME_HEADER) {
        return false;
    }
    size_t len = (size_t)in.ptr[0] << 16 | (size_t)in.ptr[1] << 8 | in.ptr[2];
    if (in.len < FRAME_HEADER + len) {
        return false;
    }
    on_frame(h2, in.ptr[3], in.ptr[4], span_of(in.ptr + FRAME_HEADER, len));
    buf_consume(&h2->input, FRAME_HEADER + len);
    return true;
}

static bool take_message(struct raw_h2 *h2, struct buf *out) {
    struct span in = buf_span(&h2->stream);
    if (in.len < MESSAGE_HEADER) {
        return false;
    }
    size_t len =
        (size_t)in.ptr[1] << 24 | (size_t)in.ptr[2] << 16 | (size_t)in.ptr[3] << 8 | in.ptr[4];
    if (in.len < MESSAGE_HEADER + len) {
        return false;
    }
    CHECK(in.ptr[0] == 0 && buf_append(out, in.ptr + MESSAGE_HEADER, len));
    buf_consume(&h2->stream, MESSAGE_HEADER + len);
    return true;
}

void raw_h2_next(struct raw_h2 *h2, struct buf *out) {
    while (!take_message(h2, out)) {
        uint8_t bytes[4096];
        ssize_t len = recv(h2->fd, bytes, sizeof(bytes), 0);
        CHECK(len > 0 && buf_append(&h2->input, bytes, (size_t)len));
        while (take_frame(h2)) {
        }
    }
}
