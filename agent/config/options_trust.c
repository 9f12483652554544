// The keys below `trustStore`.
#include "agent/config/options_rows.h"
#include "agent/config/text_checks.h"
#include "agent/config/url.h"

#define MINUTE_MS INT64_C(60000)
#define CERTIFICATES_MAX 1024

static const struct option_choice policy_choices[] = {
    {"warn", false, false}, {"refuse", true, false}, {NULL, 0, false}};

#define POLICY(name, field, sentence)                                                              \
    {                                                                                              \
        .key = (name), CHOICE(policy_choices), VALUE(struct config, trust_store.policy.field),     \
        .fallback = "warn", .meaning = (sentence)                                                  \
    }

static const struct option_row policy_rows[] = {
    POLICY("expired", refuse_expired, "One that has expired."),
    POLICY("notYetValid", refuse_not_yet_valid, "One that is not valid yet."),
    POLICY("notCa", refuse_not_ca,
           "One that is not a CA's: not CA:TRUE, or a keyUsage without keyCertSign."),
    POLICY("weak", refuse_weak, "RSA below 2048 bits, or signed by another with SHA-1 or MD5."),
    END};
static const struct option_section policy_section = {.rows = policy_rows};

static const struct option_choice format_choices[] = {
    {"pkcs12", JAVA_PKCS12, false}, {"jks", JAVA_JKS, false}, {NULL, 0, false}};

static const struct option_row java_rows[] = {
    {.key = "format",
     CHOICE(format_choices),
     VALUE(struct config, trust_store.java_format),
     .fallback = "pkcs12",
     .meaning = "Which of the two files JAVA_TOOL_OPTIONS names; both are written. pkcs12 is for "
                "Java 8u301, 11.0.12, 17 and newer."},
    {.key = "password",
     TEXT(text_checks_password, "6-64 printable ASCII characters"),
     VALUE(struct config, trust_store.java_password),
     .fallback = "changeit",
     .meaning = "Seals the jks file; no secret. pkcs12 has none."},
    END};
static const struct option_section java_section = {.rows = java_rows};

static const struct option_row certificate_rows[] = {
    {.key = "name",
     TEXT(text_checks_file_name, "letters, digits, `.`, `_`, `-`"),
     VALUE(struct trust_certificate, name),
     .is_required = true,
     .meaning = "What the certificate is called: its file in `OUTPUT/certs/public`, its alias."},
    {.key = "file",
     TEXT(text_checks_path, "absolute path"),
     VALUE(struct trust_certificate, file),
     .meaning = "A file with it, PEM or DER."},
    {.key = "pem",
     TEXT(text_checks_pem, "PEM"),
     VALUE(struct trust_certificate, pem),
     .takes_lines = true,
     .meaning = "The certificate itself."},
    {.key = "url",
     TEXT(url_check, "`https://`, `file://`, or `http://` to a loopback address"),
     VALUE(struct trust_certificate, url),
     .meaning = "Where to fetch it, PEM or DER; the server is verified by the public roots."},
    {.key = "loadTrustStore",
     .type = OPTION_BOOL,
     VALUE(struct trust_certificate, load_trust_store),
     .fallback = "true",
     .meaning = "Trust it; false writes it to `OUTPUT/certs/public` and nowhere else."},
    {.key = "autoSync",
     .type = OPTION_BOOL,
     VALUE(struct trust_certificate, auto_sync),
     .fallback = "false",
     .meaning = "Follow changes while the agent runs: of a file within a second, of a URL every "
                "`syncInterval`; false reads it once."},
    {.key = "syncInterval",
     .type = OPTION_DURATION,
     VALUE(struct trust_certificate, sync_interval_ms),
     HAS(struct trust_certificate, has_sync_interval),
     .min = MINUTE_MS / 60,
     .max = YEAR_MS,
     .meaning = "How often a URL is fetched with `autoSync`; 24h when not set."},
    END};
static const struct option_section certificate_section = {
    .rows = certificate_rows, .line_offset = offsetof(struct trust_certificate, line)};

static const struct option_row trust_store_rows[] = {
    {.key = "sources",
     TEXT(text_checks_path, "absolute paths"),
     LIST(struct config, trust_store.sources.items, trust_store.sources.num, ITEMS_MAX),
     .meaning = "Files and directories of certificates, PEM or DER, watched."},
    {.key = "certificates",
     .type = OPTION_SECTION,
     .section = &certificate_section,
     LIST(struct config, trust_store.certificates, trust_store.num_certificates, CERTIFICATES_MAX),
     .meaning = "Certificates by name."},
    {.key = "publicRoots",
     TEXT(text_checks_public_roots, "`system`, `none` or an absolute path"),
     VALUE(struct config, trust_store.public_roots),
     .fallback = "system",
     .meaning = "The roots that are trusted beside them: the system's bundle, nothing, or a file."},
    {.key = "spiffeBundles",
     .type = OPTION_BOOL,
     VALUE(struct config, trust_store.spiffe_bundles),
     .fallback = "false",
     .meaning = "Trust the roots of the SPIFFE bundles in use too, while the agent runs."},
    {.key = "output",
     TEXT(text_checks_plain_path, "absolute path of letters, digits and `/._-+@=,%`"),
     VALUE(struct config, trust_store.output),
     .is_written = true,
     .fallback = "/run/pavise/trust",
     .meaning = "The directory to write, nobody else's; the application reads it."},
    SECTION("policy", policy_section,
            "`warn` or `refuse` for the user's certificates that are not quite right."),
    SECTION("java", java_section, "The key stores for Java."),
    END};
const struct option_section options_trust = {.rows = trust_store_rows};
