#include "agent/inject/injected.h"

#include <string.h>

#include "agent/inject/mark.h"
#include "certmgr/trust/trust_env.h"

#define CONFIG_FILE "/etc/pavise/agent.yaml"
#define CERTS_PATH "/etc/pavise-certs"
#define IDENTITY_PATH "/run/spiffe"

// --- containers ----------------------------------------------------------------------------------

// Rules before the agent: until it listens, redirected connections are refused (fail closed).
// Without root the image's file capability gives nft what the pod allows, and nothing more.
static const char INTERCEPT[] =
    "- name: " MARK_INTERCEPT "\n"
    "  image: \"%s\"\n"
    "  args: [\"intercept\", \"up\", \"--config\", \"" CONFIG_FILE "\"]\n"
    "  resources:\n"
    "    requests:\n"
    "      cpu: \"%s\"\n"
    "      memory: \"%s\"\n"
    "    limits:\n"
    "      memory: \"%s\"\n"
    "  securityContext:\n"
    "    allowPrivilegeEscalation: false\n"
    "    capabilities:\n"
    "      add: [\"NET_ADMIN\"]\n"
    "      drop: [\"ALL\"]\n"
    "    privileged: false\n"
    "    readOnlyRootFilesystem: true\n"
    "    runAsGroup: %u\n"
    "    runAsNonRoot: %s\n"
    "    runAsUser: %u\n"
    "    seccompProfile:\n"
    "      type: RuntimeDefault\n"
    "  terminationMessagePolicy: FallbackToLogsOnError\n"
    "  volumeMounts:\n"
    "    - name: " MARK_CONFIG_VOLUME "\n"
    "      mountPath: /etc/pavise\n"
    "      readOnly: true\n";

// The application's containers start when the startup probe has passed: listeners up, identity
// held, trust files written.
static const char NATIVE[] = "  restartPolicy: Always\n";
// An ordinary container's probe holds nobody up, but its hook does: the next one starts after it.
static const char ORDINARY[] =
    "  lifecycle:\n"
    "    postStart:\n"
    "      exec:\n"
    "        command: [\"/usr/bin/pavise\", \"status\", \"--ready\", \"--wait\", \"600s\", "
    "\"--config\", \"" CONFIG_FILE "\"]\n";

static const char AGENT[] = "- name: " MARK_AGENT "\n"
                            "  image: \"%s\"\n"
                            "  args: [\"agent\", \"--config\", \"" CONFIG_FILE "\"]\n"
                            "%s"
                            "  ports:\n"
                            "    - name: pavise-tunnel\n"
                            "      containerPort: 15008\n"
                            "      protocol: TCP\n"
                            "    - name: pavise-health\n"
                            "      containerPort: 15021\n"
                            "      protocol: TCP\n"
                            "  startupProbe:\n"
                            "    httpGet:\n"
                            "      path: /startupz\n"
                            "      port: 15021\n"
                            "    periodSeconds: 1\n"
                            "    failureThreshold: 600\n"
                            "  readinessProbe:\n"
                            "    httpGet:\n"
                            "      path: /readyz\n"
                            "      port: 15021\n"
                            "    periodSeconds: 5\n"
                            "  livenessProbe:\n"
                            "    httpGet:\n"
                            "      path: /livez\n"
                            "      port: 15021\n"
                            "    periodSeconds: 10\n"
                            "    failureThreshold: 6\n"
                            "  resources:\n"
                            "    requests:\n"
                            "      cpu: \"%s\"\n"
                            "      memory: \"%s\"\n"
                            "    limits:\n"
                            "      memory: \"%s\"\n"
                            "  securityContext:\n"
                            "    allowPrivilegeEscalation: false\n"
                            "    capabilities:\n"
                            "      drop: [\"ALL\"]\n"
                            "    privileged: false\n"
                            "    readOnlyRootFilesystem: true\n"
                            "    runAsGroup: 1337\n"
                            "    runAsNonRoot: true\n"
                            "    runAsUser: 1337\n"
                            "    seccompProfile:\n"
                            "      type: RuntimeDefault\n"
                            "  terminationMessagePolicy: FallbackToLogsOnError\n"
                            "  volumeMounts:\n"
                            "    - name: " MARK_CONFIG_VOLUME "\n"
                            "      mountPath: /etc/pavise\n"
                            "      readOnly: true\n"
                            "    - name: " MARK_IDENTITY_VOLUME "\n"
                            "      mountPath: " IDENTITY_PATH "\n"
                            "      readOnly: true\n";

static const char AGENT_TRUST[] = "    - name: " MARK_TRUST_VOLUME "\n"
                                  "      mountPath: " MARK_TRUST_PATH "\n";

// The names of the trust setting, one by one: `*rest` is where the next one starts.
static bool next_name(const char **rest, size_t *len) {
    *len = strcspn(*rest, ",");
    return *len > 0;
}

static const char *behind(const char *name, size_t len) {
    return name + len + (name[len] == ',' ? 1 : 0);
}

static bool put_certs_mounts(const struct settings *settings, struct buf *out) {
    size_t len = 0;
    size_t num = 0;
    bool ok = true;
    for (const char *name = settings->value[SETTING_TRUST]; ok && next_name(&name, &len);
         name = behind(name, len)) {
        ok = buf_printf(out,
                        "    - name: " MARK_CERTS_VOLUME "%zu\n"
                        "      mountPath: " CERTS_PATH "/%.*s\n"
                        "      readOnly: true\n",
                        num++, (int)len, name);
    }
    return ok;
}

static bool put_intercept(const struct settings *settings, struct buf *out) {
    bool is_root = settings_is(settings, SETTING_INTERCEPT_AS, "root");
    unsigned uid = is_root ? 0 : 65534;
    return buf_printf(out, INTERCEPT, settings->value[SETTING_INTERCEPT_IMAGE],
                      settings->value[SETTING_CPU_REQUEST], settings->value[SETTING_MEMORY_REQUEST],
                      settings->value[SETTING_MEMORY_LIMIT], uid, is_root ? "false" : "true", uid);
}

static bool put_agent(const struct settings *settings, struct buf *out, const char *kind) {
    return buf_printf(out, AGENT, settings->value[SETTING_IMAGE], kind,
                      settings->value[SETTING_CPU_REQUEST], settings->value[SETTING_MEMORY_REQUEST],
                      settings->value[SETTING_MEMORY_LIMIT]) &&
           (!settings_has(settings, SETTING_TRUST) ||
            (buf_append_text(out, AGENT_TRUST) && put_certs_mounts(settings, out)));
}

static bool is_native(const struct settings *settings) {
    return settings_is(settings, SETTING_SIDECAR, "native");
}

bool injected_init_containers(const struct settings *settings, struct buf *out, size_t *num) {
    bool redirects = settings_is(settings, SETTING_INTERCEPTION, "redirect");
    *num = (redirects ? 1 : 0) + (is_native(settings) ? 1 : 0);
    return *num == 0 || (buf_append_text(out, "initContainers:\n") &&
                         (!redirects || put_intercept(settings, out)) &&
                         (!is_native(settings) || put_agent(settings, out, NATIVE)));
}

bool injected_containers(const struct settings *settings, struct buf *out, size_t *num) {
    *num = is_native(settings) ? 0 : 1;
    return *num == 0 ||
           (buf_append_text(out, "containers:\n") && put_agent(settings, out, ORDINARY));
}

// --- identity ------------------------------------------------------------------------------------

typedef bool put_fn(const struct settings *settings, struct buf *out);

static bool csi_volume(const struct settings *settings UNUSED, struct buf *out) {
    return buf_append_text(out, "  csi:\n"
                                "    driver: csi.spiffe.io\n"
                                "    readOnly: true\n");
}

static bool csi_config(const struct settings *settings, struct buf *out) {
    return buf_printf(out, "{source: workloadApi, endpoint: \"unix://" IDENTITY_PATH "/%s\"}",
                      settings->value[SETTING_IDENTITY_SOCKET]);
}

// The token volume is our own: the service account's is not mounted into containers that admission
// adds.
static bool istio_volume(const struct settings *settings, struct buf *out) {
    return buf_printf(out,
                      "  projected:\n"
                      "    sources:\n"
                      "      - serviceAccountToken:\n"
                      "          audience: istio-ca\n"
                      "          expirationSeconds: 43200\n"
                      "          path: token\n"
                      "      - configMap:\n"
                      "          name: \"%s\"\n"
                      "          items:\n"
                      "            - key: root-cert.pem\n"
                      "              path: roots.pem\n",
                      settings->value[SETTING_IDENTITY_ROOTS]);
}

static bool istio_config(const struct settings *settings, struct buf *out) {
    return buf_printf(out,
                      "{source: istioCa, istioCa: {address: \"%s\", rootsFile: "
                      "\"" IDENTITY_PATH "/roots.pem\", tokenFile: \"" IDENTITY_PATH "/token\"}}",
                      settings->value[SETTING_IDENTITY_ADDRESS]);
}

static bool cert_manager_volume(const struct settings *settings UNUSED, struct buf *out) {
    return buf_append_text(out, "  csi:\n"
                                "    driver: spiffe.csi.cert-manager.io\n"
                                "    readOnly: true\n");
}

static bool cert_manager_config(const struct settings *settings UNUSED, struct buf *out) {
    return buf_append_text(out, "{source: files, files: {certificate: \"" IDENTITY_PATH
                                "/tls.crt\", key: \"" IDENTITY_PATH
                                "/tls.key\", bundle: \"" IDENTITY_PATH "/ca.crt\"}}");
}

static bool pod_certificate_volume(const struct settings *settings, struct buf *out) {
    const char *signer = settings->value[SETTING_IDENTITY_SIGNER];
    return buf_printf(out,
                      "  projected:\n"
                      "    sources:\n"
                      "      - podCertificate:\n"
                      "          signerName: \"%s\"\n"
                      "          keyType: ECDSAP256\n"
                      "          keyPath: key.pem\n"
                      "          certificateChainPath: chain.pem\n"
                      "      - clusterTrustBundle:\n"
                      "          signerName: \"%s\"\n"
                      "          labelSelector: {}\n"
                      "          path: bundle.pem\n",
                      signer, signer);
}

static bool pod_certificate_config(const struct settings *settings UNUSED, struct buf *out) {
    return buf_append_text(out, "{source: files, files: {certificate: \"" IDENTITY_PATH
                                "/chain.pem\", key: \"" IDENTITY_PATH
                                "/key.pem\", bundle: \"" IDENTITY_PATH "/bundle.pem\"}}");
}

static const struct {
    const char *word;
    put_fn *volume;
    put_fn *config;
} IDENTITIES[] = {
    {"spiffeCsi", csi_volume, csi_config},
    {"istioCa", istio_volume, istio_config},
    {"certManager", cert_manager_volume, cert_manager_config},
    {"podCertificate", pod_certificate_volume, pod_certificate_config},
};

static size_t identity_of(const struct settings *settings) {
    size_t row = 0;
    while (!settings_is(settings, SETTING_IDENTITY, IDENTITIES[row].word)) {
        row++; // settings let only these words in
    }
    return row;
}

bool injected_identity(const struct settings *settings, struct buf *out) {
    return buf_append_text(out, "identity: ") &&
           IDENTITIES[identity_of(settings)].config(settings, out);
}

// --- volumes -------------------------------------------------------------------------------------

static const char CONFIG_VOLUME[] =
    "- name: " MARK_CONFIG_VOLUME "\n"
    "  downwardAPI:\n"
    "    items:\n"
    "      - path: agent.yaml\n"
    "        fieldRef:\n"
    "          fieldPath: \"metadata.annotations['" MARK_CONFIG "']\"\n";

static const char TRUST_VOLUME[] = "- name: " MARK_TRUST_VOLUME "\n"
                                   "  emptyDir:\n"
                                   "    medium: Memory\n"
                                   "    sizeLimit: 32Mi\n";

static bool put_certs_volumes(const struct settings *settings, struct buf *out) {
    size_t len = 0;
    size_t num = 0;
    bool ok = true;
    for (const char *name = settings->value[SETTING_TRUST]; ok && next_name(&name, &len);
         name = behind(name, len)) {
        ok = buf_printf(out,
                        "- name: " MARK_CERTS_VOLUME "%zu\n"
                        "  configMap:\n"
                        "    name: \"%.*s\"\n",
                        num++, (int)len, name);
    }
    return ok;
}

bool injected_volumes(const struct settings *settings, struct buf *out) {
    return buf_append_text(out, "volumes:\n") && buf_append_text(out, CONFIG_VOLUME) &&
           buf_append_text(out, "- name: " MARK_IDENTITY_VOLUME "\n") &&
           IDENTITIES[identity_of(settings)].volume(settings, out) &&
           (!settings_has(settings, SETTING_TRUST) ||
            (buf_append_text(out, TRUST_VOLUME) && put_certs_volumes(settings, out)));
}

bool injected_sources(const struct settings *settings, struct buf *out) {
    size_t len = 0;
    bool ok = true;
    for (const char *name = settings->value[SETTING_TRUST]; ok && next_name(&name, &len);
         name = behind(name, len)) {
        ok = buf_printf(out, "%s\"" CERTS_PATH "/%.*s\"",
                        name == settings->value[SETTING_TRUST] ? "" : ", ", (int)len, name);
    }
    return ok;
}

// --- the application's containers ----------------------------------------------------------------

static bool has_variable(const struct manifest_node *env, const char *name) {
    const struct manifest_node *item =
        env != NULL && env->kind == MANIFEST_LIST ? env->first : NULL;
    for (; item != NULL; item = item->next) {
        const char *own = manifest_text(item, "name");
        if (own != NULL && strcmp(own, name) == 0) {
            return true;
        }
    }
    return false;
}

bool injected_variables(const struct settings *settings, const struct manifest_node *env,
                        struct buf *out, struct buf *kept) {
    const struct trust_env store = {.output = MARK_TRUST_PATH};
    size_t num = 0;
    bool ok = true;
    if (!settings_has(settings, SETTING_TRUST)) {
        return true;
    }
    for (size_t i = 0; ok && i < trust_env_num(); i++) {
        char value[TRUST_ENV_VALUE_MAX];
        const char *name = trust_env_name(i);
        if (has_variable(env, name)) {
            ok = buf_printf(kept, "%s%s", buf_span(kept).len == 0 ? "" : ", ", name);
            continue;
        }
        trust_env_value(&store, i, value);
        ok = buf_printf(out, "%s- name: %s\n  value: \"%s\"\n", num++ == 0 ? "env:\n" : "", name,
                        value);
    }
    return ok;
}

bool injected_mounts(const struct settings *settings, struct buf *out) {
    return !settings_has(settings, SETTING_TRUST) ||
           buf_append_text(out, "volumeMounts:\n"
                                "- name: " MARK_TRUST_VOLUME "\n"
                                "  mountPath: " MARK_TRUST_PATH "\n"
                                "  readOnly: true\n");
}
