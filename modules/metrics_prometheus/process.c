/* SPDX-License-Identifier: MIT */
/*
 * Reading /proc/self.
 */
#include "process.h"

#include <dirent.h>
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

static double cpu_seconds(void)
{
    struct rusage usage;

    if (getrusage(RUSAGE_SELF, &usage) != 0) {
        return NAN;
    }
    return (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
           (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
}

/* Bytes of memory: the first number of statm is all of it, the second what is resident. */
static double memory(bool resident)
{
    unsigned long pages[2] = {0, 0};
    FILE *file = fopen("/proc/self/statm", "re");
    bool read = file != NULL && fscanf(file, "%lu %lu", &pages[0], &pages[1]) == 2;

    if (file != NULL) {
        fclose(file);
    }
    return read ? (double)pages[resident] * (double)sysconf(_SC_PAGESIZE) : (double)NAN;
}

static double open_fds(void)
{
    DIR *dir = opendir("/proc/self/fd");
    double count = -1; /* the folder's own */

    if (dir == NULL) {
        return NAN;
    }
    for (const struct dirent *entry = readdir(dir); entry != NULL; entry = readdir(dir)) {
        count += entry->d_name[0] != '.';
    }
    closedir(dir);
    return count;
}

static double max_fds(void)
{
    struct rlimit limit;
    return getrlimit(RLIMIT_NOFILE, &limit) == 0 ? (double)limit.rlim_cur : (double)NAN;
}

double process_value(const char *name)
{
    if (strcmp(name, "process_cpu_seconds") == 0) {
        return cpu_seconds();
    }
    if (strcmp(name, "process_resident_memory_bytes") == 0) {
        return memory(true);
    }
    if (strcmp(name, "process_virtual_memory_bytes") == 0) {
        return memory(false);
    }
    return strcmp(name, "process_open_fds") == 0 ? open_fds() : max_fds();
}
