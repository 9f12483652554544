#include "agent/status/page_table.h"

#include <inttypes.h>
#include <stdio.h>

#include "agent/status/escape.h"
#include "agent/status/human.h"
#include "base/clock.h"
#include "certmgr/identity.h"

// Rows end at about this many bytes of a table, which keeps the page under 50 KB; the script shows
// more, and the JSON has all.
#define TABLE_LEN_MAX (5 * 1024)

// Where cells go. Cells come in the order of the columns, so each takes the next column's kind.
struct sink {
    struct buf *out;
    bool fine;
    int64_t now_ms;
    const struct column *column;
};

struct column {
    const char *title; // NULL ends the list
    const char *key;   // of the row in the JSON
    const char *kind;  // the class of the cell; page.js knows the same words
};

typedef size_t count_fn(const struct page_table_input *in);
typedef void row_fn(struct sink *s, const struct page_table_input *in, size_t i);

struct table {
    const char *title, *src, *key, *empty;
    const struct column *columns;
    count_fn *count;
    row_fn *row;
};

static void markup(struct sink *s, const char *text) {
    s->fine = s->fine && buf_append_text(s->out, text);
}

static void text(struct sink *s, const char *value) {
    s->fine = s->fine && escape_html(s->out, value);
}

static void cell(struct sink *s, const char *value, const char *title) {
    bool is_none = value == NULL || value[0] == '\0';
    markup(s, "<td class=\"");
    markup(s, s->column->kind);
    markup(s, is_none ? " none\"" : "\"");
    if (title != NULL) {
        markup(s, " title=\"");
        text(s, title);
        markup(s, "\"");
    }
    markup(s, ">");
    text(s, is_none ? "\xe2\x80\x93" : value);
    s->column++;
}

static void cell_text(struct sink *s, const char *value) {
    cell(s, value, NULL);
}

static void cell_address(struct sink *s, const struct netaddr *addr) {
    char out[NETADDR_TEXT_MAX] = "";
    if (addr->family != NETADDR_NONE) {
        (void)(addr->port == 0 ? netaddr_format_ip(addr, out) : netaddr_format(addr, out));
    }
    cell(s, out, NULL);
}

static void cell_number(struct sink *s, uint64_t value) {
    char out[HUMAN_TEXT_MAX];
    (void)snprintf(out, sizeof(out), "%" PRIu64, value);
    cell(s, out, NULL);
}

static void cell_bytes(struct sink *s, uint64_t value) {
    char out[HUMAN_TEXT_MAX];
    cell(s, human_bytes(value, out), NULL);
}

static void cell_time(struct sink *s, int64_t wall_ms) {
    char shown[HUMAN_TEXT_MAX], exact[CLOCK_TEXT_MAX];
    if (wall_ms == 0) {
        cell(s, "", NULL);
        return;
    }
    clock_format(wall_ms, false, exact);
    cell(s, human_distance(wall_ms, s->now_ms, shown), exact);
}

static void cell_left(struct sink *s, int64_t until_ms) {
    char shown[HUMAN_TEXT_MAX], exact[CLOCK_TEXT_MAX];
    clock_format(until_ms, false, exact);
    if (until_ms > s->now_ms) {
        cell(s, human_duration(until_ms - s->now_ms, shown), exact);
    } else {
        cell(s, "expired", exact);
    }
}

static const struct column svid_columns[] = {
    {"SPIFFE ID", "spiffeId", "name"},
    {"Serial", "serial", "id"},
    {"Valid since", "notBefore", "time"},
    {"Time left", "notAfter", "time left"},
    {NULL, NULL, NULL},
};

static size_t count_svids(const struct page_table_input *in) {
    return in->identity->identity == NULL ? 0 : identity_num_svids(in->identity->identity);
}

static void row_svid(struct sink *s, const struct page_table_input *in, size_t i) {
    const struct svid *svid = identity_svid_at(in->identity->identity, i);
    int64_t from = svid_not_before(svid), to = svid_not_after(svid);
    int64_t left = to - in->now_ms / 1000;
    int64_t percent = to <= from || left <= 0 ? 0
                      : left >= to - from     ? 100
                                              : left * 100 / (to - from);
    cell_text(s, svid_id(svid)->text);
    cell_text(s, svid_serial(svid));
    cell_time(s, from * 1000);
    cell_left(s, to * 1000);
    s->fine =
        s->fine && buf_printf(s->out, "<progress max=\"100\" value=\"%" PRId64 "\"%s></progress>",
                              percent, percent < 25 ? " class=\"low\"" : "");
}

static const struct column listener_columns[] = {
    {"Kind", "kind", "word"}, {"Address", "address", "id"},      {"To", "destination", "id"},
    {"Mode", "mode", "word"}, {"Accepting", "accepting", "yes"}, {NULL, NULL, NULL},
};

static size_t count_listeners(const struct page_table_input *in) {
    return in->view->num_listeners;
}

static void row_listener(struct sink *s, const struct page_table_input *in, size_t i) {
    const struct listener_view *l = &in->view->listeners[i];
    cell_text(s, l->kind);
    cell_address(s, &l->address);
    cell_address(s, &l->destination);
    cell_text(s, l->mode);
    cell_text(s, l->accepting ? "yes" : "no");
}

static const struct column destination_columns[] = {
    {"Address", "address", "id"}, {"State", "state", "word"}, {"Identity", "peerId", "name"},
    {"Since", "since", "time"},   {"Until", "until", "time"}, {"Last error", "lastError", "text"},
    {NULL, NULL, NULL},
};

static size_t count_destinations(const struct page_table_input *in) {
    return in->view->num_destinations;
}

static void row_destination(struct sink *s, const struct page_table_input *in, size_t i) {
    const struct destination_view *d = &in->view->destinations[i];
    cell_address(s, &d->address);
    cell_text(s, d->state);
    cell_text(s, d->peer_id);
    cell_time(s, d->since_ms);
    cell_time(s, d->until_ms);
    cell_text(s, d->last_error);
}

static const struct column tunnel_columns[] = {
    {"Id", "id", "num"},
    {"Direction", "direction", "word"},
    {"State", "state", "word"},
    {"Peer", "peer", "id"},
    {"Peer identity", "peerId", "name"},
    {"Peer serial", "peerSerial", "id"},
    {"Peer expires", "peerNotAfter", "time"},
    {"Streams", "streamsOpen", "num"},
    {"Since", "openedAt", "time"},
    {"TLS", "tlsVersion", "word"},
    {"Key exchange", "group", "word"},
    {NULL, NULL, NULL},
};

static size_t count_tunnels(const struct page_table_input *in) {
    return in->view->num_tunnels;
}

static void row_tunnel(struct sink *s, const struct page_table_input *in, size_t i) {
    const struct tunnel_view *t = &in->view->tunnels[i];
    cell_number(s, t->id);
    cell_text(s, direction_name(t->direction));
    cell_text(s, t->state);
    cell_address(s, &t->peer);
    cell_text(s, t->peer_id);
    cell_text(s, t->peer_serial);
    cell_time(s, t->peer_not_after * 1000);
    cell_number(s, t->streams_open);
    cell_time(s, t->opened_at_ms);
    cell_text(s, t->tls_version);
    cell_text(s, t->group);
}

static const struct column connection_columns[] = {
    {"Id", "id", "num"},
    {"Direction", "direction", "word"},
    {"State", "state", "word"},
    {"Security", "security", "word"},
    {"From", "source", "id"},
    {"To", "destination", "id"},
    {"Peer identity", "peerId", "name"},
    {"Sent", "bytesSent", "num bytes"},
    {"Received", "bytesReceived", "num bytes"},
    {"Since", "openedAt", "time"},
    {"Rule", "rule", "text"},
    {NULL, NULL, NULL},
};

static size_t count_connections(const struct page_table_input *in) {
    return in->view->num_connections;
}

static void row_connection(struct sink *s, const struct page_table_input *in, size_t i) {
    const struct connection_view *c = &in->view->connections[i];
    cell_number(s, c->id);
    cell_text(s, direction_name(c->direction));
    cell_text(s, c->state);
    cell_text(s, c->security);
    cell_address(s, &c->source);
    cell_address(s, &c->destination);
    cell_text(s, c->peer_id);
    cell_bytes(s, c->bytes_sent);
    cell_bytes(s, c->bytes_received);
    cell_time(s, c->opened_at_ms);
    cell_text(s, c->rule);
}

static const struct column refusal_columns[] = {
    {"When", "at", "time"},       {"Direction", "direction", "word"},
    {"Why", "sentence", "text"},  {"From", "source", "id"},
    {"To", "destination", "id"},  {"Peer identity", "peerId", "name"},
    {"Detail", "detail", "text"}, {NULL, NULL, NULL},
};

static size_t count_refusals(const struct page_table_input *in) {
    return in->view->num_refusals;
}

static void row_refusal(struct sink *s, const struct page_table_input *in, size_t i) {
    const struct refusal_view *r = &in->view->refusals[i];
    cell_time(s, r->at_ms);
    cell_text(s, direction_name(r->direction));
    cell_text(s, close_reason_sentence(r->reason));
    cell_address(s, &r->source);
    cell_address(s, &r->destination);
    cell_text(s, r->peer_id);
    cell_text(s, r->detail);
}

static const struct column trust_columns[] = {
    {"Name", "name", "name"},           {"Subject", "subjectName", "text"},
    {"Thumbprint", "thumbprint", "id"}, {"Expires", "expirationDate", "time"},
    {"Source", "source", "text"},       {NULL, NULL, NULL},
};

// The user's and those of SPIFFE bundles; public roots are left to the JSON.
static const struct trust_entry *trusted(const struct trust_set *set, size_t index) {
    for (size_t i = 0; i < set->num_entries; i++) {
        if (set->entries[i]->origin != TRUST_PUBLIC && index-- == 0) {
            return set->entries[i];
        }
    }
    return NULL;
}

static size_t count_trusted(const struct page_table_input *in) {
    const struct trust_set *set = in->trust->set;
    return set == NULL ? 0 : set->num_entries - trust_set_count(set, TRUST_PUBLIC);
}

static void row_trusted(struct sink *s, const struct page_table_input *in, size_t i) {
    const struct trust_entry *entry = trusted(in->trust->set, i);
    char sha1[2 * TRUST_CERT_SHA1_LEN + 1];
    trust_cert_hex(entry->cert->sha1, TRUST_CERT_SHA1_LEN, sha1);
    cell_text(s, entry->alias);
    cell_text(s, entry->cert->subject);
    cell_text(s, sha1);
    cell_time(s, entry->cert->not_after * 1000);
    cell_text(s, entry->source);
}

static const struct table tables[] = {
    {"Identity", "/identity", "svids", "There is no certificate yet.", svid_columns, count_svids,
     row_svid},
    {"Listeners", "/listeners", "listeners", "Nothing listens.", listener_columns, count_listeners,
     row_listener},
    {"Connections", "/connections", "connections", "No connection is open.", connection_columns,
     count_connections, row_connection},
    {"Tunnels", "/tunnels", "tunnels", "No tunnel is open.", tunnel_columns, count_tunnels,
     row_tunnel},
    {"Destinations", "/destinations", "destinations", "Nothing is remembered.", destination_columns,
     count_destinations, row_destination},
    {"Last refusals", "/refusals", "refusals", "Nothing was refused.", refusal_columns,
     count_refusals, row_refusal},
    {"Trust store: certificates of the user's", "/trust", "certificates",
     "There is none, or no trust store.", trust_columns, count_trusted, row_trusted},
};

static void render_head(struct sink *s, const struct table *t, size_t num) {
    s->fine = s->fine && buf_printf(s->out,
                                    "<section><h2>%s <small id=\"n-%s\">%zu</small></h2>"
                                    "<div class=\"scroll\"><table data-src=\"%s\" data-key=\"%s\" "
                                    "data-empty=\"%s\"><thead><tr>",
                                    t->title, t->key, num, t->src, t->key, t->empty);
    for (const struct column *c = t->columns; c->title != NULL; c++) {
        s->fine =
            s->fine && buf_printf(s->out, "<th scope=\"col\" data-key=\"%s\" data-kind=\"%s\">%s",
                                  c->key, c->kind, c->title);
    }
    markup(s, "</thead><tbody>");
}

static void render_table(struct sink *s, const struct table *t, const struct page_table_input *in) {
    size_t num = t->count(in), shown = 0, start = s->out->len;
    render_head(s, t, num);
    while (s->fine && shown < num && s->out->len - start < TABLE_LEN_MAX) {
        markup(s, "<tr>");
        s->column = t->columns;
        t->row(s, in, shown++);
    }
    if (num == 0) {
        s->fine =
            s->fine && buf_printf(s->out, "<tr><td class=\"none\" colspan=\"12\">%s", t->empty);
    }
    s->fine = s->fine && buf_printf(s->out,
                                    "</tbody></table></div><p class=\"dim\" id=\"m-%s\"%s>There "
                                    "are more: <a href=\"%s\">%s</a> has them all.</p></section>\n",
                                    t->key, shown < num ? "" : " hidden", t->src, t->src);
}

bool page_table_render(struct buf *out, const struct page_table_input *input) {
    struct sink s = {.out = out, .fine = true, .now_ms = input->now_ms};
    for (size_t i = 0; i < sizeof(tables) / sizeof(tables[0]); i++) {
        render_table(&s, &tables[i], input);
    }
    return s.fine;
}
