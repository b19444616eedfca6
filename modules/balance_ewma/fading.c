/* SPDX-License-Identifier: MIT */
/* See fading.h. */
#include "fading.h"

#include <math.h>

/* Half-lives an era lasts: what is written at its end is kept 2^512 times as large as it is, which
 * a double can hold with room to spare. When it ends all that is kept changes at once. */
#define ERA 512

/* Steps a half-life has. */
#define STEPS 64

void fading_begin(struct fading_clock *clock, uint64_t half_life_ns, uint64_t now_ns)
{
    clock->half_life_ns = (double)half_life_ns;
    clock->factor = clock->inverse = 1;
    clock->step_ns = half_life_ns / STEPS;
    clock->next_ns = now_ns + clock->step_ns;
    clock->era_ns = now_ns;
    clock->era = 1; /* zeroed memory is of none */
}

void fading_step(struct fading_clock *clock, uint64_t now_ns)
{
    double lives = (double)(now_ns - clock->era_ns) / clock->half_life_ns;

    if (lives >= ERA) {
        double eras = floor(lives / ERA);
        clock->era += (uint32_t)fmin(eras, 1e6);
        clock->era_ns += (uint64_t)(eras * ERA * clock->half_life_ns);
        clock->era_ns = clock->era_ns < now_ns ? clock->era_ns : now_ns; /* rounding */
        lives = (double)(now_ns - clock->era_ns) / clock->half_life_ns;
    }
    clock->factor = exp2(-lives);
    clock->inverse = 1 / clock->factor;
    clock->next_ns = now_ns + clock->step_ns;
}

double fading_part(const struct fading_clock *clock, uint64_t ns)
{
    double lives = (double)ns / clock->half_life_ns;

    /* 1 - 2^-lives; of a small one two terms of the series are exact to a millionth. */
    return lives < 0.01 ? lives * (M_LN2 - M_LN2 * M_LN2 / 2 * lives) : 1 - exp2(-lives);
}

double fading_read_old(const struct fading_clock *clock, const struct fading *fading)
{
    uint32_t eras = clock->era - fading->era;
    return eras > 2 ? 0 : ldexp(fading->value * clock->factor, -(int)eras * ERA);
}
