/* SPDX-License-Identifier: MIT */
/*
 * Distributions and phases. Each request has draws of its own, by its number: so all balancers get
 * the same requests, however they choose, and their results differ by the choice alone.
 */
#include "sim.h"

#include <math.h>
#include <stdlib.h>

double draw(uint64_t seed, uint64_t request, uint32_t what)
{
    uint64_t x = seed + (request * 8 + what + 1) * UINT64_C(0x9e3779b97f4a7c15); /* splitmix64 */

    x = (x ^ (x >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    x = (x ^ (x >> 27)) * UINT64_C(0x94d049bb133111eb);
    x ^= x >> 31;
    return (double)(x >> 11) / 9007199254740992.0; /* 2^53 */
}

uint64_t draw_time(const struct spread *spread, double u, double v)
{
    double ns = spread->from;

    switch (spread->kind) {
    case CONSTANT: break;
    case EXPONENTIAL: ns = -log1p(-u) * spread->from; break;
    case UNIFORM: ns = spread->from + u * (spread->to - spread->from); break;
    case LOGNORMAL: /* Box-Muller */
        ns = spread->from * exp(spread->sigma * sqrt(-2 * log1p(-u)) * cos(2 * M_PI * v));
        break;
    }
    return (uint64_t)ns;
}

double phase_at(const struct phase *phases, uint32_t count, uint64_t at, double fallback)
{
    for (uint32_t i = count; i-- > 0;) {
        if (at >= phases[i].from && at < phases[i].until) {
            return phases[i].factor;
        }
    }
    return fallback;
}

uint64_t work_until(const struct server_model *server, uint64_t at, uint64_t ns)
{
    bool again = true;

    while (again) { /* freezes in any order, and one may lie in another */
        again = false;
        for (uint32_t i = 0; i < server->phase_count; i++) {
            const struct phase *freeze = &server->phases[i];
            if (isfinite(freeze->factor) || freeze->until <= at || freeze->from >= at + ns) {
                continue;
            }
            if (freeze->from > at) { /* what is before it is done */
                ns -= freeze->from - at;
            }
            at = freeze->until;
            again = true;
            break;
        }
    }
    return at + ns;
}

struct arrival *poisson_arrivals(const struct rate_step *steps, size_t step_count, size_t count,
                                 uint32_t clients, uint64_t seed)
{
    struct arrival *arrivals = need(calloc(count > 0 ? count : 1, sizeof(*arrivals)));
    double at = 0;

    for (size_t i = 0, step = 0; i < count; i++) {
        /* What is left of the gap when the rate changes is stretched by the ratio. */
        double gap = -log1p(-draw(seed, i, 0));
        while (step + 1 < step_count &&
               at + gap / steps[step].per_second * 1e9 >= (double)steps[step].until) {
            gap -= ((double)steps[step].until - at) / 1e9 * steps[step].per_second;
            at = (double)steps[step++].until;
        }
        at += gap / steps[step].per_second * 1e9;
        arrivals[i] = (struct arrival){
            .at = (uint64_t)at,
            .client = (uint32_t)(draw(seed, i, 1) * clients),
            .sample = -1,
        };
    }
    return arrivals;
}
