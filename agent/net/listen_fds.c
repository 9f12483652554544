#include "agent/net/listen_fds.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

// Digits only: strtoul alone would take blanks and signs.
static bool parse_number(const char *text, unsigned long *out) {
    char *end = NULL;
    errno = 0;
    if (text == NULL || !isdigit((unsigned char)text[0])) {
        return false;
    }
    *out = strtoul(text, &end, 10);
    return errno == 0 && *end == '\0';
}

bool listen_fds_parse(const struct listen_fds_env *env, pid_t self, unsigned *num,
                      struct err *err) {
    unsigned long pid = 0;
    unsigned long fds = 0;
    *num = 0;
    if (env->pid == NULL && env->fds == NULL) {
        return true;
    }
    if (!parse_number(env->pid, &pid)) {
        return ERR_SET(err, ERR_ENVIRONMENT, "LISTEN_PID is not a process id");
    }
    if (pid != (unsigned long)self) {
        return true;
    }
    if (!parse_number(env->fds, &fds) || fds > LISTEN_FDS_MAX) {
        return ERR_SET(err, ERR_ENVIRONMENT, "LISTEN_FDS is not a number of sockets (0 to %d)",
                       LISTEN_FDS_MAX);
    }
    *num = (unsigned)fds;
    return true;
}

void listen_fds_name(const char *names, unsigned i, char *out, size_t len) {
    const char *at = names == NULL ? "" : names;
    for (; i > 0 && *at != '\0'; i--) {
        at = strchrnul(at, ':');
        at += *at == ':';
    }
    size_t name_len = strcspn(at, ":");
    snprintf(out, len, "%.*s", name_len == 0 ? 7 : (int)name_len, name_len == 0 ? "unknown" : at);
}

static bool take_all(struct handed *into, unsigned num, const char *names, struct err *err) {
    bool ok = true;
    for (unsigned i = 0; i < num; i++) {
        char name[256];
        struct err *first = ok ? err : NULL; // the rest is taken all the same, to be closed
        listen_fds_name(names, i, name, sizeof(name));
        ok = handed_add(into, LISTEN_FDS_FIRST + (int)i, name, first) && ok;
    }
    return ok;
}

bool listen_fds_take(struct handed *into, struct err *err) {
    struct listen_fds_env env = {getenv("LISTEN_PID"), getenv("LISTEN_FDS"),
                                 getenv("LISTEN_FDNAMES")};
    unsigned num = 0;
    bool ok = listen_fds_parse(&env, getpid(), &num, err) && take_all(into, num, env.names, err);
    unsetenv("LISTEN_PID");
    unsetenv("LISTEN_FDS");
    unsetenv("LISTEN_FDNAMES");
    return ok;
}
