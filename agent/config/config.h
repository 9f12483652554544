// The agent's configuration as one immutable value, in the shape of the YAML
// (docs/configuration.md).
// Parsed once, checked as a whole, then shared by reference count; a reload swaps it.
#ifndef AGENT_CONFIG_CONFIG_H
#define AGENT_CONFIG_CONFIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "agent/config/config_types.h"
#include "base/own.h"
#include "base/span.h"

struct buf;

// Parses `text` (YAML, UTF-8). `name` is the file's name for messages. On error every mistake that
// was found is in `errors` (appended), one per line as "name:line:col: sentence"; NULL is returned.
// Warnings (accepted, but worth saying) go to `warnings` in the same form.
struct config *config_parse(const char *name, struct span text, struct buf *errors,
                            struct buf *warnings) MUST_USE;
// Reads the file (at most 4 MiB), then config_parse.
struct config *config_load(const char *path, struct buf *errors, struct buf *warnings) MUST_USE;

struct config *config_ref(struct config *config);
void config_unref(struct config *config);
OWN_DEFINE(struct config, config_unref)

const char *outbound_tls_name(enum outbound_tls tls);          // "mesh", ...
const char *identity_source_name(enum identity_source source); // "workloadApi", ...

const char *inbound_tls_mode_name(enum inbound_tls_mode mode); // "required"; "" to follow the mode

// The entry for `port` in inbound.ports, or NULL.
const struct inbound_port *config_inbound_port(const struct config *config, uint16_t port);
// TLS of direct connections ends at the port: not with appTls passthrough.
bool config_port_terminates(const struct inbound_port *port);
// The rule's own lists judge the server, not the SPIFFE bundle.
bool config_rule_has_own_tls(const struct outbound_rule *rule);
// The server is shown the workload certificate, if it asks: mutual, without another clientCert.
bool config_rule_shows_identity(const struct outbound_rule *rule);
// The index in outbound.certificates; num_certificates when there is no such name.
size_t config_client_certificate(const struct config *config, const char *name);
// The outbound.listeners entry that listens at `listen`, or NULL.
const struct outbound_listener *config_outbound_listener(const struct config *config,
                                                         const struct netaddr *listen);
bool port_list_contains(const struct port_list *list, uint16_t port);
bool prefix_list_contains(const struct prefix_list *list, const struct netaddr *addr);
// True when `port` is one the agent itself listens on: tunnel, redirect, status or health.
bool config_is_own_port(const struct config *config, uint16_t port);
// True when a listener takes connections to `addr`: the same port, and the same address or the
// unspecified one of the same family.
bool config_listener_covers(const struct netaddr *listener, const struct netaddr *addr);
// True when dialling `addr` would reach one of the agent's own listeners, as far as addresses tell.
// An explicit listener or the health port on the unspecified address counts for loopback only,
// since other hosts use the same port; the redirect and tunnel ports count everywhere.
bool config_is_own_listener(const struct config *config, const struct netaddr *addr);

// The effective configuration as JSON text (for /config); nothing in it is secret.
bool config_render_json(const struct config *config, struct buf *out) MUST_USE;
// The reference page of all options as Markdown, from the option table.
bool config_render_reference(struct buf *out) MUST_USE;

#endif
