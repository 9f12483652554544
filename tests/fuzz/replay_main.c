// Feeds files to a fuzz target without libFuzzer, so that the checked-in corpus runs as an ordinary
// test: every file as it is, and cut short at a few places. Arguments are files and folders.
// Each input is a heap copy of its exact size, so that AddressSanitizer sees one byte too many.
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/file.h"
#include "tests/fuzz/fuzz_target.h"

#define FILE_MAX ((size_t)16 << 20)
#define NUM_CUTS 64
#define NUM_DESCRIPTORS 16

static unsigned num_files; // nftw has no argument to carry it

static void feed(const uint8_t *data, size_t len) {
    uint8_t *copy = malloc(len == 0 ? 1 : len);
    if (copy == NULL) {
        return;
    }
    if (len > 0) {
        memcpy(copy, data, len);
    }
    LLVMFuzzerTestOneInput(copy, len);
    free(copy);
}

static int feed_file(const char *path, const struct stat *status, int type, struct FTW *place) {
    (void)status;
    (void)place;
    if (type != FTW_F) {
        return type == FTW_D ? 0 : 1;
    }
    struct buf content = {0};
    struct err err;
    if (!file_read(path, FILE_MAX, &content, &err)) {
        fprintf(stderr, "%s\n", err.msg);
        return 1;
    }
    struct span whole = buf_span(&content);
    feed(whole.ptr, whole.len);
    size_t step = whole.len / NUM_CUTS + 1;
    for (size_t len = 0; len < whole.len; len += step) {
        feed(whole.ptr, len);
    }
    buf_fini(&content);
    num_files++;
    return 0;
}

int main(int argc, char **argv) {
    for (int i = 1; i < argc; i++) {
        if (nftw(argv[i], feed_file, NUM_DESCRIPTORS, 0) != 0) {
            fprintf(stderr, "cannot replay %s\n", argv[i]);
            return 1;
        }
    }
    printf("replayed %u files\n", num_files);
    return num_files == 0 ? 1 : 0; // an empty corpus tests nothing
}
