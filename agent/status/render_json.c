#include "agent/status/render_json.h"

#include "agent/status/json_internal.h"
#include "certmgr/identity.h"

static json_t *time_ms(int64_t wall_ms) {
    char out[CLOCK_TEXT_MAX];
    if (wall_ms == 0) {
        return json_null();
    }
    clock_format(wall_ms, true, out);
    return json_string(out);
}

static json_t *text_or_null(const char *value) {
    return value[0] == '\0' ? json_null() : text(value);
}

static json_t *address(const struct netaddr *addr) {
    char out[NETADDR_TEXT_MAX];
    bool none = addr->family == NETADDR_NONE;
    const char *shown = addr->port == 0 ? netaddr_format_ip(addr, out) : netaddr_format(addr, out);
    return none ? json_null() : json_string(shown);
}

static json_t *connection(const struct view *view, size_t i) {
    const struct connection_view *c = &view->connections[i];
    struct object o = object_begin();
    put(&o, "id", number(c->id));
    put(&o, "direction", json_string(direction_name(c->direction)));
    put(&o, "state", text(c->state));
    put(&o, "security", text(c->security));
    put(&o, "source", address(&c->source));
    put(&o, "destination", address(&c->destination));
    put(&o, "via", address(&c->via));
    put(&o, "ownId", text_or_null(c->own_id));
    put(&o, "peerId", text_or_null(c->peer_id));
    put(&o, "peerSerial", text_or_null(c->peer_serial));
    put(&o, "peerNotAfter", time_s(c->peer_not_after));
    put(&o, "openedAt", time_ms(c->opened_at_ms));
    put(&o, "bytesSent", number(c->bytes_sent));
    put(&o, "bytesReceived", number(c->bytes_received));
    put(&o, "tunnelId", c->tunnel_id == 0 ? json_null() : number(c->tunnel_id));
    put(&o, "rule", text_or_null(c->rule));
    return object_end(&o);
}

static json_t *tunnel(const struct view *view, size_t i) {
    const struct tunnel_view *t = &view->tunnels[i];
    struct object o = object_begin();
    put(&o, "id", number(t->id));
    put(&o, "direction", json_string(direction_name(t->direction)));
    put(&o, "state", text(t->state));
    put(&o, "peer", address(&t->peer));
    put(&o, "ownId", text_or_null(t->own_id));
    put(&o, "ownSerial", text_or_null(t->own_serial));
    put(&o, "peerId", text_or_null(t->peer_id));
    put(&o, "peerSerial", text_or_null(t->peer_serial));
    put(&o, "peerNotAfter", time_s(t->peer_not_after));
    put(&o, "identityGeneration", number(t->identity_generation));
    put(&o, "streamsOpen", number(t->streams_open));
    put(&o, "streamsTotal", number(t->streams_total));
    put(&o, "openedAt", time_ms(t->opened_at_ms));
    put(&o, "tlsVersion", text_or_null(t->tls_version == NULL ? "" : t->tls_version));
    put(&o, "cipher", text_or_null(t->cipher == NULL ? "" : t->cipher));
    put(&o, "group", text_or_null(t->group == NULL ? "" : t->group));
    put(&o, "aead", text_or_null(t->aead == NULL ? "" : t->aead));
    put(&o, "worker", number(t->worker));
    return object_end(&o);
}

static json_t *listener_destination(const struct listener_view *l) {
    return l->host[0] == '\0' ? address(&l->destination)
                              : json_sprintf("%s:%u", l->host, l->destination.port);
}

static json_t *listener(const struct view *view, size_t i) {
    const struct listener_view *l = &view->listeners[i];
    struct object o = object_begin();
    put(&o, "kind", text(l->kind));
    put(&o, "address", address(&l->address));
    put(&o, "destination", listener_destination(l));
    put(&o, "mode", text_or_null(l->mode == NULL ? "" : l->mode));
    put(&o, "accepting", json_boolean(l->accepting));
    return object_end(&o);
}

static json_t *destination(const struct view *view, size_t i) {
    const struct destination_view *d = &view->destinations[i];
    struct object o = object_begin();
    put(&o, "address", address(&d->address));
    put(&o, "state", text(d->state));
    put(&o, "peerId", text_or_null(d->peer_id));
    put(&o, "since", time_ms(d->since_ms));
    put(&o, "until", time_ms(d->until_ms));
    put(&o, "lastError", text_or_null(d->last_error));
    return object_end(&o);
}

static json_t *host_addresses(const struct host_view *h) {
    json_t *list = json_array();
    bool fine = list != NULL;
    for (size_t i = 0; fine && i < h->num_addresses; i++) {
        fine = json_array_append_new(list, address(&h->addresses[i])) == 0;
    }
    return fine ? list : (json_decref(list), NULL);
}

static json_t *host(const struct view *view, size_t i) {
    const struct host_view *h = &view->hosts[i];
    struct object o = object_begin();
    put(&o, "host", text(h->name));
    put(&o, "state", text(h->state));
    put(&o, "addresses", host_addresses(h));
    put(&o, "until", time_ms(h->until_ms));
    put(&o, "lastError", text_or_null(h->last_error));
    return object_end(&o);
}

static json_t *refusal(const struct view *view, size_t i) {
    const struct refusal_view *r = &view->refusals[i];
    struct object o = object_begin();
    put(&o, "at", time_ms(r->at_ms));
    put(&o, "direction", json_string(direction_name(r->direction)));
    put(&o, "reason", json_string(close_reason_name(r->reason)));
    put(&o, "sentence", text(close_reason_sentence(r->reason)));
    put(&o, "source", address(&r->source));
    put(&o, "destination", address(&r->destination));
    put(&o, "peerId", text_or_null(r->peer_id));
    put(&o, "peerSubject", text_or_null(r->peer_subject));
    put(&o, "rule", text_or_null(r->rule));
    put(&o, "detail", text(r->detail));
    return object_end(&o);
}

typedef json_t *row_fn(const struct view *view, size_t i);

static void put_rows(struct object *o, const struct view *view, const char *key, size_t num,
                     row_fn *row) {
    json_t *rows = json_array();
    for (size_t i = 0; i < num && i < RENDER_JSON_ROWS_MAX; i++) {
        put_row(o, rows, row(view, i));
    }
    put(o, key, rows);
}

// {"KEY": [rows], "total": N, "truncated": bool, "workersMissing": N}
static struct object list_begin(const struct view *view, const char *key, size_t num, row_fn *row) {
    struct object o = object_begin();
    put_rows(&o, view, key, num, row);
    put(&o, "total", number(num));
    put(&o, "truncated", json_boolean(num > RENDER_JSON_ROWS_MAX));
    put(&o, "workersMissing", number(view->workers_missing));
    return o;
}

static bool render_list(struct buf *out, const struct view *view, const char *key, size_t num,
                        row_fn *row) {
    struct object o = list_begin(view, key, num, row);
    return dump(out, object_end(&o));
}

bool render_json_connections(struct buf *out, const struct view *view) {
    return render_list(out, view, "connections", view->num_connections, connection);
}

bool render_json_tunnels(struct buf *out, const struct view *view) {
    return render_list(out, view, "tunnels", view->num_tunnels, tunnel);
}

bool render_json_listeners(struct buf *out, const struct view *view) {
    return render_list(out, view, "listeners", view->num_listeners, listener);
}

bool render_json_destinations(struct buf *out, const struct view *view) {
    struct object o = list_begin(view, "destinations", view->num_destinations, destination);
    put_rows(&o, view, "hosts", view->num_hosts, host);
    return dump(out, object_end(&o));
}

bool render_json_refusals(struct buf *out, const struct view *view) {
    return render_list(out, view, "refusals", view->num_refusals, refusal);
}

static json_t *chain(const struct svid *s) {
    json_t *list = json_array();
    bool fine = list != NULL;
    struct svid_certificate cert;
    for (size_t i = 0; fine && svid_certificate_at(s, i, &cert); i++) {
        struct object o = object_begin();
        put(&o, "subject", text(cert.subject));
        put(&o, "serial", text(cert.serial));
        put(&o, "notAfter", time_s(cert.not_after));
        fine = json_array_append_new(list, object_end(&o)) == 0;
    }
    return fine ? list : (json_decref(list), NULL);
}

static json_t *svid(const struct svid *s) {
    struct object o = object_begin();
    put(&o, "spiffeId", span_text(spiffe_id_text(svid_id(s))));
    put(&o, "serial", text(svid_serial(s)));
    put(&o, "notBefore", time_s(svid_not_before(s)));
    put(&o, "notAfter", time_s(svid_not_after(s)));
    put(&o, "hint", text(svid_hint(s)));
    put(&o, "chain", chain(s));
    return object_end(&o);
}

static json_t *bundle(const struct bundle_view *b) {
    struct object o = object_begin();
    put(&o, "trustDomain", span_text(b->trust_domain));
    put(&o, "certificates", number(b->num_certificates));
    put(&o, "notAfter", time_s(b->not_after));
    return object_end(&o);
}

static json_t *svids(const struct identity *identity) {
    json_t *list = json_array();
    bool fine = true;
    for (size_t i = 0; identity != NULL && i < identity_num_svids(identity); i++) {
        fine = json_array_append_new(list, svid(identity_svid_at(identity, i))) == 0 && fine;
    }
    return fine ? list : (json_decref(list), NULL);
}

static json_t *bundles(const struct identity *identity) {
    const struct bundle_set *set = identity == NULL ? NULL : identity_bundles(identity);
    json_t *list = json_array();
    bool fine = true;
    for (size_t i = 0; set != NULL && i < bundle_set_num_domains(set); i++) {
        struct bundle_view view = bundle_set_view(set, i);
        fine = json_array_append_new(list, bundle(&view)) == 0 && fine;
    }
    return fine ? list : (json_decref(list), NULL);
}

static json_t *source(const struct identity_view *view) {
    struct object o = object_begin();
    put(&o, "kind", text(view->source_kind));
    put(&o, "state", json_string(source_state_name(view->source.state)));
    put(&o, "lastError", text(view->source.last_error));
    put(&o, "attempts", number(view->source.num_attempts));
    put(&o, "nextRenewal", time_ms(view->source.next_renewal_ms));
    return object_end(&o);
}

static json_t *refused_by(const struct identity_counts *c) {
    struct object o = object_begin();
    for (int i = 0; i < IDENTITY_REFUSAL_COUNT; i++) {
        put(&o, identity_refusal_name((enum identity_refusal)i), number(c->refused_by[i]));
    }
    return object_end(&o);
}

static json_t *counts(const struct identity_counts *c) {
    struct object o = object_begin();
    put(&o, "updates", number(c->updates));
    put(&o, "refused", number(c->refused));
    put(&o, "refusedBy", refused_by(c));
    put(&o, "withdrawals", number(c->withdrawals));
    return object_end(&o);
}

bool render_json_identity(struct buf *out, const struct identity_view *view) {
    struct object o = object_begin();
    put(&o, "state", json_string(identity_state_name(view->state)));
    put(&o, "svids", svids(view->identity));
    put(&o, "source", source(view));
    put(&o, "rotations", number(view->counts.rotations));
    put(&o, "generation", number(view->identity == NULL ? 0 : identity_generation(view->identity)));
    put(&o, "lastChange", time_ms(view->last_change_ms));
    put(&o, "counts", counts(&view->counts));
    put(&o, "lastRefusal", text(view->last_refusal));
    put(&o, "bundles", bundles(view->identity));
    put(&o, "keptUntil", time_s(view->kept_until));
    return dump(out, object_end(&o));
}
