/* SPDX-License-Identifier: MIT */
/*
 * Numbers that halve each time a half-life has passed, all of an instance at once: a number is kept
 * as if it had been written at the beginning of an era, and one factor brings all to the present.
 * So a look at one costs a multiplication. The factor moves on in steps of a sixty-fourth of the
 * half-life at least. What is to be compared alone need not be brought to the present: as they are
 * kept, numbers that nobody writes stay the same for an era, and so does a heap of them.
 */
#ifndef BALANCE_EWMA_FADING_H
#define BALANCE_EWMA_FADING_H

#include <stdint.h>

struct fading_clock {
    double half_life_ns;
    double factor;             /* from the era's beginning to the last step, in (2^-512, 1] */
    double inverse;            /* 1 / factor */
    uint64_t step_ns, next_ns; /* how long a step takes at least, and when it is over */
    uint64_t era_ns;           /* when the era began */
    uint32_t era;
};

struct fading {
    double value; /* as if written at the beginning of `era`; 0: nothing */
    uint32_t era;
};

void fading_begin(struct fading_clock *clock, uint64_t half_life_ns, uint64_t now_ns);

void fading_step(struct fading_clock *clock, uint64_t now_ns);

/* Time has passed. */
static inline void fading_tick(struct fading_clock *clock, uint64_t now_ns)
{
    if (__builtin_expect(now_ns >= clock->next_ns, 0)) {
        fading_step(clock, now_ns);
    }
}

/* The part of a number that fades within `ns`. */
double fading_part(const struct fading_clock *clock, uint64_t ns);

/* One of an earlier era. */
double fading_read_old(const struct fading_clock *clock, const struct fading *fading);

static inline double fading_read(const struct fading_clock *clock, const struct fading *fading)
{
    if (__builtin_expect(fading->era != clock->era, 0)) {
        return fading_read_old(clock, fading);
    }
    return fading->value * clock->factor;
}

/* The number as it is kept, in terms of the era's beginning: time alone does not change it within
 * an era, and numbers compare as fading_read gives them. */
static inline double fading_kept(const struct fading_clock *clock, const struct fading *fading)
{
    if (__builtin_expect(fading->era != clock->era, 0)) {
        return fading_read_old(clock, fading) * clock->inverse;
    }
    return fading->value;
}

static inline void fading_write(const struct fading_clock *clock, struct fading *fading,
                                double value)
{
    fading->value = value * clock->inverse;
    fading->era = clock->era;
}

#endif
