// The authority's tokens file: what parses gives IDs of the trust domain only, and everything else
// is refused with a place.
#include <string.h>

#include "authority/tokens.h"
#include "base/check.h"
#include "base/err.h"
#include "base/span.h"
#include "tests/fuzz/fuzz_target.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static const char home[] = "spiffe://example.org/";
    struct err err = {0};
    OWNED(tokens_free)
    struct tokens *tokens = tokens_parse("t", span_of(data, size), "example.org", &err);
    if (tokens == NULL) {
        CHECK(err.class == ERR_INPUT && strncmp(err.msg, "t:", 2) == 0);
        return 0;
    }
    CHECK(tokens_num(tokens) <= TOKENS_MAX);
    const char *id = tokens_find(tokens, span_of_text("aaaaaaaaaaaaaaaa"));
    CHECK(id == NULL || strncmp(id, home, sizeof(home) - 1) == 0);
    CHECK(tokens_find(tokens, span_of_text("short")) == NULL);
    return 0;
}
