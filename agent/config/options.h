// The one table of options: every key that a configuration may hold, with its type, range, default
// and meaning. The reader, the JSON rendering, the reference page and destruction all walk it.
// Read-only data.
#ifndef AGENT_CONFIG_OPTIONS_H
#define AGENT_CONFIG_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/span.h"

// Where the type stores a value is the field's type in config_types.h.
enum option_type {
    OPTION_BOOL,     // bool
    OPTION_NUMBER,   // unsigned of 2 or 4 bytes; `choices` are words that stand for numbers
    OPTION_FRACTION, // uint32_t thousandths
    OPTION_CHOICE,   // bool or enum, by `choices`
    OPTION_DURATION, // int64_t milliseconds
    OPTION_TEXT,     // char *
    OPTION_ADDRESS,  // struct netaddr, with its port
    OPTION_PLACE,    // struct config_place
    OPTION_PREFIX,   // struct netaddr_prefix
    OPTION_PORTS,    // struct port_range
    OPTION_SECTION,  // a mapping; in a list, one object per item, else the same object
    OPTION_NOT_YET,  // known, but not in this version
};

// A word of a choice. `not_yet`: known, but not in this version.
struct option_choice {
    const char *word; // NULL ends the array
    uint8_t value;
    bool not_yet;
};

// Checks the text of an OPTION_TEXT: spiffe_pattern_check and the like.
typedef bool option_check_fn(struct span text, struct err *err);

// One key. Where an object has no such thing, its offset is 0: no count and no flag starts an
// object.
struct option_row {
    const char *key;
    enum option_type type;
    bool is_list;
    bool is_required;
    bool takes_lines;     // the text may have several lines (`|`)
    bool is_hidden;       // a mistake is reported without the text: it may be a secret
    bool is_written;      // a directory that the agent writes in
    bool can_be_off;      // "" and [] mean: not there, whatever the default
    size_t offset;        // of the value, or of a list's items, in the section's object
    size_t size;          // of the value, or of one item; 0: the row has no field of its own
    size_t num_offset;    // of a list's size_t count
    size_t has_offset;    // of a bool that says that there is a value
    const char *fallback; // the default as YAML; NULL: nothing
    int64_t min;          // of a number, or in milliseconds
    int64_t max;
    size_t list_max; // items
    const struct option_choice *choices;
    option_check_fn *check;
    const struct option_section *section;
    const char *form;    // for the reference page, where the type's own word says too little
    const char *meaning; // one sentence; of OPTION_NOT_YET: what to say, where that is not usual
};

struct option_section {
    const struct option_row *rows; // a row without key ends them
    size_t line_offset;            // of an unsigned that takes the line of a list's item
    const char *scalar_key;        // a scalar instead of the mapping is the value of this key
};

extern const struct option_section options_root;

// The row of `key`; NULL when there is none.
const struct option_row *options_find(const struct option_section *section, const char *key);
// The row whose key is most like `key`, for "did you mean"; NULL when none is near.
const struct option_row *options_nearest(const struct option_section *section, const char *key);

// The field of a row in its section's object; NULL when it has none.
void *options_field(const struct option_row *row, void *object);
const void *options_field_of(const struct option_row *row, const void *object);
size_t options_list_num(const struct option_row *row, const void *object);
// True when the object has a value for the row (rows without has_offset always do).
bool options_is_set(const struct option_row *row, const void *object);
// Frees every field of the object, and zeroes it.
void options_fini(const struct option_section *section, void *object);

#endif
