/* SPDX-License-Identifier: MIT */
/* shadow.c, pick.c: a balancer that is asked and not obeyed, and what is counted of it. */
#include "pool_stage.h"
#include "proxy/pool/shadow.h"
#include "runner.h"

static struct stage stage;
static struct stage_request request, other;
static struct stage_balancer said; /* by the shadow */
static struct balancer shadow, successor;
static struct balancer *shadows[2];
static struct use shadow_use;

/* The plan again, with that shadow; NULL: without. */
static void adopt(struct balancer *with)
{
    stage.plan.shadow = with != NULL ? &shadow_use : NULL;
    stage.plan.shadows = shadows;
    shadows[0] = with;
    stage.next[0] = &stage.balancer;
    pool_local_adopt(stage.local, &stage.plan);
}

static struct balancer *make(struct balancer *balancer)
{
    *balancer = stage.balancer;
    balancer->use = &shadow_use;
    balancer->data = &said;
    return balancer;
}

static void set_up(void)
{
    static char name[] = "balance_fake";

    stage_begin(&stage);
    stage.module.name = name;
    shadow_use = stage.use;
    stage.fake = (struct stage_balancer){.answer = 1};
    said = (struct stage_balancer){.answer = 1, .assigned = UINT32_MAX};
    stage_request(&request);
    stage_request(&other);
    adopt(make(&shadow));
}

static void tear_down(void)
{
    for (unsigned i = 0; i < STAGE_SERVERS; i++) {
        ck_assert_int_eq(stage.servers[i]->shadowed, 0);
    }
    stage_end(&stage);
}

/* Who reads while a loop counts may see what it counted after the picks that were read before. */
UNIT_TEST(reading_while_it_counts_shows_no_more_than_was_asked)
{
    struct shadow_counts *counts = &stage.local->shadowed;

    counts->asked = 3;
    counts->agreed = 4;
    counts->none = 1;
    struct shadow_counts sum = shadow_sum(stage.pool);
    ck_assert_uint_eq(sum.asked, 3);
    ck_assert_uint_eq(sum.agreed, 3);
    ck_assert_uint_eq(sum.none, 0);
    shadow_begin(stage.local);
}

static void expect(uint64_t asked, uint64_t agreed, uint64_t none)
{
    struct shadow_counts sum = shadow_sum(stage.pool);
    ck_assert_uint_eq(sum.asked, asked);
    ck_assert_uint_eq(sum.agreed, agreed);
    ck_assert_uint_eq(sum.none, none);
    ck_assert_uint_gt(sum.since_ms, 0);
}

static void expect_of(unsigned server, uint64_t picked, uint64_t chosen)
{
    struct shadow_choices sum = shadow_sum_of(stage.servers[server]);
    ck_assert_uint_eq(sum.picked, picked);
    ck_assert_uint_eq(sum.chosen, chosen);
}

/* Of servers 1 and 2; all others have none. */
static void expect_in_flight(uint32_t first, uint32_t second)
{
    for (unsigned i = 0; i < STAGE_SERVERS; i++) {
        uint32_t wanted = i == 1 ? first : i == 2 ? second : 0;
        ck_assert_uint_eq(shadow_in_flight(stage.servers[i]), wanted);
    }
}

/* ---- choices ---- */

UNIT_TEST(what_agrees_moves_nothing)
{
    ck_assert_str_eq(stage_pick(&stage, &request, true), "s1");
    expect(1, 1, 0);
    expect_of(1, 1, 1);
    expect_in_flight(1, 0);
    ck_assert_int_eq(stage.servers[1]->shadowed, 0);
    ck_assert_uint_eq(said.picks, 1);
    ck_assert_uint_eq(said.assigned, 1);
    stage_give_back(&stage, &request);
    expect_in_flight(0, 0);
}

UNIT_TEST(what_differs_counts_at_the_other_server)
{
    said.answer = 2;
    ck_assert_str_eq(stage_pick(&stage, &request, true), "s1");
    ck_assert_str_eq(stage_pick(&stage, &other, true), "s1");
    expect(2, 0, 0);
    expect_of(1, 2, 0);
    expect_of(2, 0, 2);
    expect_in_flight(0, 2);
    ck_assert_uint_eq(stage.servers[1]->in_flight, 2);
    ck_assert_uint_eq(said.assigned, 1); /* it hears what really happened */
    stage_give_back(&stage, &request);
    expect_in_flight(0, 1);
    stage_give_back(&stage, &other);
    expect_in_flight(0, 0);
}

/* A wrong index, nobody, and one that the request has tried: strikes of its own, and no answer. */
UNIT_LOOP_TEST(a_wrong_answer_is_none, 3)
{
    said.answer = _i == 0 ? STAGE_SERVERS + 7 : _i == 1 ? WEIR_PICK_NONE : 0;
    tried_add(&request.attempt.tried, stage.servers[0]->id);
    ck_assert_str_eq(stage_pick(&stage, &request, true), "s1");
    expect(1, 0, 1);
    expect_in_flight(1, 0);
    ck_assert_uint_eq(metered_strikes(&stage.metered), 1);
    stage_give_back(&stage, &request);
}

UNIT_TEST(one_that_is_out_is_not_asked)
{
    shadow.out = true;
    ck_assert_str_eq(stage_pick(&stage, &request, false), "s1");
    expect(0, 0, 0);
    ck_assert_uint_eq(said.picks, 0);
    ck_assert_uint_eq(said.assigned, UINT32_MAX);
}

/* A place that a request has waited for is nobody's choice; it is told all the same. */
UNIT_TEST(what_nobody_picks_counts_where_it_is)
{
    said.answer = 2;
    ck_assert(server_acquire(stage.servers[3]));
    pool_assign(stage.local, &request.attempt, &stage.servers[3]->locals[0]);
    expect(0, 0, 0);
    ck_assert_uint_eq(shadow_in_flight(stage.servers[3]), 1);
    ck_assert_uint_eq(said.assigned, 3);
    stage_give_back(&stage, &request);
}

UNIT_TEST(a_dry_run_counts_nothing)
{
    struct server *session = NULL;
    said.answer = 2;
    pool_would_pick(stage.local, &request.attempt, &session);
    ck_assert_ptr_eq(pool_shadow_would_pick(stage.local, &request.attempt),
                     &stage.servers[2]->locals[0]);
    expect(0, 0, 0);
}

/* ---- waits ---- */

static void answer_after(const char *server, uint32_t index, uint64_t us)
{
    stage.fake.answer = said.answer = index;
    ck_assert_str_eq(stage_pick(&stage, &request, true), server);
    request.attempt.first_byte_ns = us * 1000;
    stage_give_back(&stage, &request);
    request.attempt.first_byte_ns = 0;
}

/* Both waits are counted, or neither; the shadow's is longer where it would have more requests
 * than there are. */
UNIT_TEST(waits_are_those_of_real_answers)
{
    struct attempt_end bad = {.outcome = WEIR_OUTCOME_ERROR, .status = 500};

    answer_after("s1", 1, 8000);
    ck_assert_uint_eq(shadow_sum(stage.pool).waits, 0);
    answer_after("s2", 2, 1000);
    stage.fake.answer = 1;
    ck_assert_str_eq(stage_pick(&stage, &request, true), "s1");
    struct shadow_counts sum = shadow_sum(stage.pool);
    ck_assert(sum.waits == 1 && sum.wait_us == 8000 && sum.predicted_us == 1000);
    ck_assert_str_eq(stage_pick(&stage, &other, true), "s1"); /* would be the second at s2 */
    sum = shadow_sum(stage.pool);
    ck_assert(sum.waits == 2 && sum.wait_us == 16000 && sum.predicted_us == 3000);
    ck_assert_double_eq(shadow_mean_ms(&sum, true), 8);
    ck_assert_double_eq(shadow_mean_ms(&sum, false), 1.5);
    struct shadow_choices of = shadow_sum_of(stage.servers[2]);
    ck_assert_double_eq(shadow_wait_ms(&of), 1);
    ck_assert_double_eq(shadow_predicted_ms(stage.servers[2], &of), 3);
    other.attempt.first_byte_ns = 1; /* fails at once: that is no short wait */
    pool_leave(stage.local, &other.attempt, &bad);
    stage_give_back(&stage, &request);
    of = shadow_sum_of(stage.servers[1]);
    ck_assert_double_eq(shadow_wait_ms(&of), 8);
}

UNIT_TEST(fewer_requests_promise_no_shorter_wait)
{
    ck_assert_double_eq(shadow_wait(10, 1, 4), 10);
    ck_assert_double_eq(shadow_wait(10, 4, 1), 40);
    ck_assert_double_eq(shadow_wait(10, 4, 0), 10);
}

/* ---- it comes and goes ---- */

UNIT_TEST(a_shadow_may_go_before_its_requests)
{
    said.answer = 2;
    ck_assert_str_eq(stage_pick(&stage, &request, true), "s1");
    adopt(NULL);
    ck_assert_ptr_null(stage.local->shadow);
    expect_in_flight(0, 1); /* until it ends */
    said.picks = 0;
    ck_assert_str_eq(stage_pick(&stage, &other, false), "s1");
    ck_assert_uint_eq(said.picks, 0);
    stage_give_back(&stage, &request);
    expect_in_flight(0, 0);
}

UNIT_TEST(the_same_goes_on_and_another_begins_anew)
{
    ck_assert_str_eq(stage_pick(&stage, &request, false), "s1");
    shadow.refs++; /* as the plan's */
    adopt(&shadow);
    expect(1, 1, 0);
    said.answer = 2;
    ck_assert_str_eq(stage_pick(&stage, &request, true), "s1");
    adopt(make(&successor));
    expect(0, 0, 0);
    expect_of(1, 0, 0);
    expect_in_flight(0, 1);
    stage_give_back(&stage, &request); /* told to the one that had heard of it */
    expect_in_flight(0, 0);
}

/* Its number is right also where it comes back meanwhile. */
UNIT_TEST(a_server_leaves_and_comes_back)
{
    said.answer = STAGE_SERVERS - 1;
    ck_assert_str_eq(stage_pick(&stage, &request, true), "s1");
    struct pool_plan less = stage.plan;
    struct server *by_id[16];
    memcpy(by_id, stage.by_id, sizeof(by_id));
    for (size_t i = 0; i < ARRAY_COUNT(by_id); i++) {
        by_id[i] = by_id[i] == stage.servers[STAGE_SERVERS - 1] ? NULL : by_id[i];
    }
    less.by_id = by_id;
    less.server_count = STAGE_SERVERS - 1;
    shadows[0] = &shadow;
    shadow.refs++;
    stage.next[0] = &stage.balancer;
    pool_local_adopt(stage.local, &less);
    expect_of(STAGE_SERVERS - 1, 0, 0);
    ck_assert_uint_eq(shadow_in_flight(stage.servers[STAGE_SERVERS - 1]), 1);
    said.answer = 1;
    shadow.refs++;
    adopt(&shadow);
    ck_assert_uint_eq(shadow_in_flight(stage.servers[STAGE_SERVERS - 1]), 1);
    stage_give_back(&stage, &request);
    ck_assert_uint_eq(shadow_in_flight(stage.servers[STAGE_SERVERS - 1]), 0);
}

/* Two that take turns walk in step, also where the shadow comes later. */
UNIT_TEST(turns_begin_in_step)
{
    static const struct weir_balancer turns = {.size = sizeof(turns), .flags = WEIR_BALANCER_TURNS};
    static struct balancer own;

    own = stage.balancer;
    own.ops = &turns;
    stage.plan.shadow = NULL;
    stage.next[0] = &own;
    pool_local_adopt(stage.local, &stage.plan);
    stage_pick(&stage, &request, false);
    stage_pick(&stage, &request, false);
    stage.next[0] = &own;
    own.refs++;
    stage.plan.shadow = &shadow_use;
    shadows[0] = make(&successor);
    successor.ops = &turns;
    pool_local_adopt(stage.local, &stage.plan);
    for (unsigned i = 0; i < 12; i++) {
        stage_pick(&stage, &request, false);
    }
    expect(12, 12, 0);
}

UNIT_FIXTURE(set_up, tear_down);
