// SPIFFE IDs and patterns from arbitrary bytes. Input: an ID, a newline, a pattern.
#include <string.h>

#include "base/check.h"
#include "base/err.h"
#include "base/span.h"
#include "certmgr/spiffe_id.h"
#include "tests/fuzz/fuzz_target.h"

// What is accepted is printable, without surprises, and means the same when it is read again.
static void check_id(const struct spiffe_id *id, struct span text) {
    CHECK(span_equal(spiffe_id_text(id), text) && strlen(id->text) == text.len);
    CHECK(text.len <= SPIFFE_ID_MAX);
    CHECK(spiffe_trust_domain_is_valid(spiffe_id_trust_domain(id)));
    CHECK(9 + spiffe_id_trust_domain(id).len + spiffe_id_path(id).len == text.len);
    CHECK(strpbrk(id->text, "%?#@[]*\\ \t\r\n\"'") == NULL);
    const char *path = (const char *)spiffe_id_path(id).ptr; // ".." is odd as a domain, but legal
    CHECK(strstr(path, "//") == NULL && strstr(path, "/../") == NULL);
    struct spiffe_id again;
    CHECK(spiffe_id_parse(&again, text, NULL) && spiffe_id_equal(id, &again));
    // An ID without wildcards is a pattern that matches itself.
    CHECK(spiffe_pattern_check(text, NULL) && spiffe_pattern_matches(text, id));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    const uint8_t *newline = size == 0 ? NULL : memchr(data, '\n', size);
    size_t id_len = newline == NULL ? size : (size_t)(newline - data);
    struct span text = span_of(data, id_len);
    struct span pattern = newline == NULL ? text : span_after(span_of(data, size), id_len + 1);
    struct spiffe_id id;
    struct err err = {0};
    bool is_id = spiffe_id_parse(&id, text, &err);
    CHECK(is_id == (err.msg[0] == '\0'));
    if (is_id) {
        check_id(&id, text);
    }
    if (spiffe_pattern_check(pattern, NULL) && is_id) {
        (void)spiffe_pattern_matches(pattern, &id);
    }
    return 0;
}
