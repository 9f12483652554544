// Linked into a copy of the program (pavise_trials), never into the one that is shipped: when it
// gets a signal it tries one operation that the sandbox is to forbid, in the process that serves,
// and writes "trial NAME ERRNO" to standard error; 0: it could do it. What it may need is named in
// the environment:
//   TRIAL_DIRECTORY  holds `secret`, and an empty directory `mount`
//   TRIAL_VICTIM     another process
// The signal's value is the row of TRIALS.
#include <errno.h>
#include <fcntl.h>
#include <linux/bpf.h>
#include <linux/capability.h>
#include <linux/if_ether.h>
#include <linux/io_uring.h>
#include <linux/keyctl.h>
#include <netinet/in.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static const char *directory;
static pid_t victim;

static long closed(long fd) {
    return fd < 0 ? -1 : close((int)fd);
}

static const char *in_directory(const char *name) {
    static char path[4096];
    (void)snprintf(path, sizeof(path), "%s/%s", directory, name);
    return path;
}

static long read_file(void) {
    return closed(open(in_directory("secret"), O_RDONLY | O_CLOEXEC));
}

static long write_file(void) {
    return closed(open(in_directory("written"), O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
}

static long list_directory(void) {
    return closed(open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC));
}

static long fork_child(void) {
    long pid = syscall(SYS_clone, SIGCHLD, NULL, NULL, NULL, NULL);
    if (pid == 0) {
        _exit(0);
    }
    return pid < 0 ? -1 : (waitpid((pid_t)pid, NULL, 0) == pid ? 0 : -1);
}

static long execute_memory(void) {
    void *page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    long failed = page == MAP_FAILED ? -1 : mprotect(page, 4096, PROT_READ | PROT_EXEC);
    int errnum = errno;
    if (page != MAP_FAILED) {
        munmap(page, 4096);
    }
    errno = errnum;
    return failed;
}

static long trace_process(void) {
    if (ptrace(PTRACE_SEIZE, victim, NULL, NULL) != 0) {
        return -1;
    }
    (void)ptrace(PTRACE_INTERRUPT, victim, NULL, NULL);
    (void)waitpid(victim, NULL, __WALL);
    return ptrace(PTRACE_DETACH, victim, NULL, NULL);
}

static long read_process(void) {
    char path[64];
    (void)snprintf(path, sizeof(path), "/proc/%d/environ", victim);
    return closed(open(path, O_RDONLY | O_CLOEXEC));
}

static long signal_process(void) {
    return kill(victim, SIGCONT);
}

static long packet_socket(void) {
    return closed(socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0));
}

static long raw_socket(void) {
    return closed(socket(AF_INET, SOCK_RAW | SOCK_CLOEXEC, IPPROTO_ICMP));
}

static long firewall_socket(void) {
    return closed(socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, 12)); // NETLINK_NETFILTER
}

static long mount_something(void) {
    return mount("tmpfs", in_directory("mount"), "tmpfs", 0, NULL) == 0
               ? umount2(in_directory("mount"), MNT_DETACH)
               : -1;
}

static long leave_namespace(void) {
    return unshare(CLONE_NEWUTS);
}

static long load_bpf(void) {
    union bpf_attr attr = {
        .map_type = BPF_MAP_TYPE_ARRAY, .key_size = 4, .value_size = 4, .max_entries = 1};
    return closed(syscall(SYS_bpf, BPF_MAP_CREATE, &attr, sizeof(attr)));
}

static long change_uid(void) {
    return syscall(SYS_setresuid, -1, 65534, -1) == 0 ? syscall(SYS_setresuid, -1, 0, -1) : -1;
}

static long gain_capability(void) {
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct data[2] = {0};
    if (syscall(SYS_capget, &header, data) != 0) {
        return -1;
    }
    data[0].permitted |= 1U << CAP_NET_RAW;
    data[0].effective |= 1U << CAP_NET_RAW;
    return syscall(SYS_capset, &header, data);
}

static long make_keyring(void) {
    return syscall(SYS_keyctl, KEYCTL_GET_KEYRING_ID, KEY_SPEC_PROCESS_KEYRING, 1) < 0 ? -1 : 0;
}

static long set_up_io_uring(void) {
    struct io_uring_params params = {0};
    return closed(syscall(SYS_io_uring_setup, 1, &params));
}

static long become_dumpable(void) {
    return prctl(PR_SET_DUMPABLE, 1, 0, 0, 0) == 0 ? prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) : -1;
}

static long change_root(void) {
    return chroot("/");
}

static long execute(void) {
    char *const words[] = {"sleep", "300", NULL};
    return execve("/bin/sleep", words, NULL);
}

// In the order that tests/e2e/test_sandbox.py counts in.
static const struct {
    const char *name;
    long (*run)(void); // -1 with errno
} TRIALS[] = {
    {"read_file", read_file},
    {"write_file", write_file},
    {"list_directory", list_directory},
    {"fork", fork_child},
    {"execute_memory", execute_memory},
    {"trace_process", trace_process},
    {"read_process", read_process},
    {"signal_process", signal_process},
    {"packet_socket", packet_socket},
    {"raw_socket", raw_socket},
    {"firewall_socket", firewall_socket},
    {"mount", mount_something},
    {"leave_namespace", leave_namespace},
    {"load_bpf", load_bpf},
    {"change_uid", change_uid},
    {"gain_capability", gain_capability},
    {"keyring", make_keyring},
    {"io_uring", set_up_io_uring},
    {"become_dumpable", become_dumpable},
    {"change_root", change_root},
    {"execute", execute},
};

static void on_signal(int number, siginfo_t *info, void *context) {
    (void)number;
    (void)context;
    size_t row = (size_t)info->si_value.sival_int;
    char line[128];
    if (row >= sizeof(TRIALS) / sizeof(TRIALS[0])) {
        return;
    }
    int before = errno;
    errno = 0;
    int errnum = TRIALS[row].run() == 0 ? 0 : errno;
    int len = snprintf(line, sizeof(line), "trial %s %d\n", TRIALS[row].name, errnum);
    if (write(STDERR_FILENO, line, (size_t)len) != len) {
        abort();
    }
    errno = before;
}

__attribute__((constructor)) static void prepare(void) {
    const char *pid = getenv("TRIAL_VICTIM");
    const struct sigaction action = {.sa_sigaction = on_signal,
                                     .sa_flags = SA_SIGINFO | SA_RESTART};
    directory = getenv("TRIAL_DIRECTORY");
    victim = pid == NULL ? 0 : (pid_t)atoi(pid);
    if (directory == NULL || victim <= 0 || sigaction(SIGRTMIN, &action, NULL) != 0) {
        fprintf(stderr, "this program is for a test: TRIAL_DIRECTORY, TRIAL_VICTIM\n");
        exit(2);
    }
}
