// The tables that `pavise status` prints, as data; for status_table.c only.
#ifndef AGENT_COMMAND_STATUS_TABLE_INTERNAL_H
#define AGENT_COMMAND_STATUS_TABLE_INTERNAL_H

#include <stddef.h>

#include "agent/command/text_table.h"

enum kind {
    KIND_TEXT,   // as it is
    KIND_LEFT,   // a time in the future: how long until then
    KIND_WHEN,   // a time: "12s ago", "in 52m"
    KIND_BYTES,  // a size
    KIND_YES,    // a boolean
    KIND_STATUS, // an object: its "status"
};

struct column {
    const char *title; // NULL ends the list
    const char *key;
    enum kind kind;
};

struct table {
    const char *what; // the endpoint's name
    const char *key;  // the list in its document
    const char *empty;
    struct column columns[TEXT_TABLE_COLUMNS_MAX + 1];
};

// By what is asked for; one without a name ends the list.
extern const struct table status_table_rows[];

#endif
