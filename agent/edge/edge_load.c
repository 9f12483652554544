#include "agent/edge/edge_load.h"

// Without memory a sentence is lost, not what it is about.
static void say(const struct edge_place *place, struct buf *out, const char *key,
                const char *sentence) {
    bool both = place->port[0] != '\0' && place->kind != NULL;
    (void)!buf_printf(out, "%s:%u:1: %s%s%s%s%s: %s%s%s\n", place->load->name, place->line,
                      place->port, both ? ", " : "", place->kind == NULL ? "" : place->kind,
                      place->kind == NULL ? "" : " ", place->kind == NULL ? "" : place->name, key,
                      key[0] == '\0' ? "" : ": ", sentence);
}

void edge_load_refuse(struct edge_place *place, const char *key, const struct err *err) {
    place->is_refused = true;
    say(place, place->load->errors, key, err->msg);
}

void edge_load_warn(const struct edge_place *place, const char *key, const char *sentence) {
    if (place->load->warnings != NULL) {
        say(place, place->load->warnings, key, sentence);
    }
}

void edge_load_expired(struct edge_place *place, const char *key, const struct err *err) {
    if (place->load->expiry == EDGE_EXPIRY_REFUSES) {
        edge_load_refuse(place, key, err);
    } else {
        edge_load_warn(place, key, err->msg);
    }
}
