// One side's bytes on an HTTP/2 port. The first byte says in which pieces they come, whether the
// application speaks HTTP/2 or HTTP/1.1, and whose bytes they are: the client's, to an application
// that answers (HTTP/1.1) or is silent, or the application's, to a client that has asked twice.
// Nothing of a client's own claims may reach the application's heads, and every connection asked
// for is let go.
#include <string.h>

#include "base/check.h"
#include "tests/fuzz/fuzz_target.h"
#include "tests/http/edge_rig.h"

enum { APP_HTTP2 = 1, IN_PIECES = 2, FROM_APP = 4 };

#define PREFACE "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\4\0\0\0\0\0"
// GET / and HEAD /, both complete.
#define GET "\0\0\6\1\5\0\0\0\1\x82\x87\x84\x41\1h"
#define HEAD "\0\0\xb\1\5\0\0\0\3\x42\4HEAD\x87\x84\x41\1h"

// "X-Ssl-Client-" in any letter case and with any separators.
static bool is_claim(const uint8_t *line, size_t len) {
    static const char NAME[] = "x-ssl-client-";
    for (size_t i = 0; i < sizeof(NAME) - 1; i++) {
        uint8_t c = i < len ? line[i] : 0;
        bool letter = (c | 0x20) >= 'a' && (c | 0x20) <= 'z';
        bool separates = c > ' ' && !letter && (c < '0' || c > '9');
        if (letter ? (c | 0x20) != NAME[i] : NAME[i] != '-' || !separates) {
            return false;
        }
    }
    return true;
}

// Of the first request on a connection that speaks HTTP/1.1.
static void check_head(struct span got) {
    const uint8_t *end = got.len == 0 ? NULL : memmem(got.ptr, got.len, "\r\n\r\n", 4);
    CHECK(end == NULL || memmem(got.ptr, got.len, " HTTP/1.1\r\nHost: ", 17) != NULL);
    for (const uint8_t *at = got.ptr; end != NULL && at < end;) {
        const uint8_t *line_end = memmem(at, (size_t)(end - at) + 2, "\r\n", 2);
        CHECK(!is_claim(at, (size_t)(line_end - at)));
        at = line_end + 2;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size == 0) {
        return 0;
    }
    bool http2 = (data[0] & APP_HTTP2) != 0;
    bool from_app = (data[0] & FROM_APP) != 0;
    struct span bytes = span_of(data + 1, size - 1);
    OWNED(rig_free)
    struct rig *rig = rig_new(&(struct rig_setup){
        .client = HTTP_VERSION_2, .application = http2 ? HTTP_VERSION_2 : HTTP_VERSION_1});
    rig->piece = (data[0] & IN_PIECES) != 0 ? 1 : SIZE_MAX;
    rig->app = http2 || from_app ? NULL : rig_app_ok;
    (void)rig_send(rig, span_of(PREFACE, sizeof(PREFACE) - 1));
    if (from_app) {
        (void)rig_send(rig, span_of(GET HEAD, sizeof(GET HEAD) - 1));
        rig_app(rig, 0, bytes);
    } else {
        (void)rig_send(rig, bytes);
    }
    for (size_t i = 0; i < rig->num_backs && !http2; i++) {
        check_head(buf_span(&rig->backs[i].got));
    }
    http_edge_end(rig->edge);
    rig_pump(rig);
    return 0;
}
