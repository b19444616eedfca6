/* SPDX-License-Identifier: MIT */
/* Pieces that cost nothing while they are zero: they are zero when taken, and rest only then. */
#include "runner.h"

#include <sys/mman.h>

#include "base/cold.h"
#include "base/poison.h"

static bool is_zero(const char *piece, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        if (piece[i] != 0) {
            return false;
        }
    }
    return true;
}

static bool resident(void *page)
{
    unsigned char in = 0;
    ck_assert_int_eq(mincore(page, COLD_PAGE, &in), 0);
    return (in & 1) != 0;
}

UNIT_TEST(pieces_are_zero_however_often_they_were_used)
{
    struct cold cold;
    char *pieces[200];

    cold_init(&cold, 2);
    for (int round = 0; round < 2; round++) {
        for (size_t i = 0; i < ARRAY_COUNT(pieces); i++) {
            pieces[i] = cold_take(&cold);
            ck_assert_uint_eq((uintptr_t)pieces[i] % COLD_PAGE, 0);
            ck_assert(is_zero(pieces[i], 2 * COLD_PAGE));
            memset(pieces[i], (int)i | 1, 2 * COLD_PAGE);
        }
        for (size_t i = 0; i < ARRAY_COUNT(pieces); i++) {
            ck_assert_int_eq(pieces[i][2 * COLD_PAGE - 1], (char)(i | 1));
            cold_give(&cold, pieces[i]);
        }
    }
    ck_assert_uint_lt(cold.total, 2 * ARRAY_COUNT(pieces));
    cold_free(&cold);
}

UNIT_TEST(a_page_rests_only_while_it_is_zero)
{
    struct cold cold;

    cold_init(&cold, 2);
    char *piece = cold_take(&cold);
    ck_assert(!resident(piece));
    piece[COLD_PAGE - 1] = 1;
    ck_assert(resident(piece) && !resident(piece + COLD_PAGE));
    ck_assert(!cold_rest(piece));
    ck_assert_int_eq(piece[COLD_PAGE - 1], 1);
    piece[COLD_PAGE - 1] = 0;
    ck_assert(cold_rest(piece));
    ck_assert(!resident(piece) && is_zero(piece, COLD_PAGE));
    cold_give(&cold, piece);
    cold_free(&cold);
}
