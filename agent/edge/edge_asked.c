#include "agent/edge/edge_asked.h"

#include <stdlib.h>
#include <string.h>

#include "agent/config/url.h"
#include "certmgr/ocsp_request.h"
#include "certmgr/ocsp_response.h"
#include "certmgr/x509_der.h"

static bool find_responder(const struct stapling_options *options, const X509 *leaf,
                           struct edge_asked *out, struct err *err) {
    struct url url;
    out->responder =
        options->responder != NULL ? strdup(options->responder) : ocsp_request_responder(leaf);
    if (out->responder == NULL) {
        return ERR_SET(err, ERR_INPUT,
                       "no_responder_url: the certificate names no OCSP responder with an http:// "
                       "URL; say responder, or file");
    }
    return url_parse_responder(span_of_text(out->responder), &url, err) ||
           err_wrap(err, "the certificate's responder");
}

static bool fill(const struct stapling_options *options, const struct edge_certificate *cert,
                 struct edge_asked *out, struct err *err) {
    if (cert->num_chain < 2) {
        return ERR_SET(err, ERR_INPUT, "certFile has to hold the certificate's issuer as well");
    }
    X509 *leaf OWNED(X509_free) = x509_der_parse(cert->chain[0], err);
    X509 *issuer OWNED(X509_free) = leaf == NULL ? NULL : x509_der_parse(cert->chain[1], err);
    return issuer != NULL && ocsp_request_render(leaf, issuer, &out->request, err) &&
           find_responder(options, leaf, out, err);
}

static void asked_fini(struct edge_asked *asked) {
    free(asked->responder);
    buf_fini(&asked->request);
}

bool edge_asked_add(struct edge_asked_list *list, uint16_t port,
                    const struct stapling_options *options, struct edge_certificate *cert,
                    struct err *err) {
    struct edge_asked asked = {.port = port, .cert = cert, .options = options};
    if (!fill(options, cert, &asked, err)) {
        asked_fini(&asked);
        return false;
    }
    struct edge_asked *items = reallocarray(list->items, list->num + 1, sizeof(*items));
    if (items == NULL) {
        asked_fini(&asked);
        return ERR_NO_MEMORY(err, "reading certificates");
    }
    list->items = items;
    list->items[list->num++] = asked;
    cert->staple_slot = list->num;
    return true;
}

void edge_asked_fini(struct edge_asked_list *list) {
    for (size_t i = 0; i < list->num; i++) {
        asked_fini(&list->items[i]);
    }
    free(list->items);
    *list = (struct edge_asked_list){0};
}

bool edge_asked_read(const struct edge_asked *asked, struct span der, struct ocsp_response *out,
                     struct err *err) {
    X509 *leaf OWNED(X509_free) = x509_der_parse(asked->cert->chain[0], err);
    X509 *issuer OWNED(X509_free) =
        leaf == NULL ? NULL : x509_der_parse(asked->cert->chain[1], err);
    return issuer != NULL && ocsp_response_read(der, leaf, issuer, out, err);
}
