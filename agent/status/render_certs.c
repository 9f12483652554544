#include "agent/status/render_certs.h"

#include <string.h>

#include "agent/status/json_internal.h"
#include "certmgr/identity.h"

static json_t *certificate(const struct svid *s, int64_t now_s) {
    struct object o = object_begin();
    int64_t left = svid_not_after(s) - now_s;
    const char *state = left <= 0                    ? "expired"
                        : now_s < svid_not_before(s) ? "notYetValid"
                                                     : "valid";
    put(&o, "kind", json_string("identity"));
    put(&o, "name", span_text(spiffe_id_text(svid_id(s))));
    put(&o, "state", json_string(state));
    put(&o, "serial", text(svid_serial(s)));
    put(&o, "notBefore", time_s(svid_not_before(s)));
    put(&o, "notAfter", time_s(svid_not_after(s)));
    put(&o, "secondsLeft", json_integer(left));
    return object_end(&o);
}

static json_t *authority(const struct bundle_view *b, int64_t now_s) {
    struct object o = object_begin();
    put(&o, "kind", json_string("trust_bundle"));
    put(&o, "name", span_text(b->trust_domain));
    put(&o, "state", json_string(b->not_after <= now_s ? "expired" : "valid"));
    put(&o, "certificates", number(b->num_certificates));
    put(&o, "notAfter", time_s(b->not_after));
    put(&o, "secondsLeft", json_integer(b->not_after - now_s));
    return object_end(&o);
}

static json_t *trusted_certificate(const struct trust_entry *entry, int64_t now_s) {
    const struct trust_cert *cert = entry->cert;
    unsigned findings = trust_cert_findings(cert, now_s);
    const char *state = (findings & TRUST_EXPIRED) != 0         ? "expired"
                        : (findings & TRUST_NOT_YET_VALID) != 0 ? "notYetValid"
                                                                : "valid";
    struct object o = object_begin();
    put(&o, "kind", json_string("trust"));
    put(&o, "name", text(entry->alias));
    put(&o, "state", json_string(state));
    put(&o, "subjectName", text(cert->subject));
    put(&o, "issuer", text(cert->issuer));
    put(&o, "thumbprint", hex(cert->sha1, sizeof(cert->sha1)));
    put(&o, "sha256", hex(cert->sha256, sizeof(cert->sha256)));
    put(&o, "notBefore", time_s(cert->not_before));
    put(&o, "notAfter", time_s(cert->not_after));
    put(&o, "secondsLeft", json_integer(cert->not_after - now_s));
    return object_end(&o);
}

static void append_trusted(struct object *o, json_t *list, const struct trust_set *trusted,
                           int64_t now_s) {
    for (size_t i = 0; trusted != NULL && i < trusted->num_entries; i++) {
        const struct trust_entry *entry = trusted->entries[i];
        if (entry->origin != TRUST_PUBLIC) {
            put_row(o, list, trusted_certificate(entry, now_s));
        }
    }
}

static json_t *staple(const struct certificate_view *cert, int64_t now_s) {
    const struct staple_view *view = &cert->staple;
    struct object o = object_begin();
    bool has_response = strcmp(view->status, "pending") != 0;
    put(&o, "status", text(view->status));
    put(&o, "stapled", json_boolean(certificate_view_is_stapled(cert, now_s)));
    put(&o, "source", text(view->source));
    put(&o, "until", has_response && view->until != INT64_MAX ? time_s(view->until) : json_null());
    put(&o, "asked", view->asked_s == 0 ? json_null() : time_s(view->asked_s));
    put(&o, "askedNext", view->due_s == 0 ? json_null() : time_s(view->due_s));
    put(&o, "lastError", text(view->last_error));
    return object_end(&o);
}

// A certificate that inbound.ports or outbound.destinations names.
static json_t *configured_certificate(const struct certificate_view *cert, int64_t now_s) {
    struct object o = object_begin();
    put(&o, "kind", json_string("configured"));
    put(&o, "name", text(cert->logical_name));
    put(&o, "path", text(cert->path));
    put(&o, "state", json_string(cert->not_after <= now_s ? "expired" : "valid"));
    put(&o, "notAfter", time_s(cert->not_after));
    put(&o, "secondsLeft", json_integer(cert->not_after - now_s));
    if (cert->staple.status != NULL) {
        put(&o, "staple", staple(cert, now_s));
    }
    return object_end(&o);
}

static void append_configured(struct object *o, json_t *list, const struct view *configured,
                              int64_t now_s) {
    for (size_t i = 0; i < configured->num_certificates; i++) {
        put_row(o, list, configured_certificate(&configured->certificates[i], now_s));
    }
}

bool render_certs_json(struct buf *out, const struct render_certs_input *input) {
    const struct identity_view *view = input->identity;
    int64_t now_s = input->now_ms / 1000;
    struct object o = object_begin();
    json_t *list = json_array();
    struct identity *identity = view->identity;
    struct bundle_set *set = identity == NULL ? NULL : identity_bundles(identity);
    for (size_t i = 0; identity != NULL && i < identity_num_svids(identity); i++) {
        put_row(&o, list, certificate(identity_svid_at(identity, i), now_s));
    }
    for (size_t i = 0; set != NULL && i < bundle_set_num_domains(set); i++) {
        struct bundle_view bundle_row = bundle_set_view(set, i);
        put_row(&o, list, authority(&bundle_row, now_s));
    }
    append_trusted(&o, list, input->trusted, now_s);
    append_configured(&o, list, input->configured, now_s);
    put(&o, "certificates", list);
    return dump(out, object_end(&o));
}
