// What a fuzz target is: one function from bytes to nothing. It must not crash, leak or hang,
// whatever the bytes are. libFuzzer calls it, and so does replay_main.c over the checked-in corpus.
#ifndef TESTS_FUZZ_FUZZ_TARGET_H
#define TESTS_FUZZ_FUZZ_TARGET_H

#include <stddef.h>
#include <stdint.h>

// The name is libFuzzer's. Returns 0.
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#endif
