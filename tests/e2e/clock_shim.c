/* SPDX-License-Identifier: MIT */
/*
 * A system clock that a test sets back and forth, for one process: loaded by LD_PRELOAD, it adds to
 * what the real clock says the seconds that stand in the file that WEIR_TEST_CLOCK names (eight
 * bytes, in the machine's order). The monotonic clock is left alone, as the kernel does.
 */
#include <fcntl.h>
#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#define VISIBLE __attribute__((visibility("default")))

static const int64_t *offset;
static pthread_once_t once = PTHREAD_ONCE_INIT;

static void open_offset(void)
{
    static const int64_t nothing = 0;
    const char *path = getenv("WEIR_TEST_CLOCK");
    int fd = path != NULL ? open(path, O_RDONLY | O_CLOEXEC) : -1;
    void *memory =
        fd != -1 ? mmap(NULL, sizeof(*offset), PROT_READ, MAP_SHARED, fd, 0) : MAP_FAILED;

    if (fd != -1) {
        close(fd);
    }
    offset = memory != MAP_FAILED ? memory : &nothing;
}

static int64_t shift(void)
{
    pthread_once(&once, open_offset);
    return __atomic_load_n(offset, __ATOMIC_RELAXED);
}

VISIBLE int clock_gettime(clockid_t clock, struct timespec *now)
{
    int result = (int)syscall(SYS_clock_gettime, clock, now);

    if (result == 0 && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE)) {
        now->tv_sec += (time_t)shift();
    }
    return result;
}

VISIBLE time_t time(time_t *out)
{
    struct timespec now;

    clock_gettime(CLOCK_REALTIME, &now);
    if (out != NULL) {
        *out = now.tv_sec;
    }
    return now.tv_sec;
}

VISIBLE int gettimeofday(struct timeval *restrict out, void *restrict zone)
{
    struct timespec now;
    (void)zone;

    clock_gettime(CLOCK_REALTIME, &now);
    out->tv_sec = now.tv_sec;
    out->tv_usec = now.tv_nsec / 1000;
    return 0;
}
