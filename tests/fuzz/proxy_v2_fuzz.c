// Whatever a load balancer, or somebody who would like to be one, sends first.
#include "agent/net/proxy_v2.h"
#include "base/buf.h"
#include "base/check.h"
#include "tests/fuzz/fuzz_target.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct proxy_v2_source got;
    if (!proxy_v2_parse(span_of(data, size), &got)) {
        return 0;
    }
    CHECK(size >= PROXY_V2_FIXED && proxy_v2_length(data) == size);
    if (!got.is_local) {
        struct buf again = {0};
        struct proxy_v2_source reread;
        CHECK(proxy_v2_render(&got.source, &got.destination, NULL, &again));
        CHECK(proxy_v2_parse(buf_span(&again), &reread));
        CHECK(netaddr_equal(&reread.source, &got.source));
        buf_fini(&again);
    }
    return 0;
}
