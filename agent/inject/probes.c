#include "agent/inject/probes.h"

#include <stdlib.h>
#include <string.h>

#include "agent/inject/injected.h"
#include "agent/inject/render.h"

enum { PORT_MAX = 65535, TIMEOUT_MAX_S = 3600 };

// Where a handler stands in a container, and what the agent calls it.
struct place {
    const char *path;
    const char *name;
    const char *prefix; // of the path on the health port
    unsigned timeout_s; // where the handler says none
};

static const struct place PLACES[] = {
    {"livenessProbe", "livez", "/app-health", 1},
    {"readinessProbe", "readyz", "/app-health", 1},
    {"startupProbe", "startupz", "/app-health", 1},
    {"lifecycle/preStop", "prestopz", "/app-lifecycle", 30},
    {"lifecycle/postStart", "poststartz", "/app-lifecycle", 30},
};

// The kinds of handler, as Kubernetes and as the agent name them.
static const struct {
    const char *key;
    const char *type;
} HANDLERS[] = {{"httpGet", "http"}, {"tcpSocket", "tcp"}, {"grpc", "grpc"}};

struct handler {
    const char *container;
    const struct place *place;
    const char *type;
    struct manifest_node *node;
    unsigned port;
    unsigned timeout_s;
};

// --- ports ---------------------------------------------------------------------------------------

static bool parse_port(const char *text, unsigned *out) {
    char *end = NULL;
    unsigned long value = strtoul(text, &end, 10);
    if (*text < '0' || *text > '9' || *end != '\0' || value == 0 || value > PORT_MAX) {
        return false;
    }
    *out = (unsigned)value;
    return true;
}

// A number, or the name of one of the container's own ports.
static bool resolve_port(const struct manifest_node *container, const char *text, unsigned *out) {
    if (text == NULL) {
        return false;
    }
    if (parse_port(text, out)) {
        return true;
    }
    const struct manifest_node *ports = manifest_find(container, "ports");
    const struct manifest_node *port =
        ports != NULL && ports->kind == MANIFEST_LIST ? ports->first : NULL;
    for (; port != NULL; port = port->next) {
        const char *name = manifest_text(port, "name");
        const char *number = manifest_text(port, "containerPort");
        if (name != NULL && number != NULL && strcmp(name, text) == 0) {
            return parse_port(number, out);
        }
    }
    return false;
}

// --- the agent's row -----------------------------------------------------------------------------

static bool put_text(struct buf *out, const char *key, const char *text) {
    return text == NULL || *text == '\0' ||
           (buf_printf(out, ", %s: ", key) && render_quoted(out, span_of_text(text)));
}

static bool put_header(struct buf *out, const struct manifest_node *header, bool is_first) {
    const char *name = manifest_text(header, "name");
    const char *value = manifest_text(header, "value");
    if (name == NULL || value == NULL) {
        return true;
    }
    struct buf line = {0};
    bool ok = buf_printf(&line, "%s: %s", name, value) &&
              buf_append_text(out, is_first ? "" : ", ") && render_quoted(out, buf_span(&line));
    buf_fini(&line);
    return ok;
}

static bool put_headers(struct buf *out, const struct manifest_node *headers) {
    if (headers == NULL || headers->kind != MANIFEST_LIST || headers->num == 0) {
        return true;
    }
    bool ok = buf_append_text(out, ", headers: [");
    for (const struct manifest_node *at = headers->first; ok && at != NULL; at = at->next) {
        ok = put_header(out, at, at == headers->first);
    }
    return ok && buf_append_text(out, "]");
}

static bool put_http(struct buf *out, const struct manifest_node *http) {
    const char *path = manifest_text(http, "path");
    const char *scheme = manifest_text(http, "scheme");
    bool is_https = scheme != NULL && strcmp(scheme, "HTTPS") == 0;
    return put_text(out, "path", path) && (!is_https || buf_append_text(out, ", scheme: https")) &&
           put_headers(out, manifest_find(http, "httpHeaders"));
}

static bool put_row(struct buf *out, const struct handler *handler) {
    bool ok = buf_printf(out, "%s{container: \"%s\", probe: %s, type: %s, port: %u",
                         buf_span(out).len == 0 ? "" : ", ", handler->container,
                         handler->place->name, handler->type, handler->port);
    if (strcmp(handler->type, "http") == 0) {
        ok = ok && put_http(out, handler->node);
    } else if (strcmp(handler->type, "grpc") == 0) {
        ok = ok && put_text(out, "service", manifest_text(handler->node, "service"));
    }
    return ok && buf_printf(out, ", timeout: %us}", handler->timeout_s);
}

// --- rewriting -----------------------------------------------------------------------------------

static bool put_change(struct change_list *list, const struct handler *handler, struct err *err) {
    struct buf text = {0};
    if (!buf_printf(&text, "httpGet:\n  path: %s/%s/%s\n  port: %u\n", handler->place->prefix,
                    handler->container, handler->place->name, INJECTED_HEALTH_PORT)) {
        buf_fini(&text);
        return ERR_NO_MEMORY(err, "rewriting probes");
    }
    const struct manifest_node *value = change_value(list, &text, err);
    return value != NULL && change_add(list, CHANGE_ENTRY, handler->node, value, err);
}

static bool rewrite(struct change_list *list, const struct manifest_node *container,
                    struct handler *handler, struct buf *rows, struct err *err) {
    const char *port = manifest_text(handler->node, "port");
    if (!resolve_port(container, port, &handler->port)) {
        return ERR_SET(err, ERR_INPUT, "the container has no port \"%.64s\" for its %s",
                       port == NULL ? "" : port, handler->place->path);
    }
    return (put_row(rows, handler) || ERR_NO_MEMORY(err, "rewriting probes")) &&
           put_change(list, handler, err);
}

static unsigned timeout_of(const struct manifest_node *probe, unsigned fallback) {
    const char *text = manifest_text(probe, "timeoutSeconds");
    unsigned long value = text == NULL ? 0 : strtoul(text, NULL, 10);
    return value == 0 || value > TIMEOUT_MAX_S ? fallback : (unsigned)value;
}

static struct manifest_node *find_handler(const struct manifest_node *probe, const char **type) {
    for (size_t i = 0; i < sizeof HANDLERS / sizeof HANDLERS[0]; i++) {
        struct manifest_node *node = manifest_find(probe, HANDLERS[i].key);
        if (node != NULL && node->kind == MANIFEST_MAP && node->num > 0) {
            *type = HANDLERS[i].type;
            return node;
        }
    }
    return NULL;
}

bool probes_rewrite(struct change_list *list, struct manifest_node *container, struct buf *rows,
                    size_t *num, struct err *err) {
    struct handler handler = {.container = manifest_text(container, "name")};
    for (size_t i = 0; i < sizeof PLACES / sizeof PLACES[0]; i++) {
        const struct manifest_node *probe = manifest_at(container, PLACES[i].path);
        handler.place = &PLACES[i];
        handler.node = find_handler(probe, &handler.type);
        // The kubelet asks a named host, not the pod: not ours to ask.
        if (handler.node == NULL || manifest_text(handler.node, "host") != NULL) {
            continue;
        }
        handler.timeout_s = timeout_of(probe, PLACES[i].timeout_s);
        if (!rewrite(list, container, &handler, rows, err)) {
            return false;
        }
        ++*num;
    }
    return true;
}
