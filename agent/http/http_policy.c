#include "agent/http/http_policy.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/http/http_authority.h"
#include "agent/http/http_path.h"
#include "agent/http/uri_patterns.h"

#define NAMES_MAX 1024

struct http_policy {
    struct http_rules *rules;
    struct uri_patterns *skip_mtls;
    struct http_server_name *names;
    size_t num_names;
    bool check_host_matches_sni;
    bool redirect_to_https;
    uint16_t port;
};

const char *http_reason_name(enum http_reason reason) {
    static const char *const NAMES[] = {
#define HTTP_REASON(id, name) [id] = name,
#include "agent/http/http_reason.def"
#undef HTTP_REASON
    };
    return NAMES[reason];
}

void http_policy_free(struct http_policy *policy) {
    if (policy == NULL) {
        return;
    }
    http_rules_free(policy->rules);
    uri_patterns_free(policy->skip_mtls);
    for (size_t i = 0; i < policy->num_names; i++) {
        free((char *)(uintptr_t)policy->names[i].pattern);
    }
    free(policy->names);
    free(policy);
}

static bool copy_names(struct http_policy *policy, const struct http_policy_setup *setup) {
    if (setup->num_names > NAMES_MAX) {
        return false;
    }
    policy->names = calloc(setup->num_names + 1, sizeof(*policy->names));
    for (; policy->names != NULL && policy->num_names < setup->num_names; policy->num_names++) {
        struct http_server_name *name = &policy->names[policy->num_names];
        *name = setup->names[policy->num_names];
        name->pattern = strdup(name->pattern);
        if (name->pattern == NULL) {
            return false;
        }
    }
    return policy->names != NULL;
}

struct http_policy *http_policy_new(const struct http_policy_setup *setup, struct err *err) {
    OWNED(http_policy_free) struct http_policy *policy = calloc(1, sizeof(*policy));
    if (policy == NULL || !copy_names(policy, setup)) {
        (void)ERR_NO_MEMORY(err, "reading the rules of an HTTP port");
        return NULL;
    }
    policy->check_host_matches_sni = setup->check_host_matches_sni;
    policy->redirect_to_https = setup->redirect_to_https;
    policy->port = setup->port;
    policy->rules = http_rules_new(setup->rules, setup->num_rules, err);
    if (policy->rules == NULL) {
        return NULL;
    }
    policy->skip_mtls = uri_patterns_new(setup->skip_mtls, setup->num_skip_mtls, err);
    return policy->skip_mtls == NULL ? NULL : take(&policy);
}

void http_verdict_fini(struct http_verdict *verdict) {
    buf_fini(&verdict->target);
}

static void refuse(struct http_verdict *out, int status, enum http_reason reason,
                   const char *format, ...) PRINTF_LIKE(4, 5);

static void refuse(struct http_verdict *out, int status, enum http_reason reason,
                   const char *format, ...) {
    va_list args;
    va_start(args, format);
    vsnprintf(out->why, sizeof(out->why), format, args);
    va_end(args);
    out->status = status;
    out->reason = reason;
}

// Exact before one label before "*", as certificates are chosen.
static const struct http_server_name *entry_of(const struct http_policy *policy, const char *host) {
    const struct http_server_name *best = NULL;
    int best_rank = 0;
    for (size_t i = 0; i < policy->num_names; i++) {
        const char *pattern = policy->names[i].pattern;
        int rank = pattern[0] != '*' ? 3 : pattern[1] != '\0' ? 2 : 1;
        if (rank > best_rank && http_rules_host_matches(pattern, span_of_text(host))) {
            best = &policy->names[i];
            best_rank = rank;
        }
    }
    return best;
}

// RFC 6066 section 11.1, and what APISIX refuses: a handshake for one name does not open another
// whose clients are checked by other rules. False: refused.
static bool check_host(const struct http_policy *policy, const struct http_caller *caller,
                       const char *host, struct http_verdict *out) {
    if (!policy->check_host_matches_sni || !caller->tls || caller->mesh || policy->num_names == 0) {
        return true;
    }
    struct http_host sni;
    http_authority_from_sni(&sni, caller->sni);
    const struct http_server_name *of_host = entry_of(policy, host);
    const struct http_server_name *of_sni = sni.name[0] == '\0' ? NULL : entry_of(policy, sni.name);
    if (strcmp(sni.name, host) == 0 || of_host == NULL) {
        return true;
    }
    if (sni.name[0] == '\0' && policy->num_names == 1) {
        return true; // no name was given and there is only one that it can have meant
    }
    if (!of_host->requires_client && (of_sni == NULL || !of_sni->requires_client)) {
        return true;
    }
    refuse(out, 400, HTTP_REASON_HOST,
           "client certificate verified with SNI %s, but the host is %s", sni.name, host);
    return false;
}

static bool check_client(const struct http_policy *policy, const struct http_caller *caller,
                         struct span path, struct http_verdict *out) {
    if (!caller->requires_client || caller->client == HTTP_CLIENT_VERIFIED ||
        uri_patterns_match(policy->skip_mtls, path)) {
        return true;
    }
    if (caller->client == HTTP_CLIENT_NONE) {
        refuse(out, 400, HTTP_REASON_NO_CERTIFICATE, "client certificate was not present");
    } else {
        refuse(out, 400, HTTP_REASON_CERTIFICATE,
               "client certificate verification is not passed: FAILED:%s",
               caller->refusal == NULL ? "unknown" : caller->refusal);
    }
    return false;
}

static void no_memory(struct http_verdict *out) {
    refuse(out, 503, HTTP_REASON_NO_MEMORY, "memory is short");
}

static void redirect(const struct http_policy *policy, const char *host, struct span target,
                     struct http_verdict *out) {
    char port[8] = "";
    if (policy->port != 443) {
        snprintf(port, sizeof(port), ":%u", policy->port);
    }
    refuse(out, 301, HTTP_REASON_PLAINTEXT, "the request came without TLS and was sent to https");
    if (!buf_printf(&out->target, "https://%s%s", host, port) ||
        !buf_append(&out->target, target.ptr, target.len)) {
        no_memory(out);
    }
}

// Where nothing is decided by the path, it is passed on as it came.
static void judge_path(const struct http_policy *policy, const struct http_caller *caller,
                       const struct http_fields *request, const char *host,
                       struct http_verdict *out) {
    struct span target = http_fields_get(request, ":path");
    struct buf decoded = {0};
    const char *why = "";
    enum http_path_status status = http_path_normalise(target, &decoded, &why);
    struct span path = buf_span(&decoded);
    if (status == HTTP_PATH_BAD) {
        refuse(out, 400, HTTP_REASON_MALFORMED, "%s", why);
    } else if (status == HTTP_PATH_NO_MEMORY) {
        no_memory(out);
    } else if (check_client(policy, caller, path, out)) {
        struct http_match match = http_rules_match(policy->rules, span_of_text(host),
                                                   http_fields_get(request, ":method"), path);
        if (match.rule < 0) {
            refuse(out, 404, HTTP_REASON_NO_RULE, "no rule of httpRules matches %s",
                   host[0] == '\0' ? "a request without a host" : host);
        } else if (!http_path_render(match.path, target, &out->target)) {
            no_memory(out);
        }
    }
    buf_fini(&decoded);
}

void http_policy_judge(const struct http_policy *policy, const struct http_caller *caller,
                       const struct http_fields *request, struct http_verdict *out) {
    struct span authority = http_fields_get(request, ":authority");
    struct span target = http_fields_get(request, ":path");
    struct http_host host = {.name = ""};
    *out = (struct http_verdict){.status = 0};
    if (authority.len > 0 && !http_authority_parse(&host, authority)) {
        refuse(out, 400, HTTP_REASON_MALFORMED, "the request's host is not a host");
        return;
    }
    if (target.len == 0 || target.ptr[0] != '/') {
        refuse(out, 400, HTTP_REASON_MALFORMED, "the request target is not a path");
        return;
    }
    if (!caller->tls && policy->redirect_to_https) {
        if (host.name[0] == '\0') {
            refuse(out, 400, HTTP_REASON_PLAINTEXT, "the request came without TLS and has no host");
            return;
        }
        redirect(policy, host.name, target, out);
        return;
    }
    if (!check_host(policy, caller, host.name, out)) {
        return;
    }
    if (http_rules_is_empty(policy->rules) && uri_patterns_is_empty(policy->skip_mtls)) {
        if (check_client(policy, caller, target, out) &&
            !buf_append(&out->target, target.ptr, target.len)) {
            no_memory(out);
        }
        return;
    }
    judge_path(policy, caller, request, host.name, out);
}
