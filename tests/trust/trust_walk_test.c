// Which files of a source are read, and what is said of the others.
#include "certmgr/trust/trust_walk.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/buf.h"
#include "base/text.h"
#include "tests/certmgr/scratch_dir.h"

struct scene {
    struct scratch_dir dir;
    struct buf said; // a line for each call of the sink, paths relative to the directory
    size_t stop_after;
};

static const char *relative(const struct scene *scene, const char *path) {
    size_t len = strlen(scene->dir.path);
    assert_memory_equal(path, scene->dir.path, len);
    return path[len] == '/' ? path + len + 1 : ".";
}

static bool on_file(void *arg, const char *path) {
    struct scene *scene = arg;
    assert_true(buf_printf(&scene->said, "+%s\n", relative(scene, path)));
    return scene->stop_after == 0 || --scene->stop_after > 0;
}

static bool on_skipped(void *arg, const char *path, const char *why) {
    struct scene *scene = arg;
    assert_true(buf_printf(&scene->said, "-%s: %s\n", relative(scene, path), why));
    return true;
}

static bool walk(struct scene *scene, const char *name) {
    const struct trust_walk_sink sink = {.arg = scene, .file = on_file, .skipped = on_skipped};
    buf_clear(&scene->said);
    return trust_walk(scratch_dir_path(&scene->dir, name).text, &sink);
}

static void expect(struct scene *scene, const char *name, const char *wanted) {
    assert_true(walk(scene, name));
    assert_true(buf_append(&scene->said, "", 1));
    assert_string_equal(buf_span(&scene->said).ptr, wanted);
}

static void put(struct scene *scene, const char *name, const char *text) {
    scratch_dir_rewrite(&scene->dir, name, span_of_text(text));
}

static void files_in_the_order_of_their_names(void **state) {
    struct scene *scene = *state;
    scratch_dir_make(&scene->dir, "s");
    put(scene, "s/b.pem", "b");
    put(scene, "s/a b.pem", "a");
    put(scene, "s/a\nb", "a");
    put(scene, "s/.hidden", "no");
    expect(scene, "s", "+s/a\nb\n+s/a b.pem\n+s/b.pem\n");
    expect(scene, "s/b.pem", "+s/b.pem\n");
}

static void links(void **state) {
    struct scene *scene = *state;
    scratch_dir_make(&scene->dir, "s");
    put(scene, "real", "x");
    scratch_dir_link(&scene->dir, "s/good", "../real");
    scratch_dir_link(&scene->dir, "s/gone", "nowhere");
    scratch_dir_link(&scene->dir, "s/loop", "loop");
    scratch_dir_link(&scene->dir, "s/null", "/dev/null");
    expect(scene, "s",
           "-s/gone: No such file or directory\n"
           "+s/good\n"
           "-s/loop: Too many levels of symbolic links\n"
           "-s/null: it is a device, not a file\n");
}

static void what_is_no_file(void **state) {
    struct scene *scene = *state;
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    scratch_dir_make(&scene->dir, "s");
    scratch_dir_make(&scene->dir, "s/sub");
    put(scene, "s/sub/inner.pem", "x");
    assert_int_equal(mkfifo(scratch_dir_path(&scene->dir, "s/fifo").text, 0600), 0);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    text_copy(address.sun_path, sizeof(address.sun_path),
              scratch_dir_path(&scene->dir, "s/socket").text);
    assert_int_equal(bind(fd, (const struct sockaddr *)&address, sizeof(address)), 0);
    assert_int_equal(close(fd), 0);
    expect(
        scene, "s",
        "-s/fifo: it is a FIFO, not a file\n"
        "-s/socket: it is a socket, not a file\n"
        "-s/sub: it is a sub-directory; only files are read, and bindings whose file `type` says "
        "ca-certificates\n");
    expect(scene, "s/fifo", "-s/fifo: it is a FIFO, not a file\n");
    expect(scene, "nothing", "-nothing: No such file or directory\n");
}

// servicebinding.io: the root, or one binding.
static void bindings(void **state) {
    struct scene *scene = *state;
    scratch_dir_make(&scene->dir, "s");
    scratch_dir_make(&scene->dir, "s/ca");
    put(scene, "s/ca/type", "ca-certificates\n");
    put(scene, "s/ca/provider", "somebody");
    put(scene, "s/ca/one.crt", "x");
    scratch_dir_make(&scene->dir, "s/ca/deeper");
    put(scene, "s/ca/deeper/type", "ca-certificates");
    put(scene, "s/ca/deeper/no.crt", "x");
    scratch_dir_make(&scene->dir, "s/db");
    put(scene, "s/db/type", "postgresql");
    put(scene, "s/db/password", "x");
    static const char not_read[] = ": it is a sub-directory; only files are read, and bindings "
                                   "whose file `type` says ca-certificates\n";
    char wanted[512];
    (void)snprintf(wanted, sizeof(wanted), "-s/ca/deeper%s+s/ca/one.crt\n-s/db%s", not_read,
                   not_read);
    expect(scene, "s", wanted);
    (void)snprintf(wanted, sizeof(wanted), "-s/ca/deeper%s+s/ca/one.crt\n", not_read);
    expect(scene, "s/ca", wanted);
}

// A mounted ConfigMap: `..data` and its target are not read by themselves.
static void a_kubernetes_volume(void **state) {
    struct scene *scene = *state;
    scratch_dir_make(&scene->dir, "s");
    scratch_dir_make(&scene->dir, "s/..1");
    put(scene, "s/..1/ca.crt", "x");
    scratch_dir_link(&scene->dir, "s/..data", "..1");
    scratch_dir_link(&scene->dir, "s/ca.crt", "..data/ca.crt");
    expect(scene, "s", "+s/ca.crt\n");
}

static uint64_t stamp(struct scene *scene) {
    uint64_t value = 0;
    assert_true(trust_walk_stamp(scratch_dir_path(&scene->dir, "s").text, &value));
    return value;
}

static void every_change_changes_the_stamp(void **state) {
    struct scene *scene = *state;
    scratch_dir_make(&scene->dir, "s");
    uint64_t empty = stamp(scene);
    assert_true(stamp(scene) == empty);
    put(scene, "s/a", "1");
    uint64_t one = stamp(scene);
    assert_true(one != empty);
    put(scene, "s/a", "12");
    uint64_t longer = stamp(scene);
    assert_true(longer != one);
    scratch_dir_replace(&scene->dir, "s/a", span_of_text("12"));
    uint64_t replaced = stamp(scene);
    assert_true(replaced != longer);
    put(scene, "s/.hidden", "x");
    assert_true(stamp(scene) == replaced);
    scratch_dir_remove(&scene->dir, "s/a");
    assert_true(stamp(scene) == empty);
}

static void a_sink_that_stops(void **state) {
    struct scene *scene = *state;
    scratch_dir_make(&scene->dir, "s");
    put(scene, "s/a", "x");
    put(scene, "s/b", "x");
    scene->stop_after = 1;
    assert_false(walk(scene, "s"));
    assert_true(span_equal_text(buf_span(&scene->said), "+s/a\n"));
}

static int set_up(void **state) {
    static struct scene scene;
    scene = (struct scene){0};
    scratch_dir_init(&scene.dir);
    *state = &scene;
    return 0;
}

static int tear_down(void **state) {
    struct scene *scene = *state;
    buf_fini(&scene->said);
    scratch_dir_fini(&scene->dir);
    return 0;
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(files_in_the_order_of_their_names, set_up, tear_down),
        cmocka_unit_test_setup_teardown(links, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_is_no_file, set_up, tear_down),
        cmocka_unit_test_setup_teardown(bindings, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_kubernetes_volume, set_up, tear_down),
        cmocka_unit_test_setup_teardown(every_change_changes_the_stamp, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_sink_that_stops, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
