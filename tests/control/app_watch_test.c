// A directory stands for /proc; who owns an entry is whose the process is.
#include "agent/control/app_watch.h"

#include <fcntl.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#define OTHERS_GROUP "0::/../app\n"
#define OWN_GROUP "0::/\n"

static char root[64];

static void put(const char *process, const char *name, const char *text) {
    char path[256];
    snprintf(path, sizeof(path), "%s/%s/%s", root, process, name);
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    assert_int_equal(write(fd, text, strlen(text)), strlen(text));
    close(fd);
}

static void add(const char *process, const char *stat, const char *group) {
    char path[256];
    snprintf(path, sizeof(path), "%s/%s", root, process);
    assert_int_equal(mkdir(path, 0755), 0);
    put(process, "stat", stat);
    put(process, "cgroup", group);
}

static void take_away(const char *process) {
    char path[256], away[256];
    static int num;
    snprintf(path, sizeof(path), "%s/%s", root, process);
    snprintf(away, sizeof(away), "%s/gone-%d", root, num++);
    assert_int_equal(rename(path, away), 0);
}

static int begin(void **state) {
    (void)state;
    strcpy(root, "app_watch_XXXXXX");
    assert_non_null(mkdtemp(root));
    add("1", "1 (pause) S", "0::/../pause\n");
    add("self", "9 (pavise) S", OWN_GROUP);
    add("acpi", "", "");
    return 0;
}

static struct app_watch watch_of(uid_t own_uid) {
    return (struct app_watch){.proc = root, .own_uid = own_uid};
}

static enum app_watch_state look(struct app_watch *watch, unsigned times) {
    enum app_watch_state state = APP_WATCH_NOT_YET;
    for (unsigned i = 0; i < times; i++) {
        state = app_watch_look(watch);
    }
    return state;
}

static void test_an_application_comes_and_goes(void **state) {
    (void)state;
    struct app_watch watch = watch_of(getuid() + 1);
    assert_int_equal(look(&watch, 10 * APP_WATCH_MISSES), APP_WATCH_NOT_YET);
    add("23", "23 (a) b) S", OTHERS_GROUP);
    assert_int_equal(look(&watch, APP_WATCH_HITS), APP_WATCH_RUNS);
    take_away("23");
    assert_int_equal(look(&watch, APP_WATCH_MISSES - 1), APP_WATCH_RUNS);
    add("24", "24 (b) R", OTHERS_GROUP); // the next container
    assert_int_equal(look(&watch, 1), APP_WATCH_RUNS);
    take_away("24");
    assert_int_equal(look(&watch, APP_WATCH_MISSES - 1), APP_WATCH_RUNS);
    assert_int_equal(look(&watch, 1), APP_WATCH_ENDED);
}

static void test_who_is_not_the_application(void **state) {
    (void)state;
    struct app_watch own = watch_of(getuid());
    add("23", "23 (pavise) S", OTHERS_GROUP);
    assert_int_equal(look(&own, APP_WATCH_HITS), APP_WATCH_NOT_YET); // the agent's uid
    take_away("23");
    struct app_watch watch = watch_of(getuid() + 1);
    add("24", "24 (runc:[2:INIT]) S", OWN_GROUP); // executed in the agent's container
    add("25", "25 (sh) Z", OTHERS_GROUP);
    add("26", "26 (odd", OTHERS_GROUP);
    assert_int_equal(look(&watch, APP_WATCH_HITS), APP_WATCH_NOT_YET);
    put("25", "stat", "25 (sh) S");
    assert_int_equal(look(&watch, APP_WATCH_HITS), APP_WATCH_RUNS);
}

// Health checks of what holds the namespace, where that is ours and has any.
static void test_who_is_beside_process_1(void **state) {
    (void)state;
    struct app_watch watch = watch_of(getuid() + 1);
    put("1", "stat", "1 (pavise) S");
    add("27", "27 (pavise) S", "0::/../pause\n");
    assert_int_equal(look(&watch, APP_WATCH_HITS), APP_WATCH_NOT_YET);
    put("1", "stat", "1 (pause) S");
    assert_int_equal(look(&watch, APP_WATCH_HITS), APP_WATCH_RUNS);
}

// The hook that waits for the agent, and every health check, is executed while there may be no
// application: it must not look like one that has come and gone, however long it takes.
static void test_on_its_way_to_the_agent(void **state) {
    (void)state;
    static const char *const GROUPS[] = {
        "0::/../../../system.slice/containerd.service\n",
        "0::/../docker.service\n", // beside docker-ID.scope
        "0::/../libpod-conmon-1.scope\n",
    };
    struct app_watch watch = watch_of(getuid() + 1);
    add("24", "24 (runc:[2:INIT]) S", GROUPS[0]);
    for (size_t i = 0; i < sizeof(GROUPS) / sizeof(GROUPS[0]); i++) {
        put("24", "cgroup", GROUPS[i]);
        assert_int_equal(look(&watch, 10 * APP_WATCH_HITS), APP_WATCH_NOT_YET);
    }
    put("24", "stat", "24 (other:[2:INIT]) S"); // a runtime that is not known by name
    assert_int_equal(look(&watch, APP_WATCH_HITS - 1), APP_WATCH_NOT_YET);
    put("24", "cgroup", OWN_GROUP);
    assert_int_equal(look(&watch, 10 * APP_WATCH_MISSES), APP_WATCH_NOT_YET);
}

// With version 1 a process is moved one group after the other.
static void test_half_moved(void **state) {
    (void)state;
    struct app_watch watch = watch_of(getuid() + 1);
    put("1", "cgroup", "2:cpu:/docker/host\n1:pids:/docker/host\n0::/\n");
    put("self", "cgroup", "2:cpu:/docker/agent\n1:pids:/docker/agent\n0::/\n");
    add("24", "24 (runc:[2:INIT]) S", "2:cpu:/docker/agent\n1:pids:/user/1\n0::/\n");
    assert_int_equal(look(&watch, 10 * APP_WATCH_HITS), APP_WATCH_NOT_YET);
    put("24", "cgroup", "2:cpu:/docker/job\n1:pids:/docker/job\n0::/\n");
    assert_int_equal(look(&watch, APP_WATCH_HITS), APP_WATCH_RUNS);
}

// A job may be over before it is looked at; its container was there before that.
static void test_a_job_that_takes_no_time(void **state) {
    (void)state;
    struct app_watch watch = watch_of(getuid() + 1);
    add("24", "24 (runc:[2:INIT]) S", OTHERS_GROUP);
    assert_int_equal(look(&watch, APP_WATCH_HITS), APP_WATCH_RUNS);
    take_away("24");
    assert_int_equal(look(&watch, APP_WATCH_MISSES), APP_WATCH_ENDED);
}

// Without control groups of their own containers are told apart by uid alone.
static void test_all_in_one_group(void **state) {
    (void)state;
    struct app_watch watch = watch_of(getuid() + 1);
    put("1", "cgroup", OWN_GROUP);
    add("23", "23 (app) S", OWN_GROUP);
    assert_int_equal(look(&watch, APP_WATCH_HITS), APP_WATCH_RUNS);
}

// What cannot be looked at has not ended.
static void test_nothing_to_be_seen(void **state) {
    (void)state;
    struct app_watch watch = watch_of(getuid() + 1);
    watch.proc = "not/there";
    assert_int_equal(look(&watch, 1), APP_WATCH_NOT_YET);
    watch.was_seen = true;
    assert_int_equal(look(&watch, 2 * APP_WATCH_MISSES), APP_WATCH_RUNS);
}

static void test_the_process_says_it(void **state) {
    (void)state;
    char word = '\0';
    int ends[2];
    add("23", "23 (app) S", OTHERS_GROUP);
    assert_int_equal(pipe(ends), 0);
    struct app_watch watch = watch_of(getuid() + 1);
    int fd = app_watch_start(&watch);
    assert_true(fd >= 0);
    close(ends[1]); // nothing else of ours stays open there
    assert_int_equal(read(ends[0], &word, 1), 0);
    close(ends[0]);
    struct pollfd soon = {.fd = fd, .events = POLLIN};
    assert_int_equal(recv(fd, &word, 1, 0), 1);
    assert_int_equal(word, APP_WATCH_SAYS_SEEN);
    assert_int_equal(poll(&soon, 1, 200), 0);
    take_away("23");
    assert_int_equal(recv(fd, &word, 1, 0), 1);
    assert_int_equal(word, APP_WATCH_SAYS_ENDED);
    assert_int_equal(recv(fd, &word, 1, 0), 0);
    close(fd);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_an_application_comes_and_goes, begin),
        cmocka_unit_test_setup(test_who_is_not_the_application, begin),
        cmocka_unit_test_setup(test_who_is_beside_process_1, begin),
        cmocka_unit_test_setup(test_on_its_way_to_the_agent, begin),
        cmocka_unit_test_setup(test_half_moved, begin),
        cmocka_unit_test_setup(test_a_job_that_takes_no_time, begin),
        cmocka_unit_test_setup(test_all_in_one_group, begin),
        cmocka_unit_test_setup(test_nothing_to_be_seen, begin),
        cmocka_unit_test_setup(test_the_process_says_it, begin),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
