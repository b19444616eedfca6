/* SPDX-License-Identifier: MIT */
/* Free lists by size: blocks fit, are used again, and waste at most a quarter. */
#include "runner.h"

#include "base/poison.h"
#include "base/slabs.h"

static struct slabs slabs;

static void set_up(void)
{
    slabs_init(&slabs, 64 * 1024);
}

static void tear_down(void)
{
    slabs_free(&slabs);
}

/* What is in a piece stays as it grows, and the block has its whole size. */
UNIT_TEST(pieces_have_their_size)
{
    for (size_t size = 1; size < 40000; size += size / 7 + 1) {
        char *piece = slabs_take(&slabs, size);
        memset(piece, 'a', size);
        piece = slabs_grow(&slabs, piece, 2 * size);
        ck_assert_int_eq(piece[size - 1], 'a');
        memset(piece, 'b', 2 * size);
        slabs_give(&slabs, piece);
    }
}

/* The block that a size was given serves the sizes that it has room for, at least three quarters
 * of its own. */
UNIT_TEST(blocks_are_used_again)
{
    static const struct {
        size_t first, second;
        bool same;
    } rows[] = {{1, 32, true},       {32, 33, false},    {96, 65, true},
                {100, 128, true},    {128, 129, false},  {3072, 2928, true},
                {4096, 3073, false}, {4096, 3585, true}, {16384, 15000, true}};

    for (size_t i = 0; i < ARRAY_COUNT(rows) && !POISON_WORKS; i++) {
        char *first = slabs_take(&slabs, rows[i].first);
        slabs_give(&slabs, first);
        char *second = slabs_take(&slabs, rows[i].second);
        ck_assert_msg((first == second) == rows[i].same, "%zu %zu", rows[i].first, rows[i].second);
        slabs_give(&slabs, second);
        slabs_free(&slabs);
        set_up();
    }
}

UNIT_FIXTURE(set_up, tear_down);
