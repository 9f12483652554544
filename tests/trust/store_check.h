// Looks at a store as an application does, through the visible links.
#ifndef TESTS_TRUST_STORE_CHECK_H
#define TESTS_TRUST_STORE_CHECK_H

#include <stdbool.h>
#include <stddef.h>

#include "certmgr/trust/trust_files.h"

// Two files of every kind, with `text` in each, so that stores differ. trust_files_fini.
void store_check_make(struct trust_files *out, const char *text);
// Whether every file is there, readable, and has the content of `files`.
bool store_check_is(const char *output, const struct trust_files *files);
// How many entries of the directory begin with the generations' "..2".
size_t store_check_num_generations(const char *output);

#endif
