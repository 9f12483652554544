#include "agent/staple/staple_ask.h"

#include "agent/config/url.h"
#include "agent/trust/trust_http.h"
#include "base/text.h"

static bool fetch(const struct edge_asked *asked, const struct patience *patience, struct buf *out,
                  struct err *err) {
    struct url url;
    if (!url_parse_responder(span_of_text(asked->responder), &url, err)) {
        return false;
    }
    const struct trust_http_ask ask = {.url = &url,
                                       .content_type = "application/ocsp-request",
                                       .body = buf_span(&asked->request),
                                       .answer_max = OCSP_RESPONSE_MAX};
    return trust_http(&ask, patience, out, err);
}

void staple_ask(const struct edge_asked *asked, const struct patience *patience,
                struct staple_answer *out) {
    struct buf der = {0};
    struct err err = {0};
    *out = (struct staple_answer){0};
    bool ok = fetch(asked, patience, &der, &err) &&
              (edge_asked_read(asked, buf_span(&der), &out->facts, &err) ||
               err_wrap(&err, "invalid_ocsp_response"));
    if (ok) {
        out->response = CRYPTO_BUFFER_new(buf_span(&der).ptr, der.len, NULL);
        ok = out->response != NULL || ERR_NO_MEMORY(&err, "keeping an OCSP response");
    }
    buf_fini(&der);
    if (!ok) {
        text_copy(out->why, sizeof(out->why), err.msg);
    }
}
