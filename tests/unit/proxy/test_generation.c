/* SPDX-License-Identifier: MIT */
/* generation.c: a prepared generation holds the balancers that go on. */
#include "pool/pool_stage.h"
#include "runner.h"

#include "proxy/generation.h"
#include "proxy/worker.h"

static struct stage stage;
static struct balancer *next[2], *none[2];
static struct pool_plan pool; /* the stage's, as the next generation has it */
static struct plan plan;
static struct generation generation;
static struct worker worker;

static void set_up(void)
{
    const struct lifetime_owner nobody = {0};

    stage_begin(&stage);
    next[0] = next[1] = NULL;
    pool = stage.plan;
    pool.owner = &plan;
    pool.balance = &stage.use;
    pool.balancers = next;
    pool.canaries = pool.shadows = none;
    plan = (struct plan){.pools = &pool, .pool_count = 1, .life = &generation.life};
    generation = (struct generation){.plan = &plan};
    lifetime_init(&generation.life, 2, 0, &nobody);
    worker = (struct worker){.loop = stage.loop};
}

static void tear_down(void)
{
    stage_end(&stage);
    lifetime_end(&generation.life);
}

static bool prepare(void)
{
    char error[256];
    return generation_prepare(&generation, &worker, error, sizeof(error));
}

/* The pool leaves the loop's configuration before it comes back: the last client of a listener that
 * is gone ends meanwhile. */
UNIT_TEST(a_balancer_that_goes_on_outlives_its_pool)
{
    unsigned refs = stage.balancer.refs;

    ck_assert(prepare());
    pool_local_adopt(stage.local, NULL);
    pool_local_adopt(stage.local, &pool);
    ck_assert_ptr_eq(stage.local->own.balancer, &stage.balancer);
    ck_assert_uint_eq(stage.balancer.refs, refs);
    ck_assert_str_eq(stage_candidates(&stage), "s0 s1 s2 s3 s4");
}

UNIT_TEST(a_balancer_that_goes_on_is_counted_once)
{
    unsigned refs = stage.balancer.refs;

    ck_assert(prepare());
    generation_abandon(&generation, &worker);
    ck_assert_uint_eq(stage.balancer.refs, refs);
    ck_assert(prepare());
    pool_local_adopt(stage.local, &pool);
    ck_assert_ptr_eq(stage.local->own.balancer, &stage.balancer);
    ck_assert_uint_eq(stage.balancer.refs, refs);
}

UNIT_FIXTURE(set_up, tear_down);
