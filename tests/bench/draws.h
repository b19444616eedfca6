/* SPDX-License-Identifier: MIT */
/* Draws of the balancing benchmark: the same for a seed on every machine. */

#ifndef BENCH_DRAWS_H
#define BENCH_DRAWS_H

#include <math.h>
#include <stdint.h>

/* splitmix64: well spread for any seed. */
struct draws {
    uint64_t state;
};

static inline uint32_t draw(struct draws *draws)
{
    uint64_t z = draws->state += 0x9e3779b97f4a7c15ULL;

    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9ULL;
    z = (z ^ z >> 27) * 0x94d049bb133111ebULL;
    return (uint32_t)((z ^ z >> 31) >> 32);
}

/* What an exponential distribution of this mean has below it a share of `at` of 2^32. */
static inline double exponential(double mean, uint32_t at)
{
    return -mean * log1p(-((double)at + 0.5) / 4294967296.0);
}

#endif
