/* SPDX-License-Identifier: MIT */
/*
 * Numbers that fade: over many half-lives, and in parts of one.
 */
#include "../test_main.h"

#include "fading.h"

#define S UINT64_C(1000000000)

UNIT_TEST(numbers_fade_over_eras)
{
    struct fading_clock clock;
    struct fading number;
    fading_begin(&clock, S, 5 * S);
    fading_write(&clock, &number, 1024);
    for (uint64_t lives = 1; lives < 1000; lives++) {
        fading_tick(&clock, (5 + lives) * S);
        double wanted = 1024;
        for (uint64_t i = 0; i < lives; i++) {
            wanted /= 2;
        }
        ck_assert_double_eq_tol(fading_read(&clock, &number) / wanted, 1, 1e-9);
        struct fading other;
        fading_write(&clock, &other, 7);
        ck_assert_double_eq_tol(fading_read(&clock, &other), 7, 1e-9);
        ck_assert_double_eq_tol(
            fading_kept(&clock, &number) / fading_kept(&clock, &other) * 7 / wanted, 1, 1e-9);
    }
    ck_assert_double_eq_tol(fading_part(&clock, S), 0.5, 1e-9);
    ck_assert_double_eq_tol(fading_part(&clock, S / 100 - 1), 1 - 0.993092, 1e-6);
    fading_tick(&clock, UINT64_MAX / 2);
    ck_assert_double_eq(fading_kept(&clock, &number), 0);
    ck_assert_double_eq(fading_read(&clock, &number), 0);
}

/* As it is kept, nothing changes while nothing happens. */
UNIT_TEST(what_is_kept_stays)
{
    struct fading_clock clock;
    struct fading number;
    fading_begin(&clock, S, 5 * S);
    fading_tick(&clock, 7 * S);
    fading_write(&clock, &number, 1024);
    double kept = fading_kept(&clock, &number);
    for (uint64_t lives = 8; lives < 500; lives++) {
        fading_tick(&clock, lives * S);
        ck_assert_double_eq(fading_kept(&clock, &number), kept);
    }
}
