// The keys of inbound.ports[].certificates[].stapling; the limits are those of Redis Enterprise.
#include "agent/config/options_rows.h"
#include "agent/config/text_checks.h"
#include "agent/config/url.h"

#define SECOND_MS 1000
#define MINUTE_MS (60 * SECOND_MS)
#define DAY_MS (24 * HOUR_MS)
#define RECOVERY_TRIES_MAX 100

#define STAPLING_TIME(key_, member_, min_, max_, fallback_, sentence_)                             \
    {                                                                                              \
        .key = (key_), .type = OPTION_DURATION, .min = (min_), .max = (max_),                      \
        VALUE(struct edge_certificate_options, stapling.member_), .fallback = (fallback_),         \
        .meaning = (sentence_)                                                                     \
    }
static const struct option_row stapling_rows[] = {
    {.key = "enabled",
     .type = OPTION_BOOL,
     VALUE(struct edge_certificate_options, stapling.enabled),
     .fallback = "false",
     .meaning =
         "Send clients that ask for it an OCSP response with the certificate: from `file`, or "
         "from a responder that the agent asks."},
    {.key = "file",
     TEXT(text_checks_path, "absolute path"),
     .can_be_off = true,
     VALUE(struct edge_certificate_options, stapling.file),
     .meaning =
         "The response, DER, signed for the issuer, which follows in `certFile`; read at the "
         "start and by reload."},
    {.key = "stapleRevoked",
     .type = OPTION_BOOL,
     VALUE(struct edge_certificate_options, stapling.staple_revoked),
     .fallback = "false",
     .meaning = "Send it also when it says revoked or unknown."},
    {.key = "responder",
     TEXT(url_check_responder, "`http://` URL"),
     .can_be_off = true,
     VALUE(struct edge_certificate_options, stapling.responder),
     .meaning = "Who is asked where there is no `file`; absent: the responder that the certificate "
                "names."},
    STAPLING_TIME("queryInterval", query_interval_ms, MINUTE_MS, DAY_MS, "3600s",
                  "How often it is asked; sooner, at half of the response's time, where that is "
                  "shorter."),
    STAPLING_TIME("responseTimeout", response_timeout_ms, SECOND_MS, MINUTE_MS, "1s",
                  "How long one question may take, looking up the name included."),
    STAPLING_TIME("recoveryInterval", recovery_interval_ms, MINUTE_MS, DAY_MS, "60s",
                  "When it is asked again after a failure; twice as late after each that follows, "
                  "at most `queryInterval`."),
    {.key = "recoveryMaxTries",
     .type = OPTION_NUMBER,
     .min = 1,
     .max = RECOVERY_TRIES_MAX,
     VALUE(struct edge_certificate_options, stapling.recovery_max_tries),
     .fallback = "5",
     .meaning = "After so many failures it is asked every `queryInterval` again."},
    END};
const struct option_section options_stapling = {.rows = stapling_rows};
