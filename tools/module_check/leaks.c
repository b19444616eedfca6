/* SPDX-License-Identifier: MIT */
/*
 * Leaks: the same life again and again. After the first ones what is in use (bytes, files, threads)
 * must not grow; how much of a life is lived tells where what grows was made.
 */
#include "check.h"

#include <dirent.h>
#include <malloc.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

#define WARM_UP   12
#define MARKS     5 /* growth at each of them is a leak */
#define BETWEEN   4 /* lives */
#define SETTLE_MS 2000

size_t __sanitizer_get_current_allocated_bytes(void) __attribute__((weak));

static double bytes_in_use(void)
{
    if (__sanitizer_get_current_allocated_bytes != NULL) {
        return (double)__sanitizer_get_current_allocated_bytes();
    }
#if defined(__GLIBC__)
    struct mallinfo2 info = mallinfo2();
    return (double)info.uordblks + (double)info.hblkhd;
#else
    return 0;
#endif
}

static double entries(const char *path)
{
    DIR *dir = opendir(path);
    double count = 0;
    while (dir != NULL && readdir(dir) != NULL) {
        count++;
    }
    if (dir != NULL) {
        closedir(dir);
    }
    return count;
}

static struct growth in_use(void)
{
    return (struct growth){bytes_in_use(), entries("/proc/self/fd"), entries("/proc/self/task")};
}

/* Threads that are told to end need a moment; those that nobody tells would take it each time. */
static void settle(double threads, unsigned *left_ms)
{
    const struct timespec moment = {0, 10000000};
    while (*left_ms >= 10 && entries("/proc/self/task") > threads) {
        child_beats();
        nanosleep(&moment, NULL);
        *left_ms -= 10;
    }
}

static double least_step(const double *marks)
{
    double least = marks[1] - marks[0];
    for (int i = 2; i <= MARKS; i++) {
        double step = marks[i] - marks[i - 1];
        least = step < least ? step : least;
    }
    return least > 0 ? least / BETWEEN : 0;
}

struct growth measure_growth(void (*once)(void *arg), void *arg)
{
    double bytes[MARKS + 1], files[MARKS + 1], threads[MARKS + 1];
    unsigned settle_ms = SETTLE_MS;

    for (int i = 0; i < WARM_UP; i++) {
        child_beats();
        once(arg);
    }
    double before = entries("/proc/self/task");
    for (int i = 0; i <= MARKS; i++) {
        for (int k = 0; i > 0 && k < BETWEEN; k++) {
            child_beats();
            once(arg);
        }
        settle(before, &settle_ms);
        struct growth now = in_use();
        bytes[i] = now.bytes;
        files[i] = now.files;
        threads[i] = now.threads;
        before = now.threads;
    }
    return (struct growth){least_step(bytes), least_step(files), least_step(threads)};
}

void tell_growth(const struct growth *before, const struct growth *now, const char *where,
                 const char *right)
{
    if (now->bytes > before->bytes) {
        tell(where, right, "it loses %.0f bytes each time", now->bytes - before->bytes);
    }
    if (now->files > before->files) {
        tell(where, "close what was opened", "it leaves %.1f open files each time",
             now->files - before->files);
    }
    if (now->threads > before->threads) {
        tell(where, "end and join each thread that was begun",
             "it leaves %.1f threads that run each time", now->threads - before->threads);
    }
}

struct once {
    const struct job *job;
    const struct weir_module *module;
    uint64_t seed;
    enum depth depth;
};

static void one_life(void *arg)
{
    const struct once *once = arg;
    live(once->job, once->module, once->seed, 60, once->depth);
}

void test_leaks(const struct job *job)
{
    static const struct {
        const char *where, *right;
    } stages[] = {
        [DEPTH_CONF] = {"conf_create and conf_free", "conf_free frees what conf_create has made"},
        [DEPTH_INSTANCE] =
            {"create and destroy",
             "destroy frees what create has made, worker_stop what worker_start has"},
        [DEPTH_CALLS] = {"the calls between create and destroy",
                         "destroy frees what is left of the calls"},
    };
    struct once once = {.job = job, .module = child_load(job)};
    /* What load has made is there for good, since nothing ends it. */
    struct growth before = measure_growth(one_life, &once);

    /* Two seeds: plain ones, and options at random. */
    for (int depth = DEPTH_CONF; depth <= DEPTH_CALLS; depth++) {
        struct growth most = before;
        for (once.seed = 1; once.seed <= 2; once.seed++) {
            once.depth = (enum depth)depth;
            struct growth now = measure_growth(one_life, &once);
            most.bytes = now.bytes > most.bytes ? now.bytes : most.bytes;
            most.files = now.files > most.files ? now.files : most.files;
            most.threads = now.threads > most.threads ? now.threads : most.threads;
        }
        tell_growth(&before, &most, stages[depth].where, stages[depth].right);
        before = most;
    }
}
