#include "agent/control/footprint.h"

#include <link.h>
#include <malloc.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define UNUSED_MAX ((size_t)32 << 20)

// Only segments that were never writable: their pages are the file's own. Relocated data, read-only
// by now, is not.
static int let_go(struct dl_phdr_info *object, size_t size, void *arg) {
    (void)size;
    (void)arg;
    if (strncmp(object->dlpi_name, "linux-vdso", strlen("linux-vdso")) == 0) {
        return 0; // the kernel's, no file's
    }
    uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);
    for (size_t i = 0; i < object->dlpi_phnum; i++) {
        const ElfW(Phdr) *segment = &object->dlpi_phdr[i];
        if (segment->p_type != PT_LOAD || (segment->p_flags & PF_W) != 0) {
            continue;
        }
        uintptr_t start = (object->dlpi_addr + segment->p_vaddr + page - 1) & ~(page - 1);
        uintptr_t end = (object->dlpi_addr + segment->p_vaddr + segment->p_memsz) & ~(page - 1);
        if (start < end) {
            (void)madvise((void *)start, end - start, MADV_DONTNEED); // it only saves
        }
    }
    return 0;
}

void footprint_settle(void) {
    struct mallinfo2 heap = mallinfo2();
    if (heap.fordblks > UNUSED_MAX && heap.fordblks > heap.uordblks) {
        (void)malloc_trim(0);
    }
}

void footprint_trim(void) {
    (void)malloc_trim(0);
    (void)dl_iterate_phdr(let_go, NULL);
}
