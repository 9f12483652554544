// A manifest: what is injected can be injected again without a change, and taken out again to the
// last byte.
#include "agent/inject/inject.h"
#include "base/check.h"
#include "tests/fuzz/fuzz_target.h"

static void check_way_back(struct span text, struct span injected) {
    struct settings settings;
    struct buf again = {0};
    struct buf back = {0};
    struct buf report = {0};
    struct err err = {0};
    settings_init(&settings);
    CHECK(inject_text(injected, &settings, &again, &report, &err));
    CHECK(span_equal(buf_span(&again), injected));
    CHECK(inject_remove(injected, &back, &report, &err));
    CHECK(span_equal(buf_span(&back), text));
    buf_fini(&again);
    buf_fini(&back);
    buf_fini(&report);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct span text = span_of(data, size);
    struct settings settings;
    struct buf injected = {0};
    struct buf removed = {0};
    struct buf report = {0};
    struct err err = {0};
    settings_init(&settings);
    bool was_clean = memmem(data, size, "pavise", 6) == NULL;
    if (inject_text(text, &settings, &injected, &report, &err) && was_clean) {
        check_way_back(text, buf_span(&injected));
    }
    if (!inject_remove(text, &removed, &report, &err)) {
        CHECK(err.msg[0] != '\0');
    }
    buf_fini(&injected);
    buf_fini(&removed);
    buf_fini(&report);
    return 0;
}
