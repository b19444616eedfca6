/* SPDX-License-Identifier: MIT */
/* retry_after.c: seconds, the three forms of a date, and what is neither. */
#include "http/retry_after.h"
#include <inttypes.h>

#include "runner.h"

/* Sun, 06 Nov 1994 08:49:37 GMT, RFC 9110's own. */
#define THEN_MS (UINT64_C(784111777) * 1000)

static const struct {
    const char *value;
    uint64_t wall_ms;
    uint64_t wanted_ms;
} cases[] = {
    {"120", 0, 120000},
    {"0", 0, 0},
    {"3600", 0, 3600000},
    {"3601", 0, 3600000},
    {"99999999999999999999999999", 0, 3600000},
    {"Sun, 06 Nov 1994 08:49:37 GMT", THEN_MS - 5000, 5000},
    {"Sun, 06 Nov 1994 08:49:37 GMT", THEN_MS - 1, 1},
    {"Sun, 06 Nov 1994 08:49:37 GMT", THEN_MS, 0},
    {"Sun, 06 Nov 1994 08:49:37 GMT", THEN_MS + 5000, 0},
    {"Sun, 06 Nov 1994 08:49:37 GMT", THEN_MS - 7200000, 3600000},
    {"Sunday, 06-Nov-94 08:49:37 GMT", THEN_MS - 5000, 5000},
    {"Sun Nov  6 08:49:37 1994", THEN_MS - 5000, 5000},
    {"", 0, 0},
    {"-5", 0, 0},
    {"5s", 0, 0},
    {"1.5", 0, 0},
    {"soon", 0, 0},
    {"Sun, 06 Nov 1994 08:49:37 GMT, or later, or so", THEN_MS - 5000, 0},
    {"Sun, 06 Nov 1994 08:49:37 CET", THEN_MS - 5000, 0},
    {"Sun, 06 Foo 1994 08:49:37 GMT", THEN_MS - 5000, 0},
};

UNIT_LOOP_TEST(it_is_read, ARRAY_COUNT(cases))
{
    uint64_t ns = retry_after_read(str_from(cases[_i].value), cases[_i].wall_ms);
    ck_assert_msg(ns == cases[_i].wanted_ms * NS_PER_MS, "%s: %" PRIu64, cases[_i].value, ns);
}
