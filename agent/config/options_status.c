// The keys below `status`.
#include "agent/config/options_rows.h"
#include "agent/config/text_checks.h"

#define EXPIRY_ALERT_DAYS_MAX 3650
#define AUDIT_ATTEMPTS_MAX 1000000
#define AUDIT_QUEUE_MIN 16384
#define AUDIT_QUEUE_MAX (64 * 1024 * 1024)

static const struct option_choice name_choices[] = {
    {"livez", PROBE_LIVEZ, false},           {"readyz", PROBE_READYZ, false},
    {"startupz", PROBE_STARTUPZ, false},     {"prestopz", PROBE_PRESTOPZ, false},
    {"poststartz", PROBE_POSTSTARTZ, false}, {NULL, 0, false}};
static const struct option_choice type_choices[] = {{"http", PROBE_HTTP, false},
                                                    {"tcp", PROBE_TCP, false},
                                                    {"grpc", PROBE_GRPC, false},
                                                    {NULL, 0, false}};
static const struct option_choice scheme_choices[] = {
    {"http", false, false}, {"https", true, false}, {NULL, 0, false}};

static const struct option_row probe_rows[] = {
    {.key = "container",
     TEXT(text_checks_container, "a container's name"),
     VALUE(struct status_probe, container),
     .is_required = true,
     .meaning = "Whose probe it is; a part of its path."},
    {.key = "probe",
     CHOICE(name_choices),
     VALUE(struct status_probe, name),
     .is_required = true,
     .meaning = "Which: asked as /app-health/<container>/{livez,readyz,startupz} or "
                "/app-lifecycle/<container>/{prestopz,poststartz}."},
    {.key = "type",
     CHOICE(type_choices),
     VALUE(struct status_probe, type),
     .fallback = "http",
     .meaning = "How the application is asked: a GET, a connect, or grpc.health.v1."},
    {.key = "port",
     PORT,
     VALUE(struct status_probe, port),
     .is_required = true,
     .meaning = "The application's port, at the address the probe came to."},
    {.key = "path",
     TEXT(text_checks_request_path, "path and query"),
     VALUE(struct status_probe, path),
     .meaning = "What to get (http); / when not set."},
    {.key = "scheme",
     CHOICE(scheme_choices),
     VALUE(struct status_probe, https),
     .fallback = "http",
     .meaning = "Whether the application speaks TLS (http); its certificate is not verified."},
    {.key = "headers",
     TEXT(text_checks_header, "\"Name: value\""),
     LIST(struct status_probe, headers.items, headers.num, 32),
     .meaning = "Headers of the request (http); a Host takes the place of ours."},
    {.key = "service",
     TEXT(text_checks_label, "text"),
     VALUE(struct status_probe, service),
     .meaning = "The service to ask for (grpc)."},
    {.key = "timeout",
     .type = OPTION_DURATION,
     VALUE(struct status_probe, timeout_ms),
     .max = HOUR_MS,
     .fallback = "1s",
     .meaning = "How long the application may take."},
    END};
static const struct option_section probe_section = {
    .rows = probe_rows, .line_offset = offsetof(struct status_probe, line)};

static const struct option_row audit_rows[] = {
    {.key = "address",
     TEXT(text_checks_audit_address, "`HOST:PORT` or `unix:///path`"),
     VALUE(struct config, status.audit.address),
     .can_be_off = true,
     .fallback = "''",
     .meaning = "Where the collector listens; \"\" for no audit."},
    {.key = "reconnectInterval",
     .type = OPTION_DURATION,
     VALUE(struct config, status.audit.reconnect_interval_ms),
     .min = 1000,
     .max = HOUR_MS,
     .fallback = "1s",
     .meaning = "The pause between two attempts to reach the collector."},
    {.key = "reconnectMaxAttempts",
     .type = OPTION_NUMBER,
     .max = AUDIT_ATTEMPTS_MAX,
     VALUE(struct config, status.audit.reconnect_max_attempts),
     .fallback = "0",
     .meaning = "Give up after so many failures in a row, until the next reload; 0: never."},
    {.key = "queueMaxBytes",
     .type = OPTION_NUMBER,
     .min = AUDIT_QUEUE_MIN,
     .max = AUDIT_QUEUE_MAX,
     VALUE(struct config, status.audit.queue_max_bytes),
     .fallback = "524288",
     .meaning = "Records that wait for the collector; what has no room is dropped and counted."},
    END};
static const struct option_section audit_section = {.rows = audit_rows};

static const struct option_row status_rows[] = {
    {.key = "listen",
     ADDRESS,
     VALUE(struct config, status.listen),
     .can_be_off = true,
     HAS(struct config, status.has_listen),
     .fallback = "'127.0.0.1:15020'",
     .meaning = "The status port, on a loopback address; \"\" for none."},
    {.key = "health",
     ADDRESS,
     VALUE(struct config, status.health),
     .can_be_off = true,
     HAS(struct config, status.has_health),
     .meaning = "A second listener for probes and scrapers from outside the host."},
    {.key = "probes",
     .type = OPTION_SECTION,
     .section = &probe_section,
     LIST(struct config, status.probes, status.num_probes, ITEMS_MAX),
     .meaning = "The application's probes, answered at status.health."},
    {.key = "quit",
     .type = OPTION_BOOL,
     VALUE(struct config, status.quit),
     .fallback = "false",
     .meaning = "Allow POST /quitquitquit."},
    {.key = "expiryAlertDays",
     .type = OPTION_NUMBER,
     .max = EXPIRY_ALERT_DAYS_MAX,
     VALUE(struct config, status.expiry_alert_days),
     .fallback = "45",
     .meaning = "Warn once a day of each certificate below `inbound.ports` and "
                "`outbound.destinations` that expires within so many days; 0: never."},
    SECTION("audit", audit_section,
            "Who connects to the application, as lines of JSON to a collector."),
    END};
const struct option_section options_status = {.rows = status_rows};
