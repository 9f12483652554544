// The names of what injection leaves in a pod: by them it is recognised, kept apart from what the
// user wrote, and taken out again.
#ifndef AGENT_INJECT_MARK_H
#define AGENT_INJECT_MARK_H

#include <stdbool.h>

#include "agent/inject/manifest.h"

#define MARK_INJECTED "pavise/injected"    // annotation: the form of what was injected
#define MARK_CONFIG "pavise/agent-config"  // annotation: the agent's configuration
#define MARK_ORIGINAL "pavise/original"    // annotation: what stood where something was replaced
#define MARK_ADDED "pavise/added"          // annotation: what else of the pod is ours, by comma
#define MARK_FORM "1"                      // value of MARK_INJECTED
#define MARK_AGENT "pavise"                // container
#define MARK_INTERCEPT "pavise-intercept"  // container
#define MARK_CONFIG_VOLUME "pavise-config" // volumes
#define MARK_IDENTITY_VOLUME "pavise-identity"
#define MARK_TRUST_VOLUME "pavise-trust"
#define MARK_CERTS_VOLUME "pavise-certs-" // and a number
#define MARK_TRUST_PATH "/run/pavise/trust"

// Words of MARK_ADDED.
#define MARK_SHARES "shareProcessNamespace"
#define MARK_DEFAULT "default-container"
#define MARK_DEFAULT_CONTAINER "kubectl.kubernetes.io/default-container"

// An annotation that injection itself writes.
bool mark_is_annotation(const char *key);
// Whether MARK_ADDED among `annotations` (or NULL) has the word.
bool mark_is_added(const struct manifest_node *annotations, const char *word);
// A container, volume, mount, or variable of ours, by its name and value.
bool mark_is_ours(const struct manifest_node *item);
// The name of anything of ours in a pod without MARK_INJECTED: what is left of a broken injection,
// or a clash; NULL when there is none.
const char *mark_find_leftover(struct manifest_node *pod);

#endif
