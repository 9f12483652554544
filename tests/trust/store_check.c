#include "tests/trust/store_check.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/check.h"
#include "base/file.h"

void store_check_make(struct trust_files *out, const char *text) {
    static const char *const paths[] = {
        "ca-bundle.pem",  "ca-extra.pem", "certs/00000001.0", "certs/public/a", "truststore.p12",
        "truststore.jks", "env",          "env.sh",           "php/x.ini"};
    size_t num = sizeof(paths) / sizeof(paths[0]);
    *out = (struct trust_files){.items = calloc(num, sizeof(*out->items)), .num = num, .cap = num};
    CHECK(out->items != NULL);
    for (size_t i = 0; i < num; i++) {
        out->items[i].path = strdup(paths[i]);
        CHECK(out->items[i].path != NULL &&
              buf_printf(&out->items[i].content, "%s of %s\n", paths[i], text));
    }
}

bool store_check_is(const char *output, const struct trust_files *files) {
    for (size_t i = 0; i < files->num; i++) {
        char path[512];
        struct buf content = {0};
        struct err err = {0};
        (void)snprintf(path, sizeof(path), "%s/%s", output, files->items[i].path);
        bool is = file_read(path, 1 << 20, &content, &err) &&
                  span_equal(buf_span(&content), buf_span(&files->items[i].content));
        buf_fini(&content);
        if (!is) {
            return false;
        }
    }
    return true;
}

size_t store_check_num_generations(const char *output) {
    DIR *stream = opendir(output);
    CHECK(stream != NULL);
    size_t num = 0;
    const struct dirent *entry;
    while ((entry = readdir(stream)) != NULL) {
        num += strncmp(entry->d_name, "..2", 3) == 0;
    }
    CHECK(closedir(stream) == 0);
    return num;
}
