/* SPDX-License-Identifier: MIT */
/*
 * Memory that goes back to the kernel. See trim.h.
 */
#include "base/trim.h"

#include <fcntl.h>
#include <malloc.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/poison.h"

/* Less above the rest is not worth it. */
#define SPARE_LEAST_KIB 4096u
/* A second with less is calm. */
#define GROWTH_KIB 1024u
/* Seconds of calm that it takes, the first time and at most: twice as many each time. */
#define PATIENCE      5u
#define PATIENCE_MOST 320u

bool trim_due(struct trim *trim, size_t kib)
{
    bool grows = kib > trim->last_kib + GROWTH_KIB;

    if (trim->patience == 0) {
        trim->patience = PATIENCE;
        trim->rest_kib = kib;
    }
    trim->rest_kib = kib < trim->rest_kib ? kib : trim->rest_kib;
    trim->last_kib = kib;
    trim->calm = grows ? 0 : trim->calm + 1;
    if (kib < trim->rest_kib + SPARE_LEAST_KIB || trim->calm < trim->patience) {
        return false;
    }
    trim->calm = 0;
    trim->patience = trim->patience < PATIENCE_MOST ? 2 * trim->patience : PATIENCE_MOST;
    return true;
}

/* Of this process; 0: unknown. */
static size_t resident_kib(void)
{
    char text[128], *end = NULL;
    int fd = open("/proc/self/statm", O_RDONLY | O_CLOEXEC);
    ssize_t len = fd >= 0 ? read(fd, text, sizeof(text) - 1) : 0;

    if (fd >= 0) {
        close(fd);
    }
    if (len <= 0) {
        return 0;
    }
    text[len] = '\0';
    (void)strtoul(text, &end, 10); /* the size of the address space */
    return strtoul(end, NULL, 10) * ((size_t)sysconf(_SC_PAGESIZE) / 1024);
}

void trim_second(struct trim *trim)
{
    size_t kib = POISON_WORKS ? 0 : resident_kib();

    if (kib > 0 && trim_due(trim, kib)) {
        (void)malloc_trim(0);
        trim->rest_kib = trim->last_kib = resident_kib();
    }
}
