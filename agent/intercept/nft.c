// Standard input, output and error of the program are anonymous files, not pipes: nothing can
// block, and all of what it said is there when it has ended.
#include "agent/intercept/nft.h"

#include <errno.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "agent/intercept/ambient.h"
#include "base/file.h"

#define READ_CHUNK 4096
#define PATH_LEN_MAX 4096
#define SAYING_MAX 512 // of what nft said, in an error
#define EXIT_NOT_STARTED 127
#define COMMAND_MAX 64

extern char **environ;

// The anonymous files that stand for descriptors 0, 1 and 2; -1 where there is none.
struct stdio_files {
    int fds[3];
};

static void stdio_files_fini(struct stdio_files *files) {
    for (size_t i = 0; i < 3; i++) {
        if (files->fds[i] >= 0) {
            close(files->fds[i]);
        }
    }
}

static bool stdio_files_open(struct stdio_files *files, struct span input, struct err *err) {
    for (size_t i = 0; i < 3; i++) {
        files->fds[i] = memfd_create("pavise-nft", MFD_CLOEXEC);
        if (files->fds[i] < 0) {
            return ERR_SET_ERRNO(err, ERR_ENVIRONMENT, errno, "cannot make a memory file");
        }
    }
    if (!file_write_all(files->fds[0], input) || lseek(files->fds[0], 0, SEEK_SET) != 0) {
        return ERR_SET_ERRNO(err, ERR_ENVIRONMENT, errno, "cannot write to a memory file");
    }
    return true;
}

static bool read_all(int fd, struct buf *out, struct err *err) {
    if (lseek(fd, 0, SEEK_SET) != 0) {
        return ERR_SET_ERRNO(err, ERR_ENVIRONMENT, errno, "cannot read what nft said");
    }
    for (;;) {
        uint8_t *room = buf_reserve(out, READ_CHUNK);
        if (room == NULL) {
            return ERR_NO_MEMORY(err, "reading what nft said");
        }
        ssize_t num = read(fd, room, READ_CHUNK);
        if (num == 0) {
            return true;
        }
        if (num < 0 && errno != EINTR) {
            return ERR_SET_ERRNO(err, ERR_ENVIRONMENT, errno, "cannot read what nft said");
        }
        buf_commit(out, num < 0 ? 0 : (size_t)num);
    }
}

// --- finding and running -----------------------------------------------------------------------

static bool is_program_in(const char *dir, size_t dir_len, char out[PATH_LEN_MAX]) {
    // An empty element of PATH means the working directory: not for what runs with privileges.
    if (dir_len == 0 || dir[0] != '/') {
        return false;
    }
    int len = snprintf(out, PATH_LEN_MAX, "%.*s/nft", (int)dir_len, dir);
    return len > 0 && len < PATH_LEN_MAX && access(out, X_OK) == 0;
}

static bool find_in(const char *path, char out[PATH_LEN_MAX]) {
    while (path != NULL) {
        size_t len = strcspn(path, ":");
        if (is_program_in(path, len, out)) {
            return true;
        }
        path = path[len] == ':' ? path + len + 1 : NULL;
    }
    return false;
}

static bool find_program(char out[PATH_LEN_MAX], struct err *err) {
    if (find_in(secure_getenv("PATH"), out) || find_in("/usr/sbin:/sbin", out)) {
        return true;
    }
    return ERR_SET(err, ERR_ENVIRONMENT,
                   "the program nft is not there (looked in PATH, /usr/sbin and /sbin); "
                   "it comes with nftables");
}

static int spawn(const char *program, char *const argv[], const struct stdio_files *files,
                 pid_t *pid) {
    posix_spawn_file_actions_t actions;
    int errnum = posix_spawn_file_actions_init(&actions);
    if (errnum != 0) {
        return errnum;
    }
    for (int i = 0; errnum == 0 && i < 3; i++) {
        errnum = posix_spawn_file_actions_adddup2(&actions, files->fds[i], i);
    }
    if (errnum == 0) {
        errnum = posix_spawn(pid, program, &actions, NULL, argv, environ);
    }
    posix_spawn_file_actions_destroy(&actions);
    return errnum;
}

// The exit code; -1 with `err` set when the program did not run to its end.
static int run(char *const argv[], const struct stdio_files *files, struct err *err) {
    char program[PATH_LEN_MAX];
    if (!find_program(program, err)) {
        return -1;
    }
    (void)ambient_raise_net_admin(); // where it cannot, nft says what it lacks
    pid_t pid = 0;
    int errnum = spawn(program, argv, files, &pid);
    if (errnum != 0) {
        (void)ERR_SET_ERRNO(err, ERR_ENVIRONMENT, errnum, "cannot start %s", program);
        return -1;
    }
    int status = 0;
    while (waitpid(pid, &status, 0) < 0) {
        if (errno != EINTR) {
            (void)ERR_SET_ERRNO(err, ERR_ENVIRONMENT, errno, "cannot wait for %s", program);
            return -1;
        }
    }
    if (!WIFEXITED(status) || WEXITSTATUS(status) == EXIT_NOT_STARTED) {
        (void)ERR_SET(err, ERR_ENVIRONMENT, "%s did not run to its end", program);
        return -1;
    }
    return WEXITSTATUS(status);
}

// --- what nft said -----------------------------------------------------------------------------

static bool says(const struct buf *said, const char *words) {
    struct span text = buf_span(said);
    return text.len > 0 && memmem(text.ptr, text.len, words, strlen(words)) != NULL;
}

static void set_refusal(const struct buf *said, struct err *err) {
    if (says(said, "Operation not permitted") || says(said, "Permission denied")) {
        (void)ERR_SET(err, ERR_ENVIRONMENT,
                      "not permitted: the rules of a network namespace need the capability "
                      "NET_ADMIN in it (run this as root, or with the file capability "
                      "cap_net_admin+ep where the container adds NET_ADMIN)");
        return;
    }
    struct span text = buf_span(said);
    size_t len = text.len < SAYING_MAX ? text.len : SAYING_MAX;
    while (len > 0 && text.ptr[len - 1] == '\n') {
        len--;
    }
    (void)ERR_SET(err, ERR_ENVIRONMENT, "nft refused: %.*s", len == 0 ? 100 : (int)len,
                  len == 0 ? "it did not say why" : (const char *)text.ptr);
}

bool nft_load(struct span rules, struct err *err) {
    char *const argv[] = {"nft", "-f", "-", NULL};
    struct stdio_files files = {.fds = {-1, -1, -1}};
    struct buf said = {0};
    int code = stdio_files_open(&files, rules, err) ? run(argv, &files, err) : -1;
    if (code > 0 && read_all(files.fds[2], &said, err)) {
        set_refusal(&said, err);
    }
    buf_fini(&said);
    stdio_files_fini(&files);
    return code == 0;
}

static enum nft_listing judge(int code, const struct stdio_files *files, struct buf *out,
                              struct err *err) {
    if (code < 0) {
        return NFT_FAILED;
    }
    if (code == 0) {
        return read_all(files->fds[1], out, err) ? NFT_LISTED : NFT_FAILED;
    }
    struct buf said = {0};
    enum nft_listing result = NFT_FAILED;
    if (read_all(files->fds[2], &said, err)) {
        set_refusal(&said, err);
        result = says(&said, "No such file or directory") ? NFT_NO_TABLE : NFT_FAILED;
    }
    buf_fini(&said);
    return result;
}

enum nft_listing nft_list(const char *table, struct buf *out, struct err *err) {
    char command[COMMAND_MAX]; // nft takes its words in one argument too
    snprintf(command, sizeof command, "list table %s", table);
    char *const argv[] = {"nft", command, NULL};
    struct stdio_files files = {.fds = {-1, -1, -1}};
    int code = stdio_files_open(&files, span_of(NULL, 0), err) ? run(argv, &files, err) : -1;
    enum nft_listing result = judge(code, &files, out, err);
    stdio_files_fini(&files);
    return result;
}
