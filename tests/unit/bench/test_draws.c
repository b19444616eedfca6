/* SPDX-License-Identifier: MIT */
/* Draws of the balancing benchmark: the same for a seed, evenly spread; arrivals are Poisson. */
#include "runner.h"

#include "draws.h"

#define COUNT 1000000

UNIT_TEST(a_seed_gives_the_same_draws)
{
    struct draws one = {7}, same = {7}, other = {8};
    unsigned equal = 0;

    for (int i = 0; i < 1000; i++) {
        uint32_t value = draw(&one);

        ck_assert_uint_eq(value, draw(&same));
        equal += value == draw(&other);
    }
    ck_assert_uint_eq(equal, 0);
}

/* Chi-squared of 256 cells: of 255 degrees of freedom, 99.99 % of all are below 347. */
UNIT_LOOP_TEST(draws_are_spread_evenly, 5)
{
    struct draws draws = {(uint64_t)_i};
    unsigned cells[256] = {0};
    double sum = 0;

    for (int i = 0; i < COUNT; i++) {
        cells[draw(&draws) >> 24]++;
    }
    for (int i = 0; i < 256; i++) {
        double expected = COUNT / 256.0;

        sum += (cells[i] - expected) * (cells[i] - expected) / expected;
    }
    ck_assert_double_lt(sum, 347);
}

UNIT_TEST(an_exponential_has_its_quantiles)
{
    ck_assert_double_eq_tol(exponential(10, 1U << 31), 10 * log(2), 1e-6);
    ck_assert_double_eq_tol(exponential(10, 3U << 30), 10 * log(4), 1e-6);
    ck_assert_double_gt(exponential(10, 0), 0);
    ck_assert(isfinite(exponential(10, UINT32_MAX)));
}

/* As many arrivals as the rate says, and their number in an interval varies as much as it is: a
 * steady beat would vary by nothing. */
UNIT_TEST(arrivals_are_poisson)
{
    struct draws draws = {1};
    double at = 0, sum = 0, squares = 0;
    int intervals = 0, inside = 0;

    while (intervals < COUNT / 10) {
        at += exponential(1, draw(&draws));
        while (at >= (intervals + 1) * 10.0) {
            sum += inside;
            squares += (double)inside * inside;
            inside = 0;
            intervals++;
        }
        inside++;
    }
    ck_assert_double_eq_tol(sum / intervals, 10, 0.05);
    ck_assert_double_eq_tol(squares / intervals - sum / intervals * sum / intervals, 10, 0.3);
}
