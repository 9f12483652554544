#include "agent/mesh/pins.h"

#include <inttypes.h>
#include <string.h>

#include "agent/observe/view.h"
#include "base/netaddr.h"
#include "certmgr/spiffe_id.h"

// A first line with the version, then "ADDRESS UNTIL SPIFFE-ID" with the time in milliseconds; the
// ID is "-" when it is not known in full, and "service" of a Service, which has none.
#define FIRST_LINE "pavise pins 1\n"
#define DIGITS_MAX 18

static const char SERVICE[] = "service"; // also the name of the state

static bool is_service(const struct destination_view *row) {
    return strcmp(row->state, SERVICE) == 0;
}

static bool is_pin(const struct destination_view *row) {
    return strcmp(row->state, "pinned") == 0 || is_service(row);
}

static const char *id_of(const struct destination_view *row) {
    if (is_service(row)) {
        return SERVICE;
    }
    // A view cuts long IDs.
    bool is_known = row->peer_id[0] != '\0' && strlen(row->peer_id) < sizeof row->peer_id - 1;
    return is_known ? row->peer_id : "-";
}

static bool render(const struct destination_view *row, struct buf *out) {
    char address[NETADDR_TEXT_MAX];
    return buf_printf(out, "%s %" PRId64 " %s\n", netaddr_format_ip(&row->address, address),
                      row->until_ms, id_of(row));
}

bool pins_render(struct destinations *destinations, int64_t now_ms, struct buf *out) {
    struct view view = {0};
    destinations_render(destinations, &view, now_ms);
    bool ok = buf_append_text(out, FIRST_LINE);
    for (size_t i = 0; ok && i < view.num_destinations; i++) {
        ok = !is_pin(&view.destinations[i]) || render(&view.destinations[i], out);
    }
    view_fini(&view);
    return ok;
}

// Takes everything up to `end`, or all that is left, off `rest`.
static struct span take_until(struct span *rest, char end) {
    const uint8_t *at = rest->len == 0 ? NULL : memchr(rest->ptr, end, rest->len);
    size_t len = at == NULL ? rest->len : (size_t)(at - rest->ptr);
    struct span word = span_of(rest->ptr, len);
    *rest = span_after(*rest, at == NULL ? len : len + 1);
    return word;
}

static bool parse_ms(struct span text, int64_t *out) {
    int64_t value = 0;
    for (size_t i = 0; i < text.len; i++) {
        if (text.ptr[i] < '0' || text.ptr[i] > '9' || i >= DIGITS_MAX) {
            return false;
        }
        value = value * 10 + (text.ptr[i] - '0');
    }
    *out = value;
    return text.len > 0;
}

static bool pin(struct destinations *destinations, struct span line, int64_t now_ms,
                int64_t pin_for_ms) {
    struct netaddr address;
    struct spiffe_id id;
    int64_t until_ms = 0;
    struct span address_text = take_until(&line, ' ');
    struct span until_text = take_until(&line, ' ');
    bool is_of_service = span_equal_text(line, SERVICE);
    bool is_known = !is_of_service && !span_equal_text(line, "-");
    if (!netaddr_parse_ip(&address, address_text, NULL) || !parse_ms(until_text, &until_ms) ||
        (is_known && !spiffe_id_parse(&id, line, NULL))) {
        return false;
    }
    int64_t left_ms = until_ms - now_ms;
    int64_t for_ms = left_ms < pin_for_ms ? left_ms : pin_for_ms;
    if (left_ms > 0 && is_of_service) {
        destinations_note_service(destinations, &address, now_ms, for_ms);
    } else if (left_ms > 0) {
        destinations_pin(destinations, &address, is_known ? &id : NULL, now_ms, for_ms);
    }
    return true;
}

bool pins_parse(struct destinations *destinations, struct span text, int64_t now_ms,
                int64_t pin_for_ms, struct err *err) {
    size_t len = strlen(FIRST_LINE);
    if (text.len < len || memcmp(text.ptr, FIRST_LINE, len) != 0) {
        return ERR_SET(err, ERR_INPUT, "it is not a file of pins of this version");
    }
    struct span rest = span_after(text, len);
    size_t num_lines = 0;
    size_t num_bad = 0;
    while (rest.len > 0) {
        num_lines++;
        num_bad += !pin(destinations, take_until(&rest, '\n'), now_ms, pin_for_ms);
    }
    return num_bad == 0 || ERR_SET(err, ERR_INPUT, "%zu of its %zu lines are damaged and left out",
                                   num_bad, num_lines);
}
