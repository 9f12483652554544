#include "agent/sandbox/sandbox_places.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "agent/sandbox/landlock.h"
#include "tests/certmgr/scratch_dir.h"
#include "tests/sandbox/child.h"
#include "tests/sandbox/place.h"

// `form` is a configuration with D where the directory goes.
static struct config *parse(const char *form) {
    char text[4096];
    size_t len = 0;
    for (const char *c = form; *c != '\0'; c++) {
        len += (size_t)snprintf(text + len, sizeof(text) - len, "%.*s",
                                *c == '@' ? (int)strlen(place()->path) : 1,
                                *c == '@' ? place()->path : c);
    }
    struct config *config = config_parse("test", span_of_text(text), NULL, NULL);
    assert_non_null(config);
    return config;
}

static void collect(const char *form, struct sandbox_places *out) {
    struct config *config = parse(form);
    assert_true(sandbox_places_collect(config, place_path("etc/agent.yaml").text, out));
    config_unref(config);
}

static const struct sandbox_place *at(const struct sandbox_places *places, const char *name) {
    char canonical[4096];
    const char *path = place_path(name).text;
    path = realpath(path, canonical) == NULL ? path : canonical;
    for (size_t i = 0; i < places->num; i++) {
        if (strcmp(places->items[i].path, path) == 0) {
            return &places->items[i];
        }
    }
    return NULL;
}

static void test_directories_of_files(void **state) {
    (void)state;
    struct sandbox_places places = {0};
    scratch_dir_make(place(), "tls");
    scratch_dir_rewrite(place(), "tls/key", span_of_text("k"));
    scratch_dir_make(place(), "archive");
    scratch_dir_rewrite(place(), "archive/chain1", span_of_text("c"));
    scratch_dir_link(place(), "tls/chain", "../archive/chain1");
    collect("identity: {source: files, files: {certificate: '@/tls/chain', key: '@/tls/key', "
            "bundle: '@/later/on/bundle'}}",
            &places);
    assert_non_null(at(&places, "etc"));
    assert_non_null(at(&places, "tls"));
    assert_non_null(at(&places, "archive")); // where the link leads
    assert_non_null(at(&places, "."));       // the nearest that there is of later/on
    assert_int_equal(places.num, 4);
    for (size_t i = 0; i < places.num; i++) {
        assert_int_equal(places.items[i].access, LANDLOCK_READ);
        assert_false(places.items[i].is_missing);
    }
    assert_string_equal(at(&places, "tls")->key, "identity.files.certificate");
    sandbox_places_fini(&places);
}

static void test_directories(void **state) {
    (void)state;
    struct sandbox_places places = {0};
    scratch_dir_make(place(), "certs");
    scratch_dir_make(place(), "elsewhere");
    scratch_dir_make(place(), "out");
    scratch_dir_make(place(), "state");
    scratch_dir_rewrite(place(), "elsewhere/a.pem", span_of_text("a"));
    scratch_dir_link(place(), "certs/a.pem", "../elsewhere/a.pem");
    scratch_dir_link(place(), "certs/root", "/"); // no file: does not open everything
    collect("identity: {stateDirectory: '@/state'}\n"
            "trustStore: {sources: ['@/certs'], output: '@/out'}",
            &places);
    assert_non_null(at(&places, "certs"));
    assert_non_null(at(&places, "elsewhere"));
    assert_int_equal(at(&places, "certs")->access, LANDLOCK_READ);
    assert_int_equal(at(&places, "out")->access, LANDLOCK_READ | LANDLOCK_WRITE);
    assert_int_equal(at(&places, "state")->access, LANDLOCK_READ | LANDLOCK_WRITE);
    assert_int_equal(places.num, 5);
    sandbox_places_fini(&places);
}

// One that could not be made opens nothing above it; said once, and no reason against reloads.
static void test_missing_directory_to_write(void **state) {
    (void)state;
    struct sandbox_places places = {0}, again = {0}, there = {0};
    const char *form = "identity: {stateDirectory: '@/state/a'}\n"
                       "trustStore: {sources: ['@/etc'], output: '@/out/b'}";
    collect(form, &places);
    for (size_t i = 0; i < places.num; i++) {
        bool is_written = (places.items[i].access & LANDLOCK_WRITE) != 0;
        assert_int_equal(is_written, places.items[i].is_missing);
    }
    assert_true(at(&places, "state/a")->is_missing);
    assert_true(at(&places, "out/b")->is_missing);
    assert_string_equal(at(&places, "out/b")->key, "trustStore.output");
    assert_int_equal(places.num, 3);
    collect(form, &again);
    assert_null(sandbox_places_outside(&places, &again));
    scratch_dir_make(place(), "out");
    scratch_dir_make(place(), "out/b");
    collect(form, &there);
    assert_ptr_equal(sandbox_places_outside(&places, &there), at(&there, "out/b"));
    sandbox_places_fini(&places);
    sandbox_places_fini(&again);
    sandbox_places_fini(&there);
}

// What lies right in /etc or /tmp does not open all of it.
static void test_shared_directories(void **state) {
    (void)state;
    struct sandbox_places places = {0};
    char here[] = "/tmp/pavise-places-XXXXXX", text[256];
    int fd = mkstemp(here);
    assert_true(fd >= 0);
    close(fd);
    (void)snprintf(text, sizeof(text), "trustStore: {sources: ['%s', /pavise-nowhere.pem]}", here);
    collect(text, &places);
    bool is_alone = false, is_missing = false;
    for (size_t i = 0; i < places.num; i++) {
        assert_string_not_equal(places.items[i].path, "/tmp");
        assert_string_not_equal(places.items[i].path, "/");
        is_alone = is_alone || strcmp(places.items[i].path, here) == 0;
        is_missing = is_missing || (places.items[i].is_missing &&
                                    strcmp(places.items[i].path, "/pavise-nowhere.pem") == 0);
    }
    unlink(here);
    assert_true(is_alone);
    assert_true(is_missing);
    sandbox_places_fini(&places);
}

static bool opens_etc(void) {
    struct sandbox_places places = {0};
    bool opens = false;
    assert_true(sandbox_places_collect_own(&places));
    for (size_t i = 0; i < places.num; i++) {
        opens = opens || strcmp(places.items[i].path, "/etc") == 0;
    }
    sandbox_places_fini(&places);
    return opens;
}

static int of_another_uid(void *arg) {
    (void)arg;
    return (geteuid() != 0 || setuid(65534) == 0) && opens_etc() ? 0 : 1;
}

// Only for those that could not read its secrets anyway.
static void test_etc(void **state) {
    (void)state;
    assert_int_equal(opens_etc(), geteuid() != 0);
    assert_int_equal(child_run(of_another_uid, NULL), 0);
}

static void test_own(void **state) {
    (void)state;
    struct sandbox_places places = {0};
    assert_true(sandbox_places_collect_own(&places));
    for (size_t i = 0; i < places.num; i++) {
        assert_string_not_equal(places.items[i].path, "/");
        assert_string_not_equal(places.items[i].path, "/dev");
        assert_string_not_equal(places.items[i].path, "/proc");
        assert_string_equal(places.items[i].key, "");
        bool is_null = strcmp(places.items[i].path, "/dev/null") == 0;
        assert_int_equal((places.items[i].access & LANDLOCK_WRITE) != 0, is_null);
    }
    sandbox_places_fini(&places);
}

static void test_outside(void **state) {
    (void)state;
    struct sandbox_places granted = {0}, same = {0}, below = {0}, other = {0}, written = {0};
    scratch_dir_make(place(), "certs");
    scratch_dir_make(place(), "certs/sub");
    scratch_dir_make(place(), "certs2");
    collect("trustStore: {sources: ['@/certs'], output: '@/etc'}", &granted);
    collect("trustStore: {sources: ['@/certs'], output: '@/etc'}", &same);
    collect("trustStore: {sources: ['@/certs/sub'], output: '@/etc'}", &below);
    collect("trustStore: {sources: ['@/certs2'], output: '@/etc'}", &other);
    collect("trustStore: {sources: ['@/certs'], output: '@/certs/sub'}", &written);
    assert_null(sandbox_places_outside(&granted, &same));
    assert_null(sandbox_places_outside(&granted, &below));
    const struct sandbox_place *outside = sandbox_places_outside(&granted, &other);
    assert_ptr_equal(outside, at(&other, "certs2"));
    assert_string_equal(outside->key, "trustStore.sources[0]");
    assert_ptr_equal(sandbox_places_outside(&granted, &written), at(&written, "certs/sub"));
    // The same name, another directory: Landlock does not know it.
    assert_int_equal(rename(place_path("certs").text, place_path("old").text), 0);
    scratch_dir_make(place(), "certs");
    assert_non_null(sandbox_places_outside(&granted, &same));
    sandbox_places_fini(&granted);
    sandbox_places_fini(&same);
    sandbox_places_fini(&below);
    sandbox_places_fini(&other);
    sandbox_places_fini(&written);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_directories_of_files, place_set_up, place_tear_down),
        cmocka_unit_test_setup_teardown(test_directories, place_set_up, place_tear_down),
        cmocka_unit_test_setup_teardown(test_missing_directory_to_write, place_set_up,
                                        place_tear_down),
        cmocka_unit_test_setup_teardown(test_shared_directories, place_set_up, place_tear_down),
        cmocka_unit_test_setup_teardown(test_etc, place_set_up, place_tear_down),
        cmocka_unit_test_setup_teardown(test_own, place_set_up, place_tear_down),
        cmocka_unit_test_setup_teardown(test_outside, place_set_up, place_tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
