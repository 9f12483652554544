// The authority's entries file: what parses holds IDs of the trust domain only, and everything else
// is refused with a place.
#include <string.h>

#include "authority/entries.h"
#include "base/check.h"
#include "base/err.h"
#include "base/span.h"
#include "tests/fuzz/fuzz_target.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static const char home[] = "spiffe://example.org/";
    struct err err = {0};
    OWNED(entries_free)
    struct entries *entries = entries_parse("e", span_of(data, size), "example.org", &err);
    if (entries == NULL) {
        CHECK(err.class == ERR_INPUT && strncmp(err.msg, "e:", 2) == 0);
        return 0;
    }
    for (uint32_t uid = 0; uid < 16; uid++) {
        const char *id = entries_find(entries, uid);
        CHECK(id == NULL || strncmp(id, home, sizeof(home) - 1) == 0);
    }
    return 0;
}
