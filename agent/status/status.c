#include "agent/status/status.h"

#include <stdlib.h>

#include "agent/status/http_server.h"
#include "agent/status/routes.h"

enum place { PLACE_STATUS, PLACE_HEALTH, PLACE_COUNT };

struct status_server {
    struct routes routes;
    struct http_server *http;
    struct http_listener *listeners[PLACE_COUNT]; // NULL: off
    struct netaddr wanted[PLACE_COUNT];           // as configured; NETADDR_NONE: off
    struct handed *handed;                        // borrowed during the start, else NULL
};

static const struct {
    unsigned tag;
    const char *kind; // as /listeners shows it
} places[PLACE_COUNT] = {
    [PLACE_STATUS] = {ROUTES_STATUS, "status"},
    [PLACE_HEALTH] = {ROUTES_HEALTH, "health"},
};

static struct netaddr wanted_address(const struct config *config, enum place place) {
    const struct config_status *status = &config->status;
    struct netaddr off = {.family = NETADDR_NONE};
    if (place == PLACE_STATUS) {
        return status->has_listen ? status->listen : off;
    }
    return status->has_health ? status->health : off;
}

static void note_own_listeners(struct status_server *server) {
    struct routes *routes = &server->routes;
    routes->num_own = 0;
    for (size_t i = 0; i < PLACE_COUNT; i++) {
        if (server->listeners[i] != NULL) {
            routes->own[routes->num_own++] = (struct listener_view){
                .kind = places[i].kind,
                .address = http_listener_address(server->listeners[i]),
                .mode = "",
                .accepting = true,
            };
        }
    }
}

static struct http_listener *open_place(struct status_server *server, enum place place,
                                        const struct netaddr *address, struct err *err) {
    int fd = handed_take(server->handed, address);
    return fd < 0 ? http_server_listen(server->http, address, places[place].tag, err)
                  : http_server_adopt(server->http, fd, places[place].tag, err);
}

// Binds what is new into `fresh`; what stays is not in it. On failure nothing is left open.
static bool bind_fresh(struct status_server *server, const struct netaddr wanted[PLACE_COUNT],
                       struct http_listener *fresh[PLACE_COUNT], struct err *err) {
    for (size_t i = 0; i < PLACE_COUNT; i++) {
        if (wanted[i].family == NETADDR_NONE || netaddr_equal(&wanted[i], &server->wanted[i])) {
            continue;
        }
        fresh[i] = open_place(server, (enum place)i, &wanted[i], err);
        if (fresh[i] == NULL) {
            http_server_close(fresh[PLACE_STATUS]);
            return err_wrap(err, "status.%s", i == PLACE_STATUS ? "listen" : "health");
        }
    }
    return true;
}

bool status_server_reconfigure(struct status_server *server, const struct config *config,
                               struct err *err) {
    struct netaddr wanted[PLACE_COUNT];
    struct http_listener *fresh[PLACE_COUNT] = {NULL};
    for (size_t i = 0; i < PLACE_COUNT; i++) {
        wanted[i] = wanted_address(config, (enum place)i);
    }
    if (!bind_fresh(server, wanted, fresh, err)) {
        return false;
    }
    for (size_t i = 0; i < PLACE_COUNT; i++) {
        if (fresh[i] != NULL || wanted[i].family == NETADDR_NONE) {
            http_server_close(server->listeners[i]);
            server->listeners[i] = fresh[i];
        }
        server->wanted[i] = wanted[i];
    }
    note_own_listeners(server);
    return true;
}

struct status_server *status_server_new(struct ev_loop *loop, const struct config *config,
                                        const struct status_backend *backend, struct handed *handed,
                                        struct err *err) {
    OWNED(status_server_free) struct status_server *server = calloc(1, sizeof(*server));
    if (server == NULL) {
        (void)ERR_NO_MEMORY(err, "starting the status port");
        return NULL;
    }
    server->routes.loop = loop;
    server->routes.backend = *backend;
    struct http_server_options options = {.handle = routes_handle, .arg = &server->routes};
    server->http = http_server_new(loop, options);
    if (server->http == NULL) {
        (void)ERR_NO_MEMORY(err, "starting the status port");
        return NULL;
    }
    server->handed = handed;
    if (!status_server_reconfigure(server, config, err)) {
        return NULL;
    }
    server->handed = NULL;
    return take(&server);
}

size_t status_server_sockets(const struct status_server *server, int out[STATUS_SOCKETS_MAX]) {
    size_t num = 0;
    for (size_t i = 0; i < PLACE_COUNT; i++) {
        if (server->listeners[i] != NULL) {
            out[num++] = http_listener_fd(server->listeners[i]);
        }
    }
    return num;
}

void status_server_hold(struct status_server *server) {
    http_server_hold(server->http);
}

void status_server_release(struct status_server *server) {
    http_server_release(server->http);
}

void status_server_retire(struct status_server *server) {
    http_server_retire(server->http);
}

bool status_server_is_busy(const struct status_server *server) {
    return http_server_is_busy(server->http);
}

void status_server_free(struct status_server *server) {
    if (server == NULL) {
        return;
    }
    http_server_free(server->http);
    free(server);
}
