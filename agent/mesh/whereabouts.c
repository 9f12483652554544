#include "agent/mesh/whereabouts.h"

#include <string.h>

static const char QUESTION[] = "\0PAVISE: where?\n";
_Static_assert(sizeof QUESTION - 1 == WHEREABOUTS_QUESTION_LEN, "the length that the header says");

struct span whereabouts_question(void) {
    return span_of((const uint8_t *)QUESTION, WHEREABOUTS_QUESTION_LEN);
}

bool whereabouts_is_question(struct span bytes) {
    return bytes.len >= WHEREABOUTS_QUESTION_LEN &&
           memcmp(bytes.ptr, QUESTION, WHEREABOUTS_QUESTION_LEN) == 0;
}

size_t whereabouts_answer(const struct netaddr *pod, char out[WHEREABOUTS_ANSWER_MAX]) {
    netaddr_format(pod, out);
    size_t len = strlen(out);
    out[len] = '\n'; // in place of the NUL, for which there is room
    return len + 1;
}

enum whereabouts whereabouts_parse(struct span answer, struct netaddr *pod) {
    const uint8_t *end = answer.len == 0 ? NULL : memchr(answer.ptr, '\n', answer.len);
    if (end == NULL) {
        return answer.len < WHEREABOUTS_ANSWER_MAX ? WHEREABOUTS_INCOMPLETE : WHEREABOUTS_NONSENSE;
    }
    size_t len = (size_t)(end - answer.ptr);
    struct netaddr found;
    if (len + 1 != answer.len || answer.len > WHEREABOUTS_ANSWER_MAX ||
        !netaddr_parse(&found, span_of(answer.ptr, len), NULL) || netaddr_is_any(&found) ||
        netaddr_is_loopback(&found) || found.scope != 0) {
        return WHEREABOUTS_NONSENSE;
    }
    *pod = found;
    return WHEREABOUTS_KNOWN;
}
