/* SPDX-License-Identifier: MIT */
/* When memory goes back: after a rush, in calm, and rarely where it is wanted again. */
#include "runner.h"

#include <stdlib.h>

#include "base/trim.h"

#define MIB 1024u

/* Seconds until it is due at that level; 1000: never. */
static unsigned seconds_until_due(struct trim *trim, size_t kib)
{
    for (unsigned second = 1; second < 1000; second++) {
        if (trim_due(trim, kib)) {
            return second;
        }
    }
    return 1000;
}

UNIT_TEST(not_without_a_rush)
{
    struct trim trim = {0};

    ck_assert_uint_eq(seconds_until_due(&trim, 10 * MIB), 1000);
    ck_assert_uint_eq(seconds_until_due(&trim, 13 * MIB), 1000);
}

UNIT_TEST(not_while_it_grows)
{
    struct trim trim = {0};

    for (unsigned i = 0; i < 100; i++) {
        ck_assert(!trim_due(&trim, (10 + 2 * (size_t)i) * MIB));
    }
    ck_assert_uint_le(seconds_until_due(&trim, 208 * MIB), 5);
}

UNIT_TEST(what_falls_by_itself_is_the_rest)
{
    struct trim trim = {0};

    ck_assert(!trim_due(&trim, 100 * MIB));
    ck_assert(!trim_due(&trim, 10 * MIB));
    ck_assert_uint_ge(seconds_until_due(&trim, 20 * MIB), 5);
}

UNIT_TEST(rarely_where_it_is_wanted_again)
{
    struct trim trim = {0};
    unsigned last = 0;

    for (unsigned i = 0; i < 12; i++) {
        (void)trim_due(&trim, 10 * MIB);
        unsigned now = seconds_until_due(&trim, 50 * MIB);
        ck_assert_uint_ge(now, last);
        ck_assert_uint_le(now, 330);
        last = now;
    }
    ck_assert_uint_ge(last, 300);
}

UNIT_TEST(what_was_freed_goes_back)
{
    static char *blocks[1024];
    struct trim trim = {0};

    trim_second(&trim);
    for (size_t i = 0; i < ARRAY_COUNT(blocks); i++) {
        blocks[i] = malloc(32 * 1024);
        memset(blocks[i], 1, 32 * 1024);
    }
    for (size_t i = 0; i + 1 < ARRAY_COUNT(blocks); i++) { /* the last one keeps the heap's end */
        free(blocks[i]);
    }
    trim_second(&trim);
    size_t high = trim.last_kib;
    for (unsigned second = 0; second < 5; second++) {
        trim_second(&trim);
    }
    ck_assert(!LIBC_MALLOC || trim.last_kib + 28 * MIB < high);
    free(blocks[ARRAY_COUNT(blocks) - 1]);
}
