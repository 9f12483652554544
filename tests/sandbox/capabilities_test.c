#include "agent/sandbox/capabilities.h"

#include <linux/capability.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cmocka.h>

#include "tests/sandbox/child.h"

static unsigned long long line_of(const char *name) {
    char line[256];
    unsigned long long value = ~0ULL;
    FILE *status = fopen("/proc/self/status", "r");
    while (status != NULL && fgets(line, sizeof(line), status) != NULL) {
        if (strncmp(line, name, strlen(name)) == 0) {
            (void)sscanf(line + strlen(name), ": %llx", &value);
        }
    }
    if (status != NULL) {
        fclose(status);
    }
    return value;
}

static int drops(void *arg) {
    (void)arg;
    bool may_bound = (line_of("CapEff") & (1ULL << CAP_SETPCAP)) != 0;
    if (!capabilities_drop_all()) {
        return 1;
    }
    if ((line_of("CapEff") | line_of("CapPrm") | line_of("CapInh") | line_of("CapAmb")) != 0) {
        return 2;
    }
    if (may_bound && line_of("CapBnd") != 0) {
        return 3;
    }
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct back[2] = {{.effective = 1, .permitted = 1}};
    if (syscall(SYS_capset, &header, back) == 0) {
        return 4; // one came back
    }
    return capabilities_drop_all() ? 0 : 5; // a second time changes nothing
}

static void test_drops_everything(void **state) {
    (void)state;
    assert_int_equal(child_run(drops, NULL), 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_drops_everything)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
