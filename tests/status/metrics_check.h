// A strict reader of the Prometheus text format 0.0.4: what is wrong with a text, line by line.
#ifndef TESTS_STATUS_METRICS_CHECK_H
#define TESTS_STATUS_METRICS_CHECK_H

#include <stdbool.h>
#include <stddef.h>

// True when `text` is well-formed: every line is "# HELP", "# TYPE" or a sample; each name has one
// HELP and then one TYPE directly before its samples; samples of one name stand together and none
// is there twice; counters end in _total; the text ends with a newline. Else `why` says what.
bool metrics_check(const char *text, char *why, size_t why_len);
// The value of the series as it is written, NULL when it is not there: "name{a=\"b\"}".
const char *metrics_find(const char *text, const char *series, char *out, size_t out_len);

#endif
