// A client's bytes on an HTTP/2 port. The first byte says in which pieces they come, and whether
// the application speaks HTTP/1.1 and answers, or HTTP/2 and is silent. Nothing of a client's own
// claims may reach the application's heads, and every connection asked for is let go.
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "tests/fuzz/fuzz_target.h"
#include "tests/http/edge_rig.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static const char PREFACE[] = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\4\0\0\0\0\0";
    if (size == 0) {
        return 0;
    }
    bool http2 = (data[0] & 1) != 0;
    OWNED(rig_free)
    struct rig *rig = rig_new(&(struct rig_setup){
        .client = HTTP_VERSION_2, .application = http2 ? HTTP_VERSION_2 : HTTP_VERSION_1});
    rig->piece = (data[0] & 2) != 0 ? 1 : SIZE_MAX;
    rig->app = http2 ? NULL : rig_app_ok;
    (void)rig_send(rig, span_of(PREFACE, sizeof(PREFACE) - 1));
    (void)rig_send(rig, span_of(data + 1, size - 1));
    for (size_t i = 0; i < rig->num_backs && !http2; i++) {
        struct span got = buf_span(&rig->backs[i].got);
        CHECK(got.len == 0 || memmem(got.ptr, got.len, " HTTP/1.1\r\nHost: ", 17) != NULL);
    }
    http_edge_end(rig->edge);
    rig_pump(rig);
    return 0;
}
