// The keys below `identity`.
#include "agent/config/options_rows.h"
#include "agent/config/text_checks.h"
#include "certmgr/endpoint.h"

#define MINUTE_MS INT64_C(60000)

static const struct option_choice source_choices[] = {{"workloadApi", IDENTITY_WORKLOAD_API, false},
                                                      {"sds", IDENTITY_SDS, false},
                                                      {"istioCa", IDENTITY_ISTIO_CA, false},
                                                      {"files", IDENTITY_FILES, false},
                                                      {NULL, 0, false}};

static const struct option_row sds_rows[] = {
    {.key = "certificate",
     TEXT(text_checks_resource, NULL),
     VALUE(struct config, identity.sds.certificate),
     .fallback = "default",
     .meaning = "The name of the secret that holds the certificate and its key."},
    {.key = "bundle",
     TEXT(text_checks_resource, NULL),
     VALUE(struct config, identity.sds.bundle),
     .fallback = "ROOTCA",
     .meaning = "The name of the secret that holds the trust bundle."},
    END};
static const struct option_section sds_section = {.rows = sds_rows};

static const struct option_row istio_ca_rows[] = {
    {.key = "address",
     TEXT(text_checks_host_port, "`HOST:PORT`"),
     VALUE(struct config, identity.istio_ca.address),
     .meaning = "Where the CA listens. Needed."},
    {.key = "rootsFile",
     TEXT(text_checks_path, "absolute path"),
     VALUE(struct config, identity.istio_ca.roots_file),
     .meaning = "The roots that the CA's own certificate chains to. Needed."},
    {.key = "tokenFile",
     TEXT(text_checks_path, "absolute path"),
     VALUE(struct config, identity.istio_ca.token_file),
     .meaning = "The token that says who we are; read again for each request. Needed."},
    {.key = "serverName",
     TEXT(text_checks_host, "DNS name or IP"),
     VALUE(struct config, identity.istio_ca.server_name),
     .meaning = "The name in the CA's certificate; without it, the host of `address`."},
    {.key = "clusterId",
     TEXT(text_checks_label, NULL),
     VALUE(struct config, identity.istio_ca.cluster_id),
     .fallback = "Kubernetes",
     .meaning = "What the request says as the cluster that the token is from."},
    END};
static const struct option_section istio_ca_section = {.rows = istio_ca_rows};

static const struct option_row files_rows[] = {
    {.key = "certificate",
     TEXT(text_checks_path, "absolute path"),
     VALUE(struct config, identity.files.certificate),
     .meaning = "The chain, own certificate first, PEM or DER. Needed."},
    {.key = "key",
     TEXT(text_checks_path, "absolute path"),
     VALUE(struct config, identity.files.key),
     .meaning = "The private key, PEM or DER (PKCS#8, SEC1, PKCS#1), not encrypted. Needed."},
    {.key = "bundle",
     TEXT(text_checks_path, "absolute path"),
     VALUE(struct config, identity.files.bundle),
     .meaning = "The roots of the own trust domain, PEM or DER. Needed, unless "
                "`stateDirectory` has kept them."},
    END};
static const struct option_section files_section = {.rows = files_rows};

static const struct option_row identity_rows[] = {
    {.key = "source",
     CHOICE(source_choices),
     VALUE(struct config, identity.source),
     .fallback = "workloadApi",
     .meaning = "Where certificates come from."},
    {.key = "endpoint",
     TEXT(endpoint_check, "`unix:///path` or `tcp://IP:port`"),
     VALUE(struct config, identity.endpoint),
     .meaning = "The SPIFFE Workload API, or the SDS server; without it, $SPIFFE_ENDPOINT_SOCKET "
                "says where."},
    {.key = "hint",
     TEXT(text_checks_label, NULL),
     VALUE(struct config, identity.hint),
     .meaning = "Of several identities, take the one with this hint (workloadApi)."},
    {.key = "spiffeId",
     TEXT(text_checks_spiffe_id, "SPIFFE ID"),
     VALUE(struct config, identity.spiffe_id),
     .meaning = "Of several identities, take this one; no other is accepted."},
    {.key = "closeAtExpiry",
     .type = OPTION_BOOL,
     VALUE(struct config, identity.close_at_expiry),
     .fallback = "false",
     .meaning = "Close open connections when a certificate they were made with ends."},
    {.key = "stateDirectory",
     TEXT(text_checks_path, "absolute path"),
     VALUE(struct config, identity.state_directory),
     .is_written = true,
     .meaning = "Keep bundles and pinned destinations across a restart here; never a key."},
    {.key = "lifetime",
     .type = OPTION_DURATION,
     VALUE(struct config, identity.lifetime_ms),
     .min = MINUTE_MS,
     .max = YEAR_MS,
     HAS(struct config, identity.has_lifetime),
     .meaning = "The validity to ask for (istioCa), 24h when not set; the CA may give less."},
    {.key = "rotateAt",
     .type = OPTION_FRACTION,
     VALUE(struct config, identity.rotate_at_permille),
     .min = 100,
     .max = 900,
     HAS(struct config, identity.has_rotate_at),
     .meaning = "When the next certificate is asked for (istioCa): at this part of the lifetime "
                "that the CA gave, 0.5 when not set."},
    {.key = "rotateJitter",
     .type = OPTION_FRACTION,
     VALUE(struct config, identity.rotate_jitter_permille),
     .max = 500,
     HAS(struct config, identity.has_rotate_jitter),
     .meaning = "Up to this part of the lifetime later, at random (istioCa), 0.1 when not set; "
                "with `rotateAt` at most 0.95."},
    {.key = "sds",
     .type = OPTION_SECTION,
     .section = &sds_section,
     HAS(struct config, identity.sds.is_set),
     .meaning = "For source: sds."},
    {.key = "istioCa",
     .type = OPTION_SECTION,
     .section = &istio_ca_section,
     HAS(struct config, identity.istio_ca.is_set),
     .meaning = "For source: istioCa."},
    {.key = "files",
     .type = OPTION_SECTION,
     .section = &files_section,
     HAS(struct config, identity.files.is_set),
     .meaning = "For source: files."},
    END};
const struct option_section options_identity = {.rows = identity_rows};
