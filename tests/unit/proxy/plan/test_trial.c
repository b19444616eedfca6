/* SPDX-License-Identifier: MIT */
/* trial.c: shares without chance, and counts by class of servers. */
#include "proxy/plan/trial.h"
#include "runner.h"

static struct trial *trial;

static unsigned turns(unsigned loop, unsigned picks)
{
    unsigned count = 0;
    for (unsigned i = 0; i < picks; i++) {
        count += trial_turn(trial, &trial->locals[loop]);
    }
    return count;
}

static void tear_down(void)
{
    trial_unref(&trial);
}

UNIT_TEST(shares_are_exact)
{
    static const double shares[] = {0.001, 0.05, 0.1, 0.3, 0.5, 0.9};
    for (size_t i = 0; i < ARRAY_COUNT(shares); i++) {
        trial = trial_new(1, shares[i]);
        for (unsigned n = 1; n <= 20; n++) {
            double wanted = shares[i] * 1000;
            ck_assert_uint_eq(turns(0, 1000), (unsigned)(wanted + 0.5));
        }
        trial_unref(&trial);
    }
}

/* Never two in a row, where that is not the share: no burst decides. */
UNIT_TEST(turns_are_spread)
{
    trial = trial_new(3, 0.2);
    for (unsigned loop = 0; loop < 3; loop++) {
        for (unsigned i = 0; i < 100; i++) {
            ck_assert_uint_eq(turns(loop, 5), 1);
        }
    }
    ck_assert(trial->locals[0].credit != trial->locals[1].credit);
    atomic_store(&trial->share, 0);
    ck_assert_uint_eq(turns(0, 1000), 0);
}

UNIT_TEST(counts_are_summed_by_class)
{
    struct trial_counts counts[TRIAL_CLASSES] = {{0}};
    uint64_t picks = 0;
    trial = trial_new(2, 0.5);
    trial->locals[0].picks[ARM_NEW] = 2;
    trial->locals[1].picks[ARM_NEW] = 1;
    trial_count(&trial->locals[0], ARM_NEW, 900, false, 1000000);
    trial_count(&trial->locals[0], ARM_NEW, 3000, true, 0);
    trial_count(&trial->locals[1], ARM_NEW, 9000000, false, 1000000);
    trial_count(&trial->locals[1], ARM_OLD, 900, false, 1000000);
    trial_sum(trial, ARM_NEW, &picks, counts);
    ck_assert_uint_eq(picks, 3);
    ck_assert_uint_eq(counts[0].requests, 1);
    ck_assert_uint_eq(counts[1].requests, 1);
    ck_assert_uint_eq(counts[1].errors, 1);
    ck_assert_uint_eq(counts[1].first_byte.count, 0);
    ck_assert_uint_eq(counts[TRIAL_CLASSES - 1].requests, 1);
    ck_assert_uint_eq(trial_class_ms(0), 1);
    ck_assert_uint_eq(trial_class_ms(TRIAL_CLASSES - 1), 0);
}

UNIT_FIXTURE(NULL, tear_down);
