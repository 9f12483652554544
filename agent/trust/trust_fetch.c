#include "agent/trust/trust_fetch.h"

#include "agent/config/url.h"
#include "agent/trust/trust_http.h"
#include "base/file.h"

bool trust_fetch(const char *text, struct span roots, const struct patience *patience,
                 struct buf *out, struct err *err) {
    struct url url;
    if (!url_parse(span_of_text(text), &url, err)) {
        return false;
    }
    if (url.scheme == URL_FILE) {
        return file_read(url.target, TRUST_FETCH_MAX, out, err);
    }
    const struct trust_http_ask ask = {.url = &url, .roots = roots, .answer_max = TRUST_FETCH_MAX};
    return trust_http(&ask, patience, out, err);
}
