// The one table of what injection puts into a pod: containers, volumes, mounts and variables, as
// YAML of our own. `pavise inject`, the webhook, and through the tests the admission policy and the
// kustomize component all say what stands here. Pure: settings in, text out.
#ifndef AGENT_INJECT_INJECTED_H
#define AGENT_INJECT_INJECTED_H

#include <stdbool.h>
#include <stddef.h>

#include "agent/inject/manifest.h"
#include "agent/inject/settings.h"
#include "base/buf.h"
#include "base/own.h"

#define INJECTED_UID 1337 // the agent's; the default of intercept.uid
#define INJECTED_HEALTH_PORT 15021

// "initContainers:" with the interception step, where there is one, and the agent, where it is a
// native sidecar. Nothing is appended where there is neither. `num` is how many they are.
bool injected_init_containers(const struct settings *settings, struct buf *out,
                              size_t *num) MUST_USE;
// "containers:" with the agent, where it is an ordinary one; otherwise nothing.
bool injected_containers(const struct settings *settings, struct buf *out, size_t *num) MUST_USE;
// "volumes:".
bool injected_volumes(const struct settings *settings, struct buf *out) MUST_USE;
// The application's side of the trust store, for one of its containers: "volumeMounts:", and "env:"
// with what `env` (its own variables, or NULL) does not have. Nothing is appended where nothing is
// to be said. A variable that the container has and that decides about trust is appended to
// `kept`, in a comma-separated list.
bool injected_mounts(const struct settings *settings, struct buf *out) MUST_USE;
bool injected_variables(const struct settings *settings, const struct manifest_node *env,
                        struct buf *out, struct buf *kept) MUST_USE;
// `identity: {...}` of the agent's configuration, in one line.
bool injected_identity(const struct settings *settings, struct buf *out) MUST_USE;
// The directories of the trust store's sources, as the items of a list in brackets.
bool injected_sources(const struct settings *settings, struct buf *out) MUST_USE;

#endif
