// The reference page (docs/configuration.md), from the table of options alone.
#include <inttypes.h>
#include <stdio.h>

#include "agent/config/config.h"
#include "agent/config/options.h"
#include "base/buf.h"
#include "base/clock.h"

#define PATH_MAX_LEN 128

static const char intro[] =
    "# Configuration\n\n"
    "This page is generated from the table of options; a test compares the two.\n\n"
    "The file is one YAML document: a mapping, without aliases, tags or repeated keys. Every key "
    "is\n"
    "optional unless it says \"required\". `pavise check --config FILE` lists all mistakes as\n"
    "`file:line:col: sentence`. The agent does not start with a file that has any, and a reload "
    "that\n"
    "finds some keeps the configuration as it was. `deploy/examples/` has whole files.\n"
    "A file without a single byte counts as a mistake; `{}` is the one with all defaults.\n\n"
    "- An address is `IP:PORT` or `'[IPv6]:PORT'`, in quotes where it starts with a bracket.\n"
    "- A network is `10.0.0.0/8`, or one address; bits behind the prefix must be zero.\n"
    "- Ports are numbers or ranges like `8000-8010`.\n"
    "- A duration is a whole number and `ms`, `s`, `m`, `h` or `d`.\n"
    "- A SPIFFE pattern is a SPIFFE ID in which a path segment `*` stands for exactly one segment\n"
    "  and a final `**` for one or more.\n"
    "- In `match` and `authorization` an absent list means \"any\"; one that is there and empty\n"
    "  matches nothing.\n";

static bool print_choices(const struct option_row *row, struct buf *out) {
    bool ok = true;
    const char *between = "";
    for (const struct option_choice *choice = row->choices; choice->word != NULL; choice++) {
        if (!choice->not_yet) {
            ok = ok && buf_printf(out, "%s`%s`", between, choice->word);
            between = " or ";
        }
    }
    return ok;
}

static bool print_number(const struct option_row *row, struct buf *out) {
    bool ok = row->choices == NULL || (print_choices(row, out) && buf_append_text(out, " or "));
    return ok && buf_printf(out, "%" PRId64 " to %" PRId64, row->min, row->max);
}

static bool print_duration(const struct option_row *row, struct buf *out) {
    char least[CLOCK_DURATION_MAX];
    char most[CLOCK_DURATION_MAX];
    clock_duration_format(row->min, least);
    clock_duration_format(row->max, most);
    return buf_printf(out, "duration, %s to %s", least, most);
}

static bool print_form(const struct option_row *row, struct buf *out) {
    if (row->form != NULL) {
        return buf_append_text(out, row->form);
    }
    switch (row->type) {
    case OPTION_BOOL:
        return buf_append_text(out, "`true` or `false`");
    case OPTION_NUMBER:
        return print_number(row, out);
    case OPTION_FRACTION:
        return buf_printf(out, "%g to %g", (double)row->min / 1000, (double)row->max / 1000);
    case OPTION_CHOICE:
        return print_choices(row, out);
    case OPTION_DURATION:
        return print_duration(row, out);
    case OPTION_TEXT:
        return buf_append_text(out, "text");
    case OPTION_PLACE:
        return buf_append_text(out, "address or `HOST:PORT`");
    case OPTION_ADDRESS:
        return buf_append_text(out, row->is_list ? "addresses" : "address");
    case OPTION_PREFIX:
        return buf_append_text(out, "networks");
    case OPTION_PORTS:
        return buf_append_text(out, "ports");
    case OPTION_SECTION:
        return buf_append_text(out, "mapping");
    case OPTION_NOT_YET:
        break;
    }
    return true;
}

static bool print_default(const struct option_row *row, struct buf *out) {
    if (row->is_required) {
        return buf_append_text(out, "required");
    }
    return row->fallback == NULL || buf_printf(out, "`%s`", row->fallback);
}

static bool print_row(const struct option_row *row, struct buf *out) {
    return buf_printf(out, "| `%s` | %s", row->key, row->is_list ? "list: " : "") &&
           print_form(row, out) && buf_append_text(out, " | ") && print_default(row, out) &&
           buf_printf(out, " | %s |\n", row->meaning);
}

// Known words and keys that this version refuses.
static bool print_not_yet(const struct option_section *section, struct buf *out) {
    bool ok = true;
    const char *between = "\nKnown, but not supported yet: ";
    for (const struct option_row *row = section->rows; row->key != NULL; row++) {
        if (row->type == OPTION_NOT_YET) {
            ok = ok && buf_printf(out, "%s`%s`", between, row->key);
            between = ", ";
        }
        const struct option_choice *choice = row->choices;
        while (choice != NULL && choice->word != NULL) {
            if (choice->not_yet) {
                ok = ok && buf_printf(out, "%s`%s: %s`", between, row->key, choice->word);
                between = ", ";
            }
            choice++;
        }
    }
    return ok && (between[0] == '\n' || buf_append_text(out, ".\n"));
}

static bool print_section(const struct option_section *section, const char *path, struct buf *out) {
    bool ok = buf_append_text(out, "\n| key | value | default | meaning |\n|---|---|---|---|\n");
    for (const struct option_row *row = section->rows; row->key != NULL; row++) {
        ok = ok && (row->type == OPTION_NOT_YET || print_row(row, out));
    }
    ok = ok && print_not_yet(section, out);
    for (const struct option_row *row = section->rows; row->key != NULL; row++) {
        if (row->type == OPTION_SECTION) {
            char inner[PATH_MAX_LEN];
            snprintf(inner, sizeof inner, "%s%s%s%s", path, *path == '\0' ? "" : ".", row->key,
                     row->is_list ? "[]" : "");
            ok = ok && buf_printf(out, "\n## %s\n", inner) &&
                 print_section(row->section, inner, out);
        }
    }
    return ok;
}

bool config_render_reference(struct buf *out) {
    return buf_append_text(out, intro) && print_section(&options_root, "", out);
}
