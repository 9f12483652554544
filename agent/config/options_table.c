// The top of the tables, and the sections that are small.
#include "agent/config/options_rows.h"
#include "agent/config/text_checks.h"

static const struct option_row drain_rows[] = {
    {.key = "deadline",
     .type = OPTION_DURATION,
     VALUE(struct config, drain_deadline_ms),
     .max = HOUR_MS,
     .fallback = "25s",
     .meaning = "How long SIGTERM waits for open connections to end."},
    {.key = "withApplication",
     .type = OPTION_BOOL,
     VALUE(struct config, drain_with_application),
     .fallback = "false",
     .meaning = "Drain and leave when the application's last process has ended, in a process "
                "namespace that is shared with it (docs/kubernetes.md)."},
    END};
static const struct option_section drain_section = {.rows = drain_rows};

static const struct option_row kubernetes_rows[] = {
    {.key = "services",
     .type = OPTION_BOOL,
     VALUE(struct config, kubernetes_services),
     .fallback = "false",
     .meaning =
         "Where a destination's tunnel port does not answer, ask on its own port which pod's "
         "sidecar is behind it, and answer others that ask (docs/kubernetes.md)."},
    END};
static const struct option_section kubernetes_section = {.rows = kubernetes_rows};

static const struct option_choice level_choices[] = {{"debug", LOG_DEBUG, false},
                                                     {"info", LOG_INFO, false},
                                                     {"warn", LOG_WARN, false},
                                                     {"error", LOG_ERROR, false},
                                                     {NULL, 0, false}};
static const struct option_choice format_choices[] = {
    {"logfmt", LOG_LOGFMT, false}, {"json", LOG_JSON, false}, {NULL, 0, false}};

static const struct option_row log_rows[] = {{.key = "level",
                                              CHOICE(level_choices),
                                              VALUE(struct config, log_level),
                                              .fallback = "info",
                                              .meaning = "What is logged: this and worse."},
                                             {.key = "format",
                                              CHOICE(format_choices),
                                              VALUE(struct config, log_format),
                                              .fallback = "logfmt",
                                              .meaning = "How a line looks."},
                                             END};
static const struct option_section log_section = {.rows = log_rows};

static const struct option_choice workers_choices[] = {{"auto", 0, false}, {NULL, 0, false}};

static const struct option_choice sandbox_choices[] = {{"best-effort", SANDBOX_BEST_EFFORT, false},
                                                       {"required", SANDBOX_REQUIRED, false},
                                                       {"off", SANDBOX_OFF, false},
                                                       {NULL, 0, false}};

static const struct option_row root_rows[] = {
    SECTION("identity", options_identity, "Who this application is."),
    SECTION("outbound", options_outbound, "What the application connects to."),
    SECTION("inbound", options_inbound, "Who connects to the application."),
    SECTION("intercept", options_intercept, "What `pavise intercept up` redirects."),
    SECTION("drain", drain_section, "How the agent ends."),
    SECTION("kubernetes", kubernetes_section, "What is different in a cluster."),
    {.key = "trustStore",
     .type = OPTION_SECTION,
     .section = &options_trust,
     HAS(struct config, trust_store.is_set),
     .meaning = "The user's public certificates, written for every runtime of the application."},
    SECTION("status", options_status, "Where the agent can be asked."),
    SECTION("log", log_section, "What the agent writes on standard error."),
    {.key = "workers",
     .type = OPTION_NUMBER,
     .choices = workers_choices,
     .min = 1,
     .max = 64,
     VALUE(struct config, workers),
     .fallback = "auto",
     .meaning = "Event loops; auto follows the CPU quota."},
    {.key = "sandbox",
     CHOICE(sandbox_choices),
     VALUE(struct config, sandbox),
     .fallback = "best-effort",
     .meaning = "Give up capabilities, files and system calls that the agent does not need once it "
                "has started; `required` does not start where the kernel lacks a layer."},
    END};
const struct option_section options_root = {.rows = root_rows};
