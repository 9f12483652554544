// Every way in which a file changes is announced, also one that the watch has to follow links for.
// inotify's announcements are there when the system call that causes them has ended, so nothing
// waits here.
#include "certmgr/file_watch.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>

#include "tests/certmgr/scratch_dir.h"

struct scene {
    struct scratch_dir dir;
    struct file_watch *watch;
    struct scratch_path path;
};

static int set_up(void **state) {
    static struct scene scene;
    scratch_dir_init(&scene.dir);
    scene.watch = file_watch_new();
    assert_non_null(scene.watch);
    if (file_watch_fd(scene.watch) < 0) {
        print_message("this system gives no inotify\n");
        return -1;
    }
    *state = &scene;
    return 0;
}

static int tear_down(void **state) {
    struct scene *scene = *state;
    file_watch_free(scene->watch);
    scratch_dir_fini(&scene->dir);
    return 0;
}

static void follow(struct scene *scene, const char *name) {
    scene->path = scratch_dir_path(&scene->dir, name);
    const char *paths[] = {scene->path.text};
    file_watch_follow(scene->watch, paths, 1);
}

// Follows once more, as the user does, so that nothing of before is left to be announced.
static void expect_announced(struct scene *scene, bool announced) {
    assert_int_equal(file_watch_drain(scene->watch), announced);
    const char *paths[] = {scene->path.text};
    file_watch_follow(scene->watch, paths, 1);
    assert_false(file_watch_drain(scene->watch));
}

#define WRITE(name, text) scratch_dir_rewrite(&scene->dir, (name), span_of_text(text))

static void a_plain_file(void **state) {
    struct scene *scene = *state;
    follow(scene, "a");
    expect_announced(scene, false);
    WRITE("a", "1"); // it is made
    expect_announced(scene, true);
    WRITE("a", "2");
    expect_announced(scene, true);
    scratch_dir_replace(&scene->dir, "a", span_of_text("3"));
    expect_announced(scene, true);
    assert_int_equal(chmod(scene->path.text, 0400), 0);
    expect_announced(scene, true);
    scratch_dir_remove(&scene->dir, "a");
    expect_announced(scene, true);
    WRITE("a", "4");
    expect_announced(scene, true);
}

// Kubernetes: tls.crt -> ..data/tls.crt, ..data -> ..1; an update swaps ..data.
static void a_swapped_data_link(void **state) {
    struct scene *scene = *state;
    scratch_dir_make(&scene->dir, "..1");
    scratch_dir_make(&scene->dir, "..2");
    WRITE("..1/tls.crt", "1");
    WRITE("..2/tls.crt", "2");
    scratch_dir_link(&scene->dir, "..data", "..1");
    scratch_dir_link(&scene->dir, "tls.crt", "..data/tls.crt");
    follow(scene, "tls.crt");
    WRITE("..2/tls.crt", "two"); // nobody looks there yet
    expect_announced(scene, false);
    WRITE("..1/tls.crt", "one");
    expect_announced(scene, true);
    scratch_dir_link(&scene->dir, "..data", "..2");
    expect_announced(scene, true);
    WRITE("..1/tls.crt", "old");
    expect_announced(scene, false);
    WRITE("..2/tls.crt", "new");
    expect_announced(scene, true);
}

// current -> release-1 somewhere above the file.
static void a_swapped_directory_link(void **state) {
    struct scene *scene = *state;
    char absolute[SCRATCH_PATH_MAX];
    scratch_dir_make(&scene->dir, "r1");
    scratch_dir_make(&scene->dir, "r1/sub");
    scratch_dir_make(&scene->dir, "r2");
    scratch_dir_make(&scene->dir, "r2/sub");
    WRITE("r1/sub/a", "1");
    WRITE("r2/sub/a", "2");
    scratch_dir_link(&scene->dir, "current", "./r2/../r1");
    follow(scene, "current/sub/../sub/./a");
    expect_announced(scene, false);
    WRITE("r1/sub/a", "one");
    expect_announced(scene, true);
    snprintf(absolute, sizeof absolute, "%s/r2/", scene->dir.path);
    scratch_dir_link(&scene->dir, "current", absolute);
    expect_announced(scene, true);
    WRITE("r2/sub/a", "two");
    expect_announced(scene, true);
    WRITE("r1/sub/a", "gone");
    expect_announced(scene, false);
}

static void directories_that_come_later(void **state) {
    struct scene *scene = *state;
    follow(scene, "x/y/a");
    scratch_dir_make(&scene->dir, "x");
    expect_announced(scene, true);
    scratch_dir_make(&scene->dir, "x/y");
    expect_announced(scene, true);
    WRITE("x/y/a", "1");
    expect_announced(scene, true);
    scratch_dir_remove(&scene->dir, "x/y/a");
    expect_announced(scene, true);
    scratch_dir_remove(&scene->dir, "x/y");
    expect_announced(scene, true);
}

static void links_in_circles_end(void **state) {
    struct scene *scene = *state;
    scratch_dir_link(&scene->dir, "a", "b");
    scratch_dir_link(&scene->dir, "b", "a");
    follow(scene, "a");
    expect_announced(scene, false);
    scratch_dir_remove(&scene->dir, "b");
    expect_announced(scene, true);
    WRITE("b", "1");
    expect_announced(scene, true);
}

static void odd_paths_do_no_harm(void **state) {
    struct scene *scene = *state;
    char longest[5000];
    memset(longest, 'a', sizeof longest - 1);
    longest[sizeof longest - 1] = '\0';
    longest[0] = '/';
    const char *paths[] = {"/", "", "//", "/..", "/../..//.", longest, scene->dir.path};
    file_watch_follow(scene->watch, paths, sizeof paths / sizeof *paths);
    longest[300] = '/'; // a name over the system's limit
    longest[4000] = '\0';
    file_watch_follow(scene->watch, paths, sizeof paths / sizeof *paths);
    file_watch_follow(scene->watch, NULL, 0);
    (void)file_watch_drain(scene->watch);
    follow(scene, "a");
    WRITE("a", "1");
    expect_announced(scene, true);
}

static void stamps(void **state) {
    struct scene *scene = *state;
    struct scratch_path path = scratch_dir_path(&scene->dir, "a");
    struct file_stamp none = file_watch_stamp(path.text);
    assert_true(none.error != 0);
    WRITE("a", "1");
    struct file_stamp first = file_watch_stamp(path.text);
    assert_int_equal(first.error, 0);
    struct file_stamp again = file_watch_stamp(path.text);
    assert_true(file_watch_stamp_equal(&first, &again));
    assert_false(file_watch_stamp_equal(&first, &none));
    scratch_dir_replace(&scene->dir, "a", span_of_text("1"));
    struct file_stamp second = file_watch_stamp(path.text);
    assert_false(file_watch_stamp_equal(&first, &second));
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(a_plain_file),
        TEST(a_swapped_data_link),
        TEST(a_swapped_directory_link),
        TEST(directories_that_come_later),
        TEST(links_in_circles_end),
        TEST(odd_paths_do_no_harm),
        TEST(stamps),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
