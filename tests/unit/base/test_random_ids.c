/* SPDX-License-Identifier: MIT */
/* Random identifiers: of the right form, and none twice, over more than one filling of the
 * supply. */
#include "base/random_ids.h"
#include "runner.h"

#include <stdlib.h>

#define COUNT 1000

static int compare(const void *a, const void *b)
{
    return memcmp(a, b, RANDOM_ID_SIZE);
}

UNIT_TEST(form_and_difference)
{
    static char all[COUNT][RANDOM_ID_SIZE];
    static struct random_ids ids;

    for (size_t i = 0; i < COUNT; i++) {
        random_ids_next(&ids, all[i]);
        for (size_t k = 0; k < RANDOM_ID_SIZE; k++) {
            ck_assert_ptr_nonnull(strchr("0123456789abcdef", all[i][k]));
        }
    }
    qsort(all, COUNT, RANDOM_ID_SIZE, compare);
    for (size_t i = 1; i < COUNT; i++) {
        ck_assert_int_ne(compare(all[i - 1], all[i]), 0);
    }
}
