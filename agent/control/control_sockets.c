// The listening sockets at the start: what was handed in is used, the rest is bound.
#include "agent/control/control_parts_internal.h"
#include "agent/net/listen_fds.h"
#include "base/log.h"

static const struct netaddr *first_of(const struct address_list *list) {
    return list->num > 0 ? &list->items[0] : NULL;
}

const struct netaddr *control_sockets_first(const struct config *config) {
    if (config->status.has_listen) {
        return &config->status.listen;
    }
    if (config->outbound.num_listeners > 0) {
        return &config->outbound.listeners[0].listen;
    }
    const struct netaddr *first = first_of(&config->outbound.listen);
    first = first == NULL ? first_of(&config->inbound.tunnel) : first;
    return first == NULL ? first_of(&config->inbound.listen) : first;
}

bool control_sockets_collect(struct control *control, bool take_over, struct err *err) {
    control->handed = handed_new();
    if (control->handed == NULL) {
        return ERR_NO_MEMORY(err, "starting");
    }
    if (!listen_fds_take(control->handed, err) ||
        (take_over && !control_successor_fetch(control, err))) {
        return false;
    }
    control->num_handed = handed_num(control->handed);
    return true;
}

static void say_dropped(const struct control *control) {
    for (size_t i = 0; i < handed_num(control->handed); i++) {
        char text[NETADDR_TEXT_MAX];
        log_msg(LOG_WARN, "sockets",
                "the predecessor listens on %s, which is not in this configuration any more",
                netaddr_format(handed_address(control->handed, i), text));
    }
}

// A socket of systemd's that nobody serves would take connections for ever and answer none.
static bool refuse_rest(const struct control *control, struct err *err) {
    char text[NETADDR_TEXT_MAX];
    size_t num = handed_num(control->handed);
    if (num == 0) {
        return true;
    }
    return ERR_SET(err, ERR_INPUT,
                   "systemd hands in a socket \"%s\" that listens on %s%s, and no listener of the "
                   "configuration has exactly this address; change ListenStream= of the socket "
                   "unit or the configuration",
                   handed_name(control->handed, 0),
                   netaddr_format(handed_address(control->handed, 0), text),
                   num > 1 ? " (and others)" : "");
}

static void say_bound(const struct control *control) {
    int status[STATUS_SOCKETS_MAX];
    size_t num = listener_set_num_sockets(control->listeners) +
                 status_server_sockets(control->status, status);
    size_t used = control->num_handed - handed_num(control->handed);
    if (control->num_handed == 0) {
        return;
    }
    log_msg(num > used ? LOG_WARN : LOG_INFO, "sockets",
            "%zu listening sockets were handed in, %zu are bound by this process",
            control->num_handed, num - used);
}

void control_sockets_say(const struct control *control) {
    if (control->listeners->lacks_ip6) {
        log_msg(LOG_WARN, "listeners_left_out",
                "this network has no IPv6: nothing listens on the IPv6 addresses of "
                "outbound.listen, inbound.listen and inbound.tunnel");
    }
}

bool control_sockets_settle(struct control *control, struct err *err) {
    if (control->successor != NULL) {
        say_dropped(control);
    } else if (!refuse_rest(control, err)) {
        return false;
    }
    say_bound(control);
    control_sockets_say(control);
    handed_free(take(&control->handed));
    return true;
}
