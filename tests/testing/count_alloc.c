// Counts a program's allocations from outside: loaded by LD_PRELOAD, writes into the file that
// COUNT_ALLOC names. A test maps that file and reads while the program runs. The file is
// {allocations, frees, bytes in use}, each a native 64-bit number.
#include <fcntl.h>
#include <malloc.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

struct counts {
    _Atomic uint64_t allocations;
    _Atomic uint64_t frees;
    _Atomic uint64_t bytes;
};

// glibc's own names: no look-up, which would itself allocate.
void *__libc_malloc(size_t size);
void *__libc_calloc(size_t num, size_t size);
void *__libc_realloc(void *old, size_t size);
void *__libc_memalign(size_t alignment, size_t size);
void __libc_free(void *mem);

// What comes before the constructor stays here; it is start-up, which no test counts.
static struct counts early;
static struct counts *counts = &early;

__attribute__((constructor)) static void open_file(void) {
    const char *path = getenv("COUNT_ALLOC");
    int fd = path == NULL ? -1 : open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0 || ftruncate(fd, sizeof(*counts)) != 0) {
        _exit(127); // a test that counts nothing must not pass
    }
    void *mem = mmap(NULL, sizeof(*counts), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    close(fd);
    if (mem == MAP_FAILED) {
        _exit(127);
    }
    counts = mem;
}

static void *got(void *mem) {
    if (mem != NULL) {
        atomic_fetch_add_explicit(&counts->allocations, 1, memory_order_relaxed);
        atomic_fetch_add_explicit(&counts->bytes, malloc_usable_size(mem), memory_order_relaxed);
    }
    return mem;
}

static void gone(void *mem) {
    if (mem != NULL) {
        atomic_fetch_add_explicit(&counts->frees, 1, memory_order_relaxed);
        atomic_fetch_sub_explicit(&counts->bytes, malloc_usable_size(mem), memory_order_relaxed);
    }
}

void *malloc(size_t size) {
    return got(__libc_malloc(size));
}

void *calloc(size_t num, size_t size) {
    return got(__libc_calloc(num, size));
}

void *realloc(void *old, size_t size) {
    gone(old);
    return got(__libc_realloc(old, size));
}

void *aligned_alloc(size_t alignment, size_t size) {
    return got(__libc_memalign(alignment, size));
}

void *memalign(size_t alignment, size_t size) {
    return got(__libc_memalign(alignment, size));
}

int posix_memalign(void **out, size_t alignment, size_t size) {
    void *mem = got(__libc_memalign(alignment, size));
    if (mem == NULL) {
        return 12; // ENOMEM
    }
    *out = mem;
    return 0;
}

void free(void *mem) {
    gone(mem);
    __libc_free(mem);
}
