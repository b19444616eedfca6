/* SPDX-License-Identifier: MIT */
/* The retry budget: a share of a sliding window, and a few more. */
#include "proxy/pool/retry_budget.h"
#include "runner.h"

#define SECOND NS_PER_SECOND

static unsigned take_all(struct retry_budget *budget, uint64_t now_ns, double share,
                         unsigned workers)
{
    unsigned taken = 0;
    while (taken < 100000 && retry_budget_take(budget, now_ns, share, workers)) {
        taken++;
    }
    return taken;
}

UNIT_TEST(share_of_requests)
{
    struct retry_budget budget = {0};
    for (int i = 0; i < 1000; i++) {
        retry_budget_request(&budget, 7000 * SECOND);
    }
    ck_assert_uint_eq(take_all(&budget, 7000 * SECOND, 0.2, 1), 210);
    ck_assert_uint_eq(take_all(&budget, 7009 * SECOND, 0.2, 1), 0);
    /* Requests and retries have left the window: the few are there again. */
    ck_assert_uint_eq(take_all(&budget, 7010 * SECOND, 0.2, 1), 10);
}

UNIT_TEST(few_are_divided)
{
    for (unsigned workers = 1; workers <= 64; workers++) {
        struct retry_budget budget = {0};
        unsigned few = workers < 10 ? 10 / workers : 1;
        ck_assert_uint_eq(take_all(&budget, 5 * SECOND, 0.5, workers), few);
        ck_assert_uint_eq(take_all(&budget, 5 * SECOND, 0, workers), 0);
    }
}

/* Whatever the traffic: in no ten seconds are there more retries than the share of the requests of
 * the twenty seconds around them, and the few. */
UNIT_TEST(bounded_in_every_window)
{
    struct retry_budget budget = {0};
    unsigned requests[400] = {0};
    unsigned retries[400] = {0};
    unsigned seed = 1;

    for (unsigned second = 20; second < 400; second++) {
        seed = seed * 1103515245 + 12345;
        unsigned count = (seed >> 16) % 300 < 20 ? 2000 : (seed >> 20) % 40;
        for (unsigned i = 0; i < count; i++) {
            uint64_t now_ns = second * SECOND + i;
            retry_budget_request(&budget, now_ns);
            requests[second]++;
            retries[second] += retry_budget_take(&budget, now_ns, 0.1, 1);
        }
    }
    for (unsigned second = 30; second < 400; second++) {
        unsigned sum = 0;
        unsigned around = 0;
        for (unsigned i = second - 9; i <= second; i++) {
            sum += retries[i];
        }
        for (unsigned i = second - 19; i <= second; i++) {
            around += requests[i];
        }
        ck_assert_uint_le(sum, around / 10 + 10);
    }
}

/* A clock that stands still for years, and one that never ran. */
UNIT_TEST(long_pauses)
{
    struct retry_budget budget = {0};
    retry_budget_request(&budget, 0);
    ck_assert(retry_budget_take(&budget, 0, 1, 1));
    ck_assert(retry_budget_take(&budget, UINT64_C(1) << 62, 0, 1));
    ck_assert_uint_eq(budget.request_sum, 0);
    ck_assert_uint_eq(budget.retry_sum, 1);
}
