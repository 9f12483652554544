#include "agent/status/page.h"

#include <inttypes.h>
#include <stdio.h>

#include "agent/status/escape.h"
#include "agent/status/page_assets.h"
#include "agent/status/version.h"

static bool render_pending(struct buf *out, const struct page_input *in, bool ready) {
    bool fine = buf_printf(out, "<p id=\"pending\"%s>", ready ? " hidden" : "");
    for (size_t i = 0; fine && i < in->num_checks; i++) {
        const struct readiness *check = &in->checks[i];
        if (!check->ready) {
            fine = escape_html(out, check->check) && buf_append_text(out, ": ") &&
                   escape_html(out, check->pending) && buf_append_text(out, "\n");
        }
    }
    return fine && buf_append_text(out, "</p>\n");
}

static bool render_identity_line(struct buf *out, const struct identity_view *view) {
    bool fine = buf_printf(
        out,
        "<p class=\"dim\" id=\"identity\">%s \xc2\xb7 source %s %s \xc2\xb7 %" PRIu64 " rotations",
        identity_state_name(view->state), view->source_kind, source_state_name(view->source.state),
        view->counts.rotations);
    if (fine && view->source.last_error[0] != '\0') {
        fine = buf_append_text(out, " \xc2\xb7 ") && escape_html(out, view->source.last_error);
    }
    return fine && buf_append_text(out, "</p>\n");
}

static bool render_head(struct buf *out, const struct page_input *in) {
    bool ready = true;
    for (size_t i = 0; i < in->num_checks; i++) {
        ready = ready && in->checks[i].ready;
    }
    return buf_printf(out,
                      "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">"
                      "<meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">"
                      "<title>Pavise</title><link rel=\"icon\" href=\"data:,\">"
                      "<style nonce=\"%s\">\n",
                      in->nonce) &&
           buf_append_text(out, page_assets_style()) &&
           buf_printf(out,
                      "</style></head>\n<body><header><h1>Pavise</h1>"
                      "<span id=\"ready\" class=\"badge%s\">%s</span>"
                      "<span class=\"dim\">version " PAVISE_VERSION "</span></header>\n",
                      ready ? " good" : "", ready ? "ready" : "not ready") &&
           render_pending(out, in, ready) && render_identity_line(out, in->tables.identity);
}

static bool render_foot(struct buf *out, const struct page_input *in) {
    static const char *const links[] = {
        "/identity", "/certs", "/listeners", "/connections", "/tunnels",       "/destinations",
        "/refusals", "/trust", "/config",    "/metrics",     "/readyz?verbose"};
    bool fine = buf_append_text(out, "<footer>As data: ");
    for (size_t i = 0; i < sizeof(links) / sizeof(links[0]); i++) {
        fine = fine && buf_printf(out, "<a href=\"%s\">%s</a>", links[i], links[i]);
    }
    return fine && buf_printf(out, "</footer>\n<script nonce=\"%s\">\n", in->nonce) &&
           buf_append_text(out, page_assets_script()) &&
           buf_append_text(out, "</script></body></html>\n");
}

bool page_render(struct buf *out, const struct page_input *input) {
    return render_head(out, input) && page_table_render(out, &input->tables) &&
           render_foot(out, input);
}

void page_policy(const char *nonce, char *out, size_t max) {
    (void)snprintf(out, max,
                   "default-src 'none'; style-src 'nonce-%s'; script-src 'nonce-%s'; "
                   "connect-src 'self'; img-src data:; base-uri 'none'; form-action 'none'; "
                   "frame-ancestors 'none'",
                   nonce, nonce);
}
