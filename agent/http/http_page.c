#include "agent/http/http_page.h"

#include <stdio.h>

// RFC 9110's phrase.
static const char *phrase_of(int status) {
    switch (status) {
    case 301:
        return "Moved Permanently";
    case 400:
        return "Bad Request";
    case 404:
        return "Not Found";
    case 408:
        return "Request Timeout";
    case 414:
        return "URI Too Long";
    case 417:
        return "Expectation Failed";
    case 431:
        return "Request Header Fields Too Large";
    case 502:
        return "Bad Gateway";
    case 503:
        return "Service Unavailable";
    case 504:
        return "Gateway Timeout";
    case 505:
        return "HTTP Version Not Supported";
    default:
        return "Error";
    }
}

void http_page_render(struct http_page *page, int status) {
    const char *reason = phrase_of(status);
    int len = snprintf(page->body, sizeof(page->body),
                       "<html>\r\n<head><title>%d %s</title></head>\r\n<body>\r\n"
                       "<center><h1>%d %s</h1></center>\r\n<hr><center>by Pavise</center>\r\n"
                       "</body>\r\n</html>\r\n",
                       status, reason, status, reason);
    page->len = len > 0 && (size_t)len < sizeof(page->body) ? (size_t)len : 0;
}

static bool add(struct http_fields *out, const char *name, const char *value) {
    return http_fields_add(out, span_of_text(name), span_of_text(value)) == HTTP_FIELDS_OK;
}

bool http_page_head(struct http_fields *out, int status, const struct http_page *page,
                    struct span location) {
    char status_text[8];
    char length[24];
    snprintf(status_text, sizeof(status_text), "%d", status);
    snprintf(length, sizeof(length), "%zu", page->len);
    return add(out, ":status", status_text) && add(out, ":reason", phrase_of(status)) &&
           add(out, "Content-Type", "text/html") && add(out, "Content-Length", length) &&
           (location.len == 0 ||
            http_fields_add(out, span_of_text("Location"), location) == HTTP_FIELDS_OK);
}
