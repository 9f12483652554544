#include "agent/status/answer.h"

#include <stdarg.h>
#include <stdio.h>

#define SENTENCE_MAX 1024

void answer_text(struct http_response *response, unsigned status, const char *format, ...) {
    char sentence[SENTENCE_MAX];
    va_list args;
    va_start(args, format);
    (void)vsnprintf(sentence, sizeof(sentence), format, args);
    va_end(args);
    response->status = status;
    response->content_type = "text/plain; charset=utf-8";
    buf_clear(&response->body);
    if (!buf_printf(&response->body, "%s\n", sentence)) {
        response->status = 503;
    }
}

void answer_rendered(struct http_response *response, const char *content_type, bool rendered) {
    if (!rendered) {
        answer_text(response, 503, "memory is short");
        return;
    }
    response->status = 200;
    response->content_type = content_type;
}
