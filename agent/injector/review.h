// One AdmissionReview (admission.k8s.io/v1) of a pod's creation -> the answer, with a JSON patch
// that injects the sidecar. Pure.
#ifndef AGENT_INJECTOR_REVIEW_H
#define AGENT_INJECTOR_REVIEW_H

#include <stdbool.h>

#include "agent/inject/settings.h"
#include "base/buf.h"
#include "base/err.h"
#include "base/own.h"
#include "base/span.h"

#define REVIEW_MAX ((size_t)4 << 20) // bytes of a request; the API server sends 3 MiB at most

enum review_result {
    REVIEW_PATCHED,
    REVIEW_LEFT_ALONE,
    REVIEW_DENIED, // a mistake in the pod's annotations: its creation is refused, with the sentence
    REVIEW_BAD,    // this is no review that can be answered
};

// What is told about an answer, for the log.
struct review_report {
    enum review_result result;
    char namespace[256];
    char name[256]; // or generateName
    char sentence[ERR_MSG_MAX];
};

// Appends the answer to `out`; nothing when REVIEW_BAD. False: memory.
bool review_answer(struct span request, const struct settings *settings, struct buf *out,
                   struct review_report *report) MUST_USE;

#endif
