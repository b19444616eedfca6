/* SPDX-License-Identifier: MIT */
/* loops.c: each loop runs it once, and it ends when all have. */
#include "runner.h"

#include "control/loops.h"

#define LOOPS 3u

static struct worker workers[LOOPS];
static struct worker *loops[LOOPS];
static struct runtime runtime = {.workers = LOOPS - 1, .loops = loops};

static void begin(void)
{
    for (unsigned i = 0; i < LOOPS; i++) {
        workers[i] = (struct worker){.loop = loop_new(i), .index = i};
        loops[i] = &workers[i];
    }
}

static void end(void)
{
    for (unsigned i = 0; i < LOOPS; i++) {
        loop_free(&workers[i].loop);
    }
}

struct seen {
    unsigned turns[LOOPS], done;
};

static void turn(struct worker *worker, void *arg)
{
    struct seen *seen = arg;
    seen->turns[worker->index]++;
}

static void done(void *arg)
{
    struct seen *seen = arg;
    seen->done++;
}

UNIT_TEST(all_loops_then_the_end)
{
    struct seen seen = {{0}, 0};

    loops_do(&runtime, LOOPS, turn, done, &seen);
    for (unsigned i = 0; i < LOOPS; i++) {
        ck_assert_uint_eq(seen.turns[i] + seen.done, 0); /* not before its turn */
        loop_settle(workers[i].loop);
        ck_assert_uint_eq(seen.turns[i], 1);
    }
    loop_settle(workers[LOOPS - 1].loop);
    ck_assert_uint_eq(seen.done, 1);
}

UNIT_TEST(only_the_workers)
{
    struct seen seen = {{0}, 0};

    loops_do(&runtime, LOOPS - 1, turn, done, &seen);
    loop_settle(workers[0].loop);
    loop_settle(workers[LOOPS - 1].loop);
    ck_assert_uint_eq(seen.done, 0);
    loop_settle(workers[1].loop);
    loop_settle(workers[LOOPS - 1].loop);
    ck_assert_uint_eq(seen.done, 1);
    ck_assert_uint_eq(seen.turns[LOOPS - 1], 0);
}

UNIT_FIXTURE(begin, end);
