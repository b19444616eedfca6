/* SPDX-License-Identifier: MIT */
/*
 * An allocator that counts, for one process: loaded by LD_PRELOAD, it adds up the allocations of
 * all threads in the file that WEIR_TEST_MALLOCS names (a number of eight bytes, in the machine's
 * order).
 *
 * The memory comes from the C library, so its free() needs no wrapper.
 */
#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#define VISIBLE __attribute__((visibility("default")))

/* The C library's own names of its allocator, which stand for it while the public ones are ours. */
void *__libc_malloc(size_t len);
void *__libc_calloc(size_t count, size_t len);
void *__libc_realloc(void *memory, size_t len);
void *__libc_memalign(size_t alignment, size_t len);

static uint64_t before_start; /* counted until the file is there; nobody reads it */
static uint64_t *counter = &before_start;

__attribute__((constructor)) static void open_counter(void)
{
    const char *path = getenv("WEIR_TEST_MALLOCS");
    int fd = path != NULL ? open(path, O_RDWR | O_CLOEXEC) : -1;
    void *memory = fd != -1
                       ? mmap(NULL, sizeof(before_start), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0)
                       : MAP_FAILED;

    if (fd != -1) {
        close(fd);
    }
    if (memory != MAP_FAILED) {
        counter = memory;
    }
}

static void count_one(void)
{
    __atomic_fetch_add(counter, 1, __ATOMIC_RELAXED);
}

VISIBLE void *malloc(size_t len)
{
    count_one();
    return __libc_malloc(len);
}

VISIBLE void *calloc(size_t count, size_t len)
{
    count_one();
    return __libc_calloc(count, len);
}

/* Counts reallocarray() too, which calls it. */
VISIBLE void *realloc(void *memory, size_t len)
{
    count_one();
    return __libc_realloc(memory, len);
}

VISIBLE void *memalign(size_t alignment, size_t len)
{
    count_one();
    return __libc_memalign(alignment, len);
}

VISIBLE void *aligned_alloc(size_t alignment, size_t len)
{
    return memalign(alignment, len);
}

VISIBLE int posix_memalign(void **out, size_t alignment, size_t len)
{
    if (alignment == 0 || alignment % sizeof(void *) != 0 || (alignment & (alignment - 1)) != 0) {
        return EINVAL;
    }
    void *memory = memalign(alignment, len);
    if (memory == NULL) {
        return ENOMEM;
    }
    *out = memory;
    return 0;
}
