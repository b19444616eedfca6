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

/* The hiccup of number `number`: somewhere in its own interval, exponential, and no longer than an
 * interval. */
static struct phase hiccup_at(const struct server_model *server, uint64_t seed, uint64_t number)
{
    double every = (double)server->hiccup_every;
    double length = -log1p(-draw(seed, number, 7)) * (double)server->hiccup;
    uint64_t from = number * server->hiccup_every + (uint64_t)(draw(seed, number, 6) * every);

    return (struct phase){from, from + (uint64_t)fmin(length, every), INFINITY};
}

/* The next time that it stands still in [at, until). */
static bool stands_still(const struct server_model *server, uint64_t seed, uint64_t at,
                         uint64_t until, struct phase *still)
{
    for (uint32_t i = 0; i < server->phase_count; i++) {
        *still = server->phases[i];
        if (!isfinite(still->factor) && still->until > at && still->from < until) {
            return true;
        }
    }
    for (uint64_t i = server->hiccup > 0 ? at / server->hiccup_every : NEVER;
         i < NEVER && i * server->hiccup_every < until; i++) {
        /* One of the interval before may last. */
        for (uint64_t back = i > 0 ? 1 : 0; back < 2; back--) {
            *still = hiccup_at(server, seed, i - back);
            if (still->until > at && still->from < until) {
                return true;
            }
        }
    }
    return false;
}

uint64_t work_until(const struct server_model *server, uint64_t seed, uint64_t at, uint64_t ns)
{
    struct phase still;

    while (stands_still(server, seed, at, at + ns,
                        &still)) { /* in any order; one may lie in another */
        if (still.from > at) {     /* what is before it is done */
            ns -= still.from - at;
        }
        at = still.until;
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
