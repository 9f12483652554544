// The files that a test of this folder finds: children look for them without being told where.
// etc/agent.yaml holds {}; read/file, written/file, outside/file and single hold x.
#ifndef TESTS_SANDBOX_PLACE_H
#define TESTS_SANDBOX_PLACE_H

#include "tests/certmgr/scratch_dir.h"

// The directory of the test that runs.
const struct scratch_dir *place(void);
struct scratch_path place_path(const char *name);

// For cmocka_unit_test_setup_teardown().
int place_set_up(void **state);
int place_tear_down(void **state);

#endif
