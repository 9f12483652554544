// The keys of inbound.ports[].httpRules: which requests reach the application, and with which path.
#include "agent/config/options_rows.h"
#include "agent/config/text_checks.h"

#define NAMES_MAX 256

static const struct option_choice path_choices[] = {
    {"prefix", false, false}, {"exact", true, false}, {NULL, 0, false}};

static const struct option_row path_rows[] = {
    {.key = "path",
     TEXT(text_checks_request_path, "path"),
     VALUE(struct http_path_options, path),
     .is_required = true,
     .meaning = "What follows `pathPrefix`, decoded; the item may be just this path."},
    {.key = "type",
     CHOICE(path_choices),
     VALUE(struct http_path_options, exact),
     .fallback = "prefix",
     .meaning = "The path and everything below it, or only itself."},
    END};
static const struct option_section path_section = {.rows = path_rows, .scalar_key = "path"};

static const struct option_row rule_rows[] = {
    {.key = "hosts",
     TEXT(text_checks_server_name, "DNS names, `*.x`, `*`"),
     LIST(struct http_rule_options, hosts.items, hosts.num, NAMES_MAX),
     .meaning = "Of the request, without port; absent: any."},
    {.key = "pathPrefix",
     TEXT(text_checks_request_path, "path"),
     .can_be_off = true,
     VALUE(struct http_rule_options, path_prefix),
     .meaning = "What the path begins with, by whole segments."},
    {.key = "stripPathPrefix",
     .type = OPTION_BOOL,
     VALUE(struct http_rule_options, strip_prefix),
     .fallback = "false",
     .meaning = "The application is asked for the path without `pathPrefix`."},
    {.key = "methods",
     TEXT(text_checks_label, "names"),
     LIST(struct http_rule_options, methods.items, methods.num, NAMES_MAX),
     .meaning = "Absent: any."},
    {.key = "paths",
     .type = OPTION_SECTION,
     .section = &path_section,
     LIST(struct http_rule_options, paths, num_paths, NAMES_MAX),
     .meaning = "One of them has to match; absent: any."},
    END};
const struct option_section options_http_rule = {.rows = rule_rows};
