// Arbitrary bytes as a configuration: refused with sentences, or accepted, and then what is
// rendered of it is a configuration again.
#include <stdlib.h>

#include "agent/config/config.h"
#include "base/buf.h"
#include "tests/fuzz/fuzz_target.h"

static void must(bool condition) {
    if (!condition) {
        abort();
    }
}

static void check_render(const struct config *config) {
    struct buf json = {0};
    must(config_render_json(config, &json));
    struct buf errors = {0};
    struct config *again = config_parse("again", buf_span(&json), &errors, NULL);
    must(again != NULL && errors.len == 0);
    struct buf json_again = {0};
    must(config_render_json(again, &json_again));
    must(span_equal(buf_span(&json), buf_span(&json_again)));
    config_unref(again);
    buf_fini(&json);
    buf_fini(&json_again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct buf errors = {0};
    struct buf warnings = {0};
    struct config *config = config_parse("fuzz", span_of(data, size), &errors, &warnings);
    must((config == NULL) == (errors.len > 0));
    if (config != NULL) {
        check_render(config);
    }
    config_unref(config);
    buf_fini(&errors);
    buf_fini(&warnings);
    return 0;
}
