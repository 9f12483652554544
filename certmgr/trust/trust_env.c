#include "certmgr/trust/trust_env.h"

#include <stdio.h>
#include <string.h>

#define JAVA "JAVA_TOOL_OPTIONS"
#define JAVA_OPTION "-Djavax.net.ssl.trustStore="

static const struct variable {
    const char *name;
    const char *before; // the directory
    const char *after;
} variables[] = {
    // Programs with OpenSSL, BoringSSL or rustls; Go; .NET; Ruby; the curl tool
    {"SSL_CERT_FILE", "", "/ca-bundle.pem"},
    {"SSL_CERT_DIR", "", "/certs"},
    {"CURL_CA_BUNDLE", "", "/ca-bundle.pem"},
    {"GIT_SSL_CAINFO", "", "/ca-bundle.pem"},
    // Python: requests, pip, boto3 (and the AWS CLI), httplib2
    {"REQUESTS_CA_BUNDLE", "", "/ca-bundle.pem"},
    {"PIP_CERT", "", "/ca-bundle.pem"},
    {"AWS_CA_BUNDLE", "", "/ca-bundle.pem"},
    {"HTTPLIB2_CA_CERTS", "", "/ca-bundle.pem"},
    {"CLOUDSDK_CORE_CUSTOM_CA_CERTS_FILE", "", "/ca-bundle.pem"},
    {"GRPC_DEFAULT_SSL_ROOTS_FILE_PATH", "", "/ca-bundle.pem"},
    {"CARGO_HTTP_CAINFO", "", "/ca-bundle.pem"},
    {"NIX_SSL_CERT_FILE", "", "/ca-bundle.pem"},
    // These add to the roots that the runtime has
    {"NODE_EXTRA_CA_CERTS", "", "/ca-extra.pem"},
    {"DENO_CERT", "", "/ca-extra.pem"},
    {"PHP_INI_SCAN_DIR", ":", "/php"},
    {JAVA, JAVA_OPTION, "/truststore.p12"},
};
#define NUM_VARIABLES (sizeof(variables) / sizeof(variables[0]))

size_t trust_env_num(void) {
    return NUM_VARIABLES;
}

const char *trust_env_name(size_t index) {
    return variables[index].name;
}

static bool is_java(size_t index) {
    return strcmp(variables[index].name, JAVA) == 0;
}

void trust_env_value(const struct trust_env *env, size_t index, char out[TRUST_ENV_VALUE_MAX]) {
    const struct variable *variable = &variables[index];
    const char *after = is_java(index) && env->java_uses_jks ? "/truststore.jks" : variable->after;
    (void)snprintf(out, TRUST_ENV_VALUE_MAX, "%s%s%s", variable->before, env->output, after);
}

bool trust_env_merge(const struct trust_env *env, size_t index, const char *before, char **out) {
    char value[TRUST_ENV_VALUE_MAX];
    *out = NULL;
    if (!is_java(index) || strstr(before, JAVA_OPTION) != NULL) {
        return true;
    }
    trust_env_value(env, index, value);
    if (asprintf(out, "%s%s%s", before, before[0] == '\0' ? "" : " ", value) < 0) {
        *out = NULL;
        return false;
    }
    return true;
}

bool trust_env_render_lines(const struct trust_env *env, struct buf *out) {
    bool ok = true;
    for (size_t i = 0; ok && i < NUM_VARIABLES; i++) {
        char value[TRUST_ENV_VALUE_MAX];
        trust_env_value(env, i, value);
        ok = buf_printf(out, "%s=%s\n", variables[i].name, value);
    }
    return ok;
}

bool trust_env_render_shell(const struct trust_env *env, struct buf *out) {
    bool ok = buf_append_text(out, "# For a POSIX shell: . FILE. What is set already stays.\n");
    for (size_t i = 0; ok && i < NUM_VARIABLES; i++) {
        const char *name = variables[i].name;
        char value[TRUST_ENV_VALUE_MAX];
        trust_env_value(env, i, value);
        if (is_java(i)) {
            ok = buf_printf(out,
                            "case ${%s-} in\n*%s*) ;;\n*) %s=\"${%s:+$%s }%s\" ;;\nesac\n"
                            "export %s\n",
                            name, JAVA_OPTION, name, name, name, value, name);
        } else {
            ok = buf_printf(out, "export %s=\"${%s-%s}\"\n", name, name, value);
        }
    }
    return ok;
}

bool trust_env_render_php(const struct trust_env *env, struct buf *out) {
    return buf_printf(out,
                      "; Read by PHP when PHP_INI_SCAN_DIR names this directory.\n"
                      "openssl.cafile = \"%s/ca-bundle.pem\"\n"
                      "openssl.capath = \"%s/certs\"\n"
                      "curl.cainfo = \"%s/ca-bundle.pem\"\n",
                      env->output, env->output, env->output);
}
