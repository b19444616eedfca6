/* SPDX-License-Identifier: MIT */
/* replay.c: bodies that are kept to be sent again. */
#include "proxy/stream/replay.h"

#include <stdlib.h>

#include "runner.h"

static struct arena_cache cache;
static struct arena arena;
static struct replay replay;
static struct http_request_head head;
static char sent[2 * REPLAY_MAX];
static size_t sent_len;

static void collect(struct up *up, const char *data, size_t len)
{
    (void)up;
    memcpy(sent + sent_len, data, len);
    sent_len += len;
}

static const struct up_ops ops = {.data = collect};
static struct up up = {.ops = &ops};

static void set_up(void)
{
    arena_cache_init(&cache, 16);
    arena_init(&arena, &cache, 0);
    replay = (struct replay){0};
    head = (struct http_request_head){.body = BODY_CHUNKED};
    sent_len = 0;
}

static void tear_down(void)
{
    arena_reset(&arena);
    arena_cache_free(&cache);
}

/* `len` bytes pass, in pieces. */
static void pass(size_t len, size_t piece)
{
    for (size_t at = 0; at < len; at += piece) {
        char *data = base_zalloc(piece);
        size_t take = len - at < piece ? len - at : piece;
        for (size_t i = 0; i < take; i++) {
            data[i] = (char)((at + i) % 251);
        }
        replay_add(&replay, &head, &arena, data, take);
        free(data);
    }
}

static void check_sent(size_t len)
{
    replay_send(&replay, &up);
    ck_assert_uint_eq(sent_len, len);
    for (size_t i = 0; i < len; i++) {
        ck_assert_int_eq(sent[i], (char)(i % 251));
    }
}

UNIT_LOOP_TEST(all_is_sent_again, 6)
{
    static const size_t pieces[] = {1, 100, 4095, 4096, 5000, REPLAY_MAX};
    pass(REPLAY_MAX, pieces[_i]);
    ck_assert(replay_is_whole(&replay));
    check_sent(REPLAY_MAX);
    arena_reset(&arena);
    ck_assert_uint_gt(cache.count, 3); /* the blocks are kept for the next one */
}

UNIT_TEST(what_is_larger_is_not_kept)
{
    pass(REPLAY_MAX + 1, 1000);
    ck_assert(!replay_is_whole(&replay));
    ck_assert_uint_eq(replay.passed, REPLAY_MAX + 1);
}

UNIT_TEST(what_is_announced_as_larger_costs_nothing)
{
    head.body = BODY_LENGTH;
    head.content_length = REPLAY_MAX + 1;
    pass(10, 10);
    ck_assert(!replay_is_whole(&replay));
    ck_assert_uint_eq(arena.total, 0);
}

UNIT_TEST(a_small_body_takes_little)
{
    head.body = BODY_LENGTH;
    head.content_length = 10;
    pass(10, 3);
    ck_assert(replay_is_whole(&replay));
    check_sent(10);
    ck_assert_uint_le(arena.total, ARENA_BLOCK_SIZE);
}

UNIT_TEST(what_is_not_kept_breaks_it)
{
    ck_assert(replay_is_whole(&replay)); /* nothing has passed */
    pass(10, 10);
    replay_skip(&replay, 1);
    ck_assert(!replay_is_whole(&replay));
    replay = (struct replay){0};
    replay_break(&replay);
    ck_assert(!replay_is_whole(&replay));
}

UNIT_FIXTURE(set_up, tear_down);
