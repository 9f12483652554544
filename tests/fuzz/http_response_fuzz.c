// HTTP answers of servers that the agent asks: OCSP responders and the trust store's URLs. Parsed
// in one piece and byte by byte, to the server's end: the result must be the same, and no body be
// larger than was said.
#include <string.h>

#include "agent/status/http_message.h"
#include "base/check.h"
#include "tests/fuzz/fuzz_target.h"

#define BODY_MAX 512

static enum http_outcome feed(struct http_message *message, struct span bytes, size_t piece) {
    enum http_outcome outcome = HTTP_MORE;
    while (outcome == HTTP_MORE && bytes.len > 0) {
        size_t used = 0;
        outcome = http_message_feed(
            message, span_of(bytes.ptr, bytes.len < piece ? bytes.len : piece), &used);
        CHECK(used <= bytes.len);
        bytes = span_after(bytes, used);
    }
    return outcome == HTTP_MORE ? http_message_end(message) : outcome;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    OWNED(http_message_free)
    struct http_message *whole = http_message_new(HTTP_KIND_RESPONSE, BODY_MAX);
    OWNED(http_message_free)
    struct http_message *pieces = http_message_new(HTTP_KIND_RESPONSE, BODY_MAX);
    CHECK(whole != NULL && pieces != NULL);
    enum http_outcome outcome = feed(whole, span_of(data, size), size + 1);
    CHECK(feed(pieces, span_of(data, size), 1) == outcome && outcome != HTTP_MORE);
    if (outcome == HTTP_BAD) {
        CHECK(http_message_problem(whole) != NULL && http_message_problem(pieces) != NULL);
        return 0;
    }
    struct span a = http_message_body(whole);
    struct span b = http_message_body(pieces);
    CHECK(http_message_status(whole) == http_message_status(pieces));
    CHECK(a.len <= BODY_MAX && a.len == b.len && (a.len == 0 || memcmp(a.ptr, b.ptr, a.len) == 0));
    return 0;
}
