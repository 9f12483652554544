// Writing, replacing and mending a store on disk.
#include "certmgr/trust/trust_store.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "certmgr/trust/trust_dir.h"
#include "tests/certmgr/scratch_dir.h"
#include "tests/trust/store_check.h"

struct scene {
    struct scratch_dir dir;
    struct scratch_path output;
    struct trust_files one, two;
};

static struct trust_store_state write_store(struct scene *scene, const struct trust_files *files,
                                            bool wanted_change) {
    struct trust_store_state state = {0};
    struct err err = {0};
    bool changed = !wanted_change;
    if (!trust_store_write(scene->output.text, files, &state, &changed, &err)) {
        fail_msg("%s", err.msg);
    }
    assert_int_equal(changed, wanted_change);
    assert_true(store_check_is(scene->output.text, files));
    return state;
}

static void generations(void **state) {
    struct scene *scene = *state;
    struct trust_store_state seen;
    trust_store_read(scene->output.text, &seen);
    assert_int_equal(seen.generation, 0);
    assert_int_equal(write_store(scene, &scene->one, true).generation, 1);
    assert_int_equal(write_store(scene, &scene->one, false).generation, 1);
    assert_int_equal(write_store(scene, &scene->two, true).generation, 2);
    assert_int_equal(store_check_num_generations(scene->output.text), 2); // for those who read
    struct trust_store_state third = write_store(scene, &scene->one, true);
    assert_int_equal(third.generation, 3);
    assert_int_equal(store_check_num_generations(scene->output.text), 2);
    trust_store_read(scene->output.text, &seen);
    assert_int_equal(seen.generation, 3);
    assert_int_equal(seen.written_ms, third.written_ms);
    assert_string_equal(seen.digest, third.digest);
}

static mode_t mode_of(const struct scene *scene, const char *name) {
    char path[512];
    struct stat st;
    (void)snprintf(path, sizeof(path), "%s/%s", scene->output.text, name);
    assert_int_equal(stat(path, &st), 0);
    return st.st_mode & 07777;
}

static void everybody_can_read(void **state) {
    struct scene *scene = *state;
    mode_t before = umask(0077);
    write_store(scene, &scene->one, true);
    umask(before);
    assert_int_equal(mode_of(scene, "."), 0755);
    assert_int_equal(mode_of(scene, "..data/."), 0755);
    assert_int_equal(mode_of(scene, "certs"), 0755);
    assert_int_equal(mode_of(scene, "certs/public"), 0755);
    assert_int_equal(mode_of(scene, "ca-bundle.pem"), 0644);
    assert_int_equal(mode_of(scene, "certs/public/a"), 0644);
}

static void what_somebody_changed_is_mended(void **state) {
    struct scene *scene = *state;
    static const char *const names[] = {"out/..data/ca-bundle.pem", "out/..data/generation",
                                        "out/certs/00000001.0", "out/truststore.p12", "out/..data"};
    write_store(scene, &scene->one, true);
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        scratch_dir_remove(&scene->dir, names[i]);
        write_store(scene, &scene->one, true);
    }
    scratch_dir_rewrite(&scene->dir, "out/..data/env", span_of_text("nonsense"));
    write_store(scene, &scene->one, true);
    write_store(scene, &scene->one, false);
}

static void leftovers_go(void **state) {
    struct scene *scene = *state;
    write_store(scene, &scene->one, true);
    scratch_dir_make(&scene->dir, "out/..2020_01_01_00_00_00.000000000");
    scratch_dir_make(&scene->dir, "out/..2020_01_01_00_00_00.000000000/certs");
    scratch_dir_rewrite(&scene->dir, "out/..2020_01_01_00_00_00.000000000/certs/x",
                        span_of_text("x"));
    scratch_dir_link(&scene->dir, "out/..data_tmp", "nowhere");
    scratch_dir_make(&scene->dir, "out/..mine"); // somebody else's
    scratch_dir_rewrite(&scene->dir, "out/note", span_of_text("x"));
    write_store(scene, &scene->two, true);
    assert_int_equal(store_check_num_generations(scene->output.text), 2);
    assert_int_equal(access(scratch_dir_path(&scene->dir, "out/..mine").text, F_OK), 0);
    assert_int_equal(access(scratch_dir_path(&scene->dir, "out/note").text, F_OK), 0);
}

static void somebody_elses_file_is_not_replaced(void **state) {
    struct scene *scene = *state;
    struct trust_store_state out;
    struct err err = {0};
    bool changed;
    scratch_dir_make(&scene->dir, "out");
    scratch_dir_rewrite(&scene->dir, "out/env", span_of_text("mine"));
    assert_false(trust_store_write(scene->output.text, &scene->one, &out, &changed, &err));
    assert_int_equal(err.class, ERR_INPUT);
    assert_non_null(strstr(err.msg, "/out/env is there and is not Pavise's"));
    assert_int_equal(store_check_num_generations(scene->output.text), 0);
    trust_store_read(scene->output.text, &out);
    assert_int_equal(out.generation, 0);
}

static void where_nothing_can_be_written(void **state) {
    struct scene *scene = *state;
    struct trust_store_state out;
    struct err err = {0};
    bool changed;
    scratch_dir_rewrite(&scene->dir, "out", span_of_text("a file"));
    assert_false(trust_store_write(scene->output.text, &scene->one, &out, &changed, &err));
    assert_int_equal(err.class, ERR_ENVIRONMENT);
    assert_non_null(strstr(err.msg, scene->output.text));
}

static void directories_above_are_made(void **state) {
    struct scene *scene = *state;
    scene->output = scratch_dir_path(&scene->dir, "a/b/out");
    write_store(scene, &scene->one, true);
}

static void names_of_generations(void **state) {
    (void)state;
    const struct timespec when = {.tv_sec = 1800000000, .tv_nsec = 5};
    char name[TRUST_DIR_NAME_MAX];
    trust_dir_generation_name(&when, name);
    assert_string_equal(name, "..2027_01_15_08_00_00.000000005");
    assert_true(trust_dir_is_generation(name));
    assert_false(trust_dir_is_generation("..data"));
    assert_false(trust_dir_is_generation("..2027_01_15_08_00_00.00000000x"));
    assert_false(trust_dir_is_generation("..2027_01_15_08_00_00.0000000051"));
}

static int set_up(void **state) {
    static struct scene scene;
    scratch_dir_init(&scene.dir);
    scene.output = scratch_dir_path(&scene.dir, "out");
    store_check_make(&scene.one, "one");
    store_check_make(&scene.two, "two");
    *state = &scene;
    return 0;
}

static int tear_down(void **state) {
    struct scene *scene = *state;
    trust_files_fini(&scene->one);
    trust_files_fini(&scene->two);
    scratch_dir_fini(&scene->dir);
    return 0;
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(generations, set_up, tear_down),
        cmocka_unit_test_setup_teardown(everybody_can_read, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_somebody_changed_is_mended, set_up, tear_down),
        cmocka_unit_test_setup_teardown(leftovers_go, set_up, tear_down),
        cmocka_unit_test_setup_teardown(somebody_elses_file_is_not_replaced, set_up, tear_down),
        cmocka_unit_test_setup_teardown(where_nothing_can_be_written, set_up, tear_down),
        cmocka_unit_test_setup_teardown(directories_above_are_made, set_up, tear_down),
        cmocka_unit_test(names_of_generations),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
