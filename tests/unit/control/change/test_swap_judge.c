/* SPDX-License-Identifier: MIT */
/* swap_judge.c: what is worse shows, and chance does not. */
#include "control/change/swap_judge.h"
#include "runner.h"

#include <math.h>
#include <stdlib.h>

static struct judged now, old;

static void set_up(void)
{
    now = old = (struct judged){0};
}

static uint64_t state;

/* The same numbers in each run: xorshift, 0 to 1. */
static double random_share(void)
{
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return (double)(state >> 11) / (double)(UINT64_C(1) << 53);
}

static void answer(struct judged *to, double ms)
{
    to->requests++;
    histogram_add(&to->first_byte, (uint64_t)(ms * 1e6));
}

static void expect(const char *words)
{
    char *why = judge(&now, &old, 2, 1.5);
    ck_assert_msg((why != NULL) == (words != NULL), "%s", why != NULL ? why : "nothing");
    ck_assert(words == NULL || strstr(why, words) != NULL);
    free(why);
}

UNIT_TEST(nothing_known_is_nothing_said)
{
    expect(NULL);
    now.requests = now.errors = 3; /* the other copy has had none yet */
    expect(NULL);
}

UNIT_TEST(some_failures_in_a_row_show)
{
    old.requests = 60;
    now.requests = now.errors = 2;
    expect(NULL);
    now.requests = now.errors = 4;
    expect("4 of 4 requests failed");
}

UNIT_TEST(failures_of_both_are_no_fault)
{
    old.requests = 1000, old.errors = 200;
    now.requests = 50, now.errors = 12;
    expect(NULL);
    now.errors = 40;
    expect("40 of 50");
}

/* Every look of many trials of two copies that are the same: none is taken for worse. */
UNIT_TEST(chance_decides_nothing)
{
    for (unsigned trial = 0; trial < 200; trial++) {
        set_up();
        state = 88172645463325252 + trial * UINT64_C(0x9e3779b97f4a7c15);
        for (unsigned i = 0; i < 5000; i++) {
            struct judged *to = i % 20 == 0 ? &now : &old;
            answer(to, -10 * log(random_share()));
            to->errors += random_share() < 0.01;
            if (i % 25 == 0) {
                expect(NULL);
            }
        }
    }
}

static unsigned requests_until_told(double slower)
{
    set_up();
    state = 88172645463325252;
    for (unsigned i = 0; i < 100000; i++) {
        char *why = NULL;
        answer(i % 20 == 0 ? &now : &old, -10 * log(random_share()) * (i % 20 == 0 ? slower : 1));
        if (i % 20 == 0 && (why = judge(&now, &old, 2, 1.5)) != NULL) {
            free(why);
            return (unsigned)now.requests;
        }
    }
    return 0;
}

UNIT_TEST(the_slower_the_sooner)
{
    unsigned ten = requests_until_told(10), three = requests_until_told(3);
    ck_assert_uint_gt(ten, 0);
    ck_assert_uint_lt(ten, 60);
    ck_assert_uint_gt(three, ten);
    ck_assert_uint_lt(three, 400);
    ck_assert_uint_eq(requests_until_told(1.2), 0);
}

/* A tail that only one in fifty requests has. */
UNIT_TEST(a_tail_shows_in_p99)
{
    for (unsigned i = 0; i < 40000; i++) {
        answer(i % 20 == 0 ? &now : &old, i % 20 == 0 && i / 20 % 50 < 3 ? 500 : 10);
    }
    expect("p99");
}

UNIT_TEST(what_is_not_asked_for_is_not_looked_at)
{
    old.requests = 1000;
    now.requests = now.errors = 100;
    ck_assert_ptr_null(judge(&now, &old, 0, 1.5));
}

UNIT_FIXTURE(set_up, NULL);
