#include "agent/config/values.h"

#include <stdio.h>
#include <string.h>

#include "agent/config/config_lists.h"
#include "agent/config/text_checks.h"
#include "base/buf.h"
#include "base/check.h"
#include "base/clock.h"
#include "base/netaddr.h"

#define NUMBER_DIGITS_MAX 10

// What a mistake is reported with.
struct reading {
    const struct option_row *row;
    const struct yaml_tree_node *node;
    struct report *report;
};

static struct span text_of(const struct reading *reading) {
    return span_of(reading->node->text, reading->node->len);
}

// "KEY: SENTENCE", at the value. Returns false.
static bool refuse(const struct reading *reading, const char *sentence) {
    report_add(reading->report, REPORT_ERROR, reading->node->place, "%s: %s", reading->row->key,
               sentence);
    return false;
}

// "KEY: "TEXT" SENTENCE". Returns false.
static bool refuse_text(const struct reading *reading, const char *sentence) {
    char excerpt[REPORT_EXCERPT_MAX];
    report_add(reading->report, REPORT_ERROR, reading->node->place, "%s: \"%s\" %s",
               reading->row->key, report_excerpt(reading->node->text, excerpt), sentence);
    return false;
}

uint64_t values_number(const void *field, size_t size) {
    uint8_t u8;
    uint16_t u16;
    uint32_t u32;
    switch (size) {
    case sizeof u8:
        memcpy(&u8, field, size);
        return u8;
    case sizeof u16:
        memcpy(&u16, field, size);
        return u16;
    default:
        CHECK(size == sizeof u32);
        memcpy(&u32, field, size);
        return u32;
    }
}

static void store_number(void *field, size_t size, uint64_t number) {
    uint8_t u8 = (uint8_t)number;
    uint16_t u16 = (uint16_t)number;
    uint32_t u32 = (uint32_t)number;
    switch (size) {
    case sizeof u8:
        memcpy(field, &u8, size);
        break;
    case sizeof u16:
        memcpy(field, &u16, size);
        break;
    default:
        CHECK(size == sizeof u32);
        memcpy(field, &u32, size);
    }
}

// Digits only: no sign, no leading zero (YAML 1.1 would call that octal).
static bool parse_number(struct span text, int64_t *out) {
    if (text.len == 0 || text.len > NUMBER_DIGITS_MAX || (text.ptr[0] == '0' && text.len > 1)) {
        return false;
    }
    int64_t number = 0;
    for (size_t i = 0; i < text.len; i++) {
        if (text.ptr[i] < '0' || text.ptr[i] > '9') {
            return false;
        }
        number = number * 10 + (text.ptr[i] - '0');
    }
    *out = number;
    return true;
}

static const struct option_choice *find_choice(const struct reading *reading) {
    const struct option_choice *choice = reading->row->choices;
    while (choice != NULL && choice->word != NULL) {
        if (span_equal_text(text_of(reading), choice->word)) {
            return choice;
        }
        choice++;
    }
    return NULL;
}

static bool refuse_choice(const struct reading *reading) {
    struct buf words = {0};
    bool ok = true;
    for (const struct option_choice *choice = reading->row->choices; choice->word != NULL;
         choice++) {
        if (!choice->not_yet) {
            ok = ok && buf_printf(&words, "%s%s", words.len == 0 ? "" : ", ", choice->word);
        }
    }
    char excerpt[REPORT_EXCERPT_MAX];
    struct span list = buf_span(&words);
    report_add(reading->report, REPORT_ERROR, reading->node->place, "%s: \"%s\" is not one of %.*s",
               reading->row->key, report_excerpt(reading->node->text, excerpt),
               ok ? (int)list.len : 0, list.ptr == NULL ? "" : (const char *)list.ptr);
    buf_fini(&words);
    return false;
}

static bool read_choice(const struct reading *reading, void *field) {
    const struct option_choice *choice = find_choice(reading);
    if (choice == NULL) {
        return refuse_choice(reading);
    }
    if (choice->not_yet) {
        report_add(reading->report, REPORT_ERROR, reading->node->place,
                   "%s: %s is not supported yet: this build does not have it", reading->row->key,
                   choice->word);
        return false;
    }
    store_number(field, reading->row->size, choice->value);
    return true;
}

static bool read_bool(const struct reading *reading, void *field) {
    bool value = span_equal_text(text_of(reading), "true");
    if (!reading->node->is_plain || (!value && !span_equal_text(text_of(reading), "false"))) {
        return refuse_text(reading, "is not true or false");
    }
    memcpy(field, &value, sizeof value);
    return true;
}

static bool refuse_number(const struct reading *reading) {
    const struct option_choice *word = reading->row->choices;
    char excerpt[REPORT_EXCERPT_MAX];
    report_add(reading->report, REPORT_ERROR, reading->node->place,
               "%s: \"%s\" is not %s%sa number from %lld to %lld%s", reading->row->key,
               report_excerpt(reading->node->text, excerpt), word == NULL ? "" : word->word,
               word == NULL ? "" : " or ", (long long)reading->row->min,
               (long long)reading->row->max, reading->node->is_plain ? "" : " without quotes");
    return false;
}

static bool read_number(const struct reading *reading, void *field) {
    const struct option_choice *choice = find_choice(reading);
    if (choice != NULL) {
        store_number(field, reading->row->size, choice->value);
        return true;
    }
    int64_t number = 0;
    if (!reading->node->is_plain || !parse_number(text_of(reading), &number) ||
        number < reading->row->min || number > reading->row->max) {
        return refuse_number(reading);
    }
    store_number(field, reading->row->size, (uint64_t)number);
    return true;
}

// "0", "0.5", "0.125", "1": thousandths.
static bool parse_fraction(struct span text, int64_t *out) {
    int64_t whole = 0;
    int64_t part = 0;
    if (!parse_number(span_of(text.ptr, text.len < 1 ? 0 : 1), &whole) || text.len == 2 ||
        text.len > 5 || (text.len > 1 && text.ptr[1] != '.')) {
        return false;
    }
    for (size_t i = 2; i < 5; i++) {
        uint8_t digit = i < text.len ? text.ptr[i] : '0';
        if (digit < '0' || digit > '9') {
            return false;
        }
        part = part * 10 + (digit - '0');
    }
    *out = whole * 1000 + part;
    return true;
}

static bool read_fraction(const struct reading *reading, void *field) {
    int64_t value = 0;
    const struct option_row *row = reading->row;
    if (!reading->node->is_plain || !parse_fraction(text_of(reading), &value) || value < row->min ||
        value > row->max) {
        char sentence[96];
        snprintf(sentence, sizeof(sentence), "is not a fraction from %g to %g, like 0.25%s",
                 (double)row->min / 1000, (double)row->max / 1000,
                 reading->node->is_plain ? "" : ", without quotes");
        return refuse_text(reading, sentence);
    }
    store_number(field, row->size, (uint64_t)value);
    return true;
}

static bool read_duration(const struct reading *reading, void *field) {
    int64_t value = 0;
    if (!clock_duration_parse(text_of(reading), &value)) {
        return refuse_text(reading, "is not a duration like 500ms, 25s, 5m, 24h or 7d");
    }
    bool is_short = value < reading->row->min;
    if (is_short || value > reading->row->max) {
        char limit[CLOCK_DURATION_MAX];
        char sentence[96];
        clock_duration_format(is_short ? reading->row->min : reading->row->max, limit);
        snprintf(sentence, sizeof(sentence), "is too %s a duration, %s is the %s",
                 is_short ? "short" : "long", limit, is_short ? "least" : "most");
        return refuse_text(reading, sentence);
    }
    memcpy(field, &value, sizeof value);
    return true;
}

static bool read_text(const struct reading *reading, void *field) {
    struct err err = {0};
    if (reading->node->len == 0) {
        return refuse(reading, "must not be empty");
    }
    if (reading->row->check != NULL && !reading->row->check(text_of(reading), &err)) {
        if (reading->row->is_hidden) {
            return refuse(reading, err.msg);
        }
        char excerpt[REPORT_EXCERPT_MAX];
        report_add(reading->report, REPORT_ERROR, reading->node->place, "%s: \"%s\": %s",
                   reading->row->key, report_excerpt(reading->node->text, excerpt), err.msg);
        return false;
    }
    char *text = strdup(reading->node->text);
    if (text == NULL) {
        reading->report->out_of_memory = true;
        return false;
    }
    memcpy(field, &text, sizeof text);
    return true;
}

static bool read_address(const struct reading *reading, void *field) {
    struct netaddr value;
    struct err err = {0};
    if (!netaddr_parse(&value, text_of(reading), &err)) {
        return refuse(reading, err.msg);
    }
    memcpy(field, &value, sizeof value);
    return true;
}

static bool parse_place(struct span text, struct config_place *out, struct span *host) {
    const uint8_t *colon = text.len == 0 ? NULL : memrchr(text.ptr, ':', text.len);
    int64_t port = 0;
    if (colon == NULL) {
        return false;
    }
    *host = span_of(text.ptr, (size_t)(colon - text.ptr));
    if (!text_checks_dns_name(*host, NULL) ||
        !parse_number(span_after(text, host->len + 1), &port) || port < 1 || port > UINT16_MAX) {
        return false;
    }
    out->addr.port = (uint16_t)port;
    return true;
}

static bool read_place(const struct reading *reading, void *field) {
    struct config_place value = {0};
    struct span host = {0};
    struct err err = {0};
    if (parse_place(text_of(reading), &value, &host)) {
        value.host = strndup((const char *)host.ptr, host.len);
        if (value.host == NULL) {
            reading->report->out_of_memory = true;
            return false;
        }
    } else if (!netaddr_parse(&value.addr, text_of(reading), &err)) {
        return refuse(reading, err.msg);
    }
    memcpy(field, &value, sizeof value);
    return true;
}

static bool read_prefix(const struct reading *reading, void *field) {
    struct netaddr_prefix value;
    struct err err = {0};
    if (!netaddr_prefix_parse(&value, text_of(reading), &err)) {
        return refuse(reading, err.msg);
    }
    memcpy(field, &value, sizeof value);
    return true;
}

static bool read_ports(const struct reading *reading, void *field) {
    struct span text = text_of(reading);
    const uint8_t *dash = text.len == 0 ? NULL : memchr(text.ptr, '-', text.len);
    size_t first_len = dash == NULL ? text.len : (size_t)(dash - text.ptr);
    int64_t first = 0;
    int64_t last = 0;
    if (!parse_number(span_of(text.ptr, first_len), &first) ||
        !parse_number(dash == NULL ? text : span_after(text, first_len + 1), &last) ||
        first < reading->row->min || first > reading->row->max || last < reading->row->min ||
        last > reading->row->max) {
        return refuse_text(reading, "is not a port from 1 to 65535, nor a range like 8000-8010");
    }
    if (first > last) {
        return refuse_text(reading, "is a range that ends before it starts");
    }
    struct port_range value = {.first = (uint16_t)first, .last = (uint16_t)last};
    memcpy(field, &value, sizeof value);
    return true;
}

bool values_read(const struct option_row *row, const struct yaml_tree_node *node, void *field,
                 struct report *report) {
    struct reading reading = {.row = row, .node = node, .report = report};
    switch (row->type) {
    case OPTION_BOOL:
        return read_bool(&reading, field);
    case OPTION_NUMBER:
        return read_number(&reading, field);
    case OPTION_FRACTION:
        return read_fraction(&reading, field);
    case OPTION_CHOICE:
        return read_choice(&reading, field);
    case OPTION_DURATION:
        return read_duration(&reading, field);
    case OPTION_TEXT:
        return read_text(&reading, field);
    case OPTION_ADDRESS:
        return read_address(&reading, field);
    case OPTION_PLACE:
        return read_place(&reading, field);
    case OPTION_PREFIX:
        return read_prefix(&reading, field);
    case OPTION_PORTS:
        return read_ports(&reading, field);
    case OPTION_SECTION:
    case OPTION_NOT_YET:
        break;
    }
    CHECK(row->type < OPTION_SECTION); // not a scalar: a bug in the table
    return false;
}
