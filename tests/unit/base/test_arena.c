/* SPDX-License-Identifier: MIT */
/* Arenas: alignment, pieces that do not overlap, blocks of their own, limits, reuse. */
#include "runner.h"

#include <stdlib.h>

#include "base/arena.h"

static bool is_aligned(const void *ptr)
{
    return ((uintptr_t)ptr & 15) == 0;
}

UNIT_TEST(pieces_are_aligned_and_apart)
{
    struct arena arena;
    uint8_t *pieces[500];

    arena_init(&arena, NULL, 0);
    for (size_t i = 0; i < ARRAY_COUNT(pieces); i++) {
        size_t len = i * 7 % 300;
        pieces[i] = arena_alloc(&arena, len);
        ck_assert_ptr_nonnull(pieces[i]);
        ck_assert(is_aligned(pieces[i]));
        memset(pieces[i], (int)(i & 0xff), len);
        arena_bytes(&arena, i % 5); /* text between them */
    }
    for (size_t i = 0; i < ARRAY_COUNT(pieces); i++) {
        for (size_t j = 0; j < i * 7 % 300; j++) {
            ck_assert_uint_eq(pieces[i][j], i & 0xff);
        }
    }
    arena_reset(&arena);
    ck_assert_uint_eq(arena.total, 0);
    ck_assert_ptr_null(arena.blocks);
}

UNIT_TEST(nothing_is_taken_before_the_first_piece)
{
    struct arena arena;

    arena_init(&arena, NULL, 0);
    ck_assert_uint_eq(arena.total, 0);
    ck_assert_ptr_nonnull(arena_alloc(&arena, 0));
    ck_assert_uint_eq(arena.total, ARENA_BLOCK_SIZE);
    ck_assert_ptr_ne(arena_alloc(&arena, 0), arena_alloc(&arena, 0));
    arena_reset(&arena);
}

UNIT_TEST(large_pieces_leave_the_newest_block_alone)
{
    struct arena arena;

    arena_init(&arena, NULL, 0);
    char *before = arena_bytes(&arena, 1);
    char *large = arena_alloc(&arena, 100000);
    char *after = arena_bytes(&arena, 1);
    ck_assert_ptr_nonnull(large);
    ck_assert(is_aligned(large));
    memset(large, 'x', 100000);
    ck_assert_ptr_eq(after, before + 1);
    arena_reset(&arena);

    /* As the very first piece too. */
    large = arena_alloc(&arena, 5000);
    memset(large, 'x', 5000);
    ck_assert_ptr_nonnull(arena_alloc(&arena, 10));
    arena_reset(&arena);
}

UNIT_TEST(memory_of_the_callers_is_used_first)
{
    static char memory[256] __attribute__((aligned(16)));
    struct arena arena;

    arena_init_on(&arena, memory, sizeof(memory));
    ck_assert_ptr_eq(arena_alloc(&arena, 20), memory);
    char *large = arena_alloc(&arena, 5000);
    ck_assert(large < memory || large >= memory + sizeof(memory));
    memset(large, 'l', 5000);
    ck_assert_ptr_eq(arena_alloc(&arena, 20), memory + 32); /* and goes on to be used */
    char *next = arena_alloc(&arena, 250);
    ck_assert(next < memory || next >= memory + sizeof(memory));
    memset(next, 'n', 250);
    ck_assert_int_eq(large[4999], 'l');
    arena_reset(&arena);
    ck_assert_ptr_null(arena.pos);
    arena_bytes(&arena, 3);
    arena_reset(&arena);
}

UNIT_TEST(sizes_that_overflow_are_refused)
{
    struct arena arena;

    arena_init(&arena, NULL, 0);
    for (size_t i = 0; i < 64; i++) {
        ck_assert_ptr_null(arena_alloc(&arena, SIZE_MAX - i));
    }
    ck_assert_ptr_null(arena_copy(&arena, (struct weir_str){"", SIZE_MAX}).ptr);
    arena_reset(&arena);
}

UNIT_TEST(the_limit_holds_and_a_reset_lifts_it)
{
    struct arena arena;
    size_t count = 0;

    arena_init(&arena, NULL, 4 * ARENA_BLOCK_SIZE);
    while (arena_alloc(&arena, 1000) != NULL) {
        count++;
        ck_assert_uint_le(arena.total, arena.limit);
    }
    ck_assert_uint_eq(count, 16); /* four a block */
    ck_assert_ptr_null(arena_alloc(&arena, 1000000));
    arena_reset(&arena);
    ck_assert_ptr_nonnull(arena_alloc(&arena, 1000));
    arena_reset(&arena);
}

UNIT_TEST(the_cache_keeps_blocks_up_to_its_limit)
{
    struct arena_cache cache;
    struct arena arena;

    arena_cache_init(&cache, 2);
    arena_init(&arena, &cache, 0);
    for (int i = 0; i < 5; i++) {
        arena_alloc(&arena, ARENA_BLOCK_SIZE / 2);
    }
    arena_alloc(&arena, 50000);
    arena_reset(&arena);
    ck_assert_uint_le(cache.count, 2);
    for (int i = 0; i < 20; i++) {
        arena_alloc(&arena, 1000);
    }
    ck_assert_uint_eq(cache.count, 0);
    arena_reset(&arena);
    ck_assert_uint_eq(cache.count, 2);
    struct arena_block *kept = cache.free;
    arena_alloc(&arena, 1);
    ck_assert_ptr_eq(arena.blocks, kept);
    arena_reset(&arena);
    arena_cache_free(&cache);
    ck_assert_uint_eq(cache.count, 0);
    ck_assert_ptr_null(cache.free);
}

UNIT_TEST(zeroed_memory_is_zero_when_reused)
{
    struct arena_cache cache;
    struct arena arena;

    arena_cache_init(&cache, 8);
    arena_init(&arena, &cache, 0);
    memset(arena_alloc(&arena, 3000), 0xff, 3000);
    arena_reset(&arena);
    const char *zeroed = arena_zalloc(&arena, 3000);
    for (size_t i = 0; i < 3000; i++) {
        ck_assert_int_eq(zeroed[i], 0);
    }
    arena_reset(&arena);
    arena_cache_free(&cache);
}

UNIT_TEST(texts_end_with_nul)
{
    struct arena arena;

    arena_init(&arena, NULL, 0);
    struct weir_str copy = arena_copy(&arena, (struct weir_str){"abcdef", 3});
    ck_assert_uint_eq(copy.len, 3);
    ck_assert_str_eq(copy.ptr, "abc");
    copy = arena_copy(&arena, (struct weir_str){NULL, 0});
    ck_assert_uint_eq(copy.len, 0);
    ck_assert_str_eq(copy.ptr, "");
    copy = arena_printf(&arena, "%s-%d", "pool", 12);
    ck_assert_uint_eq(copy.len, 7);
    ck_assert_str_eq(copy.ptr, "pool-12");
    arena_reset(&arena);
}
