// What answers in a sidecar's place, and what comes to a port in the place of a question.
#include <stdlib.h>
#include <string.h>

#include "agent/mesh/whereabouts.h"
#include "base/check.h"
#include "tests/fuzz/fuzz_target.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct span bytes = span_of(data, size);
    struct netaddr pod, again;
    char text[WHEREABOUTS_ANSWER_MAX];
    (void)whereabouts_is_question(bytes);
    if (whereabouts_parse(bytes, &pod) == WHEREABOUTS_KNOWN) {
        size_t len = whereabouts_answer(&pod, text);
        CHECK(pod.port > 0 && !netaddr_is_loopback(&pod) && !netaddr_is_any(&pod));
        CHECK(whereabouts_parse(span_of((uint8_t *)text, len), &again) == WHEREABOUTS_KNOWN);
        CHECK(netaddr_equal(&pod, &again));
    }
    return 0;
}
