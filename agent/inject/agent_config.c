#include "agent/inject/agent_config.h"

#include <string.h>

#include "agent/inject/injected.h"
#include "agent/inject/mark.h"

enum { RESERVE_S = 5, SHORT_GRACE_S = 10, SHORT_RESERVE_S = 1 };

typedef bool section_fn(const struct settings *settings, const struct agent_config_facts *facts,
                        struct buf *out);

static bool redirects(const struct settings *settings) {
    return settings_is(settings, SETTING_INTERCEPTION, "redirect");
}

static bool put_identity(const struct settings *settings,
                         const struct agent_config_facts *facts UNUSED, struct buf *out) {
    return injected_identity(settings, out);
}

// Without redirection nothing arrives at 15001; the user's listeners do the work.
static bool put_outbound(const struct settings *settings,
                         const struct agent_config_facts *facts UNUSED, struct buf *out) {
    return redirects(settings) || buf_append_text(out, "outbound: {listen: []}");
}

static bool put_inbound(const struct settings *settings,
                        const struct agent_config_facts *facts UNUSED, struct buf *out) {
    return buf_printf(out, "inbound: {%smode: %s}", redirects(settings) ? "" : "listen: [], ",
                      settings->value[SETTING_MODE]);
}

static bool put_intercept(const struct settings *settings,
                          const struct agent_config_facts *facts UNUSED, struct buf *out) {
    return !redirects(settings) || buf_printf(out,
                                              "intercept: {uid: %d, inbound: {excludePorts: [%s]}, "
                                              "outbound: {excludePorts: [%s]}}",
                                              INJECTED_UID, settings->value[SETTING_SKIP_INBOUND],
                                              settings->value[SETTING_SKIP_OUTBOUND]);
}

// Most of what a pod dials is a Service's address.
static bool put_kubernetes(const struct settings *settings UNUSED,
                           const struct agent_config_facts *facts UNUSED, struct buf *out) {
    return buf_append_text(out, "kubernetes: {services: true}");
}

// The kubelet kills at the end of the grace period; the agent has finished before that.
static bool put_drain(const struct settings *settings UNUSED,
                      const struct agent_config_facts *facts, struct buf *out) {
    unsigned reserve = facts->grace_s <= SHORT_GRACE_S ? SHORT_RESERVE_S : RESERVE_S;
    unsigned deadline = facts->grace_s > reserve ? facts->grace_s - reserve : 0;
    return buf_printf(out, "drain: {deadline: %us%s}", deadline > 3600 ? 3600 : deadline,
                      facts->shares_processes ? ", withApplication: true" : "");
}

static bool put_trust(const struct settings *settings,
                      const struct agent_config_facts *facts UNUSED, struct buf *out) {
    return !settings_has(settings, SETTING_TRUST) ||
           (buf_append_text(out, "trustStore: {sources: [") && injected_sources(settings, out) &&
            buf_append_text(out, "], output: \"" MARK_TRUST_PATH "\"}"));
}

// The kubelet asks the pod's first address.
static bool put_status(const struct settings *settings, const struct agent_config_facts *facts,
                       struct buf *out) {
    bool is_v6 = settings_is(settings, SETTING_IP_FAMILY, "ipv6");
    bool ok = buf_printf(out, "status: {health: \"%s:%d\"", is_v6 ? "[::]" : "0.0.0.0",
                         INJECTED_HEALTH_PORT);
    if (facts->probes.len > 0) {
        ok = ok && buf_append_text(out, ", probes: [") &&
             buf_append(out, facts->probes.ptr, facts->probes.len) && buf_append_text(out, "]");
    }
    return ok && buf_append_text(out, "}");
}

static const struct {
    const char *name;
    section_fn *put; // nothing, where the section is not needed
} SECTIONS[] = {
    {"identity", put_identity},   {"outbound", put_outbound},     {"inbound", put_inbound},
    {"intercept", put_intercept}, {"drain", put_drain},           {"trustStore", put_trust},
    {"status", put_status},       {"kubernetes", put_kubernetes},
};

// The user's configuration has a section of this name.
static bool has_section(const char *config, const char *name) {
    size_t len = strlen(name);
    while (*config != '\0') {
        if (strncmp(config, name, len) == 0 && config[len] == ':') {
            return true;
        }
        config += strcspn(config, "\n");
        config += *config == '\n' ? 1 : 0;
    }
    return false;
}

bool agent_config_render(const struct settings *settings, const struct agent_config_facts *facts,
                         struct buf *out) {
    const char *config = settings->value[SETTING_CONFIG];
    bool ok = true;
    for (size_t i = 0; ok && i < sizeof SECTIONS / sizeof SECTIONS[0]; i++) {
        size_t before = buf_span(out).len;
        if (has_section(config, SECTIONS[i].name)) {
            continue;
        }
        ok = SECTIONS[i].put(settings, facts, out) &&
             (buf_span(out).len == before || buf_append_text(out, "\n"));
    }
    return ok && buf_append_text(out, config);
}
