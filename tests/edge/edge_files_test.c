// How large the files of a certificate may be.
#include "agent/edge/edge_files.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/buf.h"
#include "base/file.h"
#include "certmgr/pem.h"
#include "tests/testing/pki.h"

#define MOST 65536

// The block with comments behind it, `len` bytes in all.
static void write_padded(const char *path, const char *label, struct span der, size_t len) {
    struct buf text = {0};
    assert_true(pem_render(label, der, &text));
    while (text.len < len) {
        assert_true(buf_append(&text, text.len + 1 == len ? "\n" : "#", 1));
    }
    assert_true(file_write_atomic(path, buf_span(&text), 0600, NULL));
    buf_fini(&text);
}

struct lengths {
    size_t certificate, key;
    const char *why; // NULL: they are taken
};

static void test_the_largest_files(void **state) {
    (void)state;
    static const struct lengths rows[] = {
        {0, 0, NULL},
        {MOST, MOST, NULL},
        {MOST + 1, 0, "certFile: "},
        {0, MOST + 1, "keyFile: "},
    };
    char directory[] = "/tmp/pavise-files-XXXXXX";
    char cert_file[64], key_file[64];
    assert_non_null(mkdtemp(directory));
    snprintf(cert_file, sizeof(cert_file), "%s/c", directory);
    snprintf(key_file, sizeof(key_file), "%s/k", directory);
    struct pki_options www = {.dns = {span_of("www.x", 5)}};
    OWNED(pki_free) struct pki_cert *ca = pki_ca();
    OWNED(pki_free) struct pki_cert *server = pki_issue(ca, &www);
    const struct edge_certificate_options options = {
        .name = (char *)(uintptr_t) "www", .cert_file = cert_file, .key_file = key_file};
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct edge_certificate cert = {0};
        struct err err = {0};
        write_padded(cert_file, "CERTIFICATE", pki_der(server), rows[i].certificate);
        write_padded(key_file, "PRIVATE KEY", pki_key_der(server), rows[i].key);
        bool ok = edge_files_certificate(&options, &cert, &err);
        edge_certificate_fini(&cert);
        if (ok != (rows[i].why == NULL)) {
            fail_msg("%zu: %s", i, err.msg);
        }
        assert_true(ok || (strncmp(err.msg, rows[i].why, strlen(rows[i].why)) == 0 &&
                           strstr(err.msg, "is larger than 65536 bytes") != NULL));
    }
    unlink(cert_file);
    unlink(key_file);
    rmdir(directory);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_the_largest_files)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
