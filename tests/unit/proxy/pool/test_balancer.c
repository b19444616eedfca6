/* SPDX-License-Identifier: MIT */
/* balancer.c, pick.c: balancers that the host ranks for: costs, slots, dry runs, and what passes
 * over. */
#include "pool_stage.h"
#include "proxy/plan/trial.h"
#include "runner.h"

#include <math.h>
#include <stdio.h>

static struct stage stage;
static struct stage_request request;

/* ---- a balancer that learns ---- */

struct learnt {
    uint64_t sent, done;
    double cost;
};

struct learner {
    unsigned total;
    unsigned refuses; /* states of that version */
    uint32_t len;     /* that save says; 0: the right one */
    unsigned saved, restored, lost_slots;
    unsigned heads;
    struct weir_feedback head, last; /* that were heard */
};

static double cost(struct weir_context *ctx, void *instance, const struct weir_candidate *candidate,
                   const struct weir_pick *pick)
{
    (void)ctx;
    (void)instance;
    ck_assert_ptr_null(pick);
    return ((struct learnt *)candidate->slot)->cost;
}

static void on_sent(struct weir_context *ctx, void *instance,
                    const struct weir_candidate *candidate)
{
    (void)ctx;
    ((struct learner *)instance)->total++;
    ((struct learnt *)candidate->slot)->sent++;
}

static void on_complete(struct weir_context *ctx, void *instance,
                        const struct weir_feedback *feedback)
{
    struct learnt *learnt = feedback->slot;
    (void)ctx;
    ((struct learner *)instance)->last = *feedback;
    if (learnt != NULL) {
        learnt->done++;
    } else {
        ((struct learner *)instance)->lost_slots++;
    }
}

static void on_head(struct weir_context *ctx, void *instance, const struct weir_feedback *feedback)
{
    struct learner *self = instance;
    (void)ctx;
    self->head = *feedback;
    self->heads++;
    if (feedback->slot != NULL) {
        ((struct learnt *)feedback->slot)->cost += feedback->outcome == WEIR_OUTCOME_ERROR ? 1 : 0;
    }
}

static enum weir_status save(struct weir_context *ctx, void *instance, struct weir_state *state)
{
    struct learner *self = instance;
    size_t len = state->slot != NULL ? sizeof(struct learnt) : sizeof(self->total);
    const void *from = state->slot != NULL ? state->slot : &self->total;
    (void)ctx;
    ck_assert_uint_eq(state->id == WEIR_NO_SERVER, state->slot == NULL);
    ck_assert_uint_eq(state->len, 0);
    if (state->slot != NULL && ((struct learnt *)state->slot)->sent == 0) {
        return WEIR_DECLINED;
    }
    self->saved++;
    memcpy(state->data, from, len);
    state->version = 1;
    state->len = self->len > 0 ? self->len : (uint32_t)len;
    return WEIR_OK;
}

static enum weir_status restore(struct weir_context *ctx, void *instance,
                                const struct weir_state *state)
{
    struct learner *self = instance;
    (void)ctx;
    memcpy(state->slot != NULL ? state->slot : &self->total, state->data,
           state->slot != NULL ? sizeof(struct learnt) : sizeof(self->total));
    self->restored++;
    return state->version == self->refuses ? WEIR_DECLINED : WEIR_OK;
}

static const struct weir_balancer ops = {
    .size = sizeof(ops),
    .slot_size = sizeof(struct learnt),
    .cost = cost,
    .on_sent = on_sent,
    .on_complete = on_complete,
    .save = save,
    .restore = restore,
    .on_head = on_head,
};
static const struct weir_balancer turns = {.size = sizeof(turns), .flags = WEIR_BALANCER_TURNS};

static struct balancer first, second;
static struct learner first_data, second_data;

static struct balancer *make(struct balancer *balancer, const struct weir_balancer *with,
                             void *data)
{
    *balancer = stage.balancer;
    balancer->ops = with;
    balancer->data = data;
    return balancer;
}

static void adopt(struct balancer *balancer)
{
    stage.next[0] = balancer;
    pool_local_adopt(stage.local, &stage.plan);
}

static struct learnt *slot(unsigned server)
{
    return stage.servers[server]->locals[0].slots[0];
}

static void set_up(void)
{
    static char name[] = "balance_learns";

    stage_begin(&stage);
    stage_request(&request);
    stage.module.name = name;
    first_data = second_data = (struct learner){0};
    adopt(make(&first, &ops, &first_data));
}

static void tear_down(void)
{
    stage_end(&stage);
}

static void expect_pick(const char *wanted)
{
    ck_assert_str_eq(stage_pick(&stage, &request, false), wanted);
}

/* ---- ranking ---- */

UNIT_TEST(the_lowest_cost_is_taken)
{
    for (unsigned i = 0; i < STAGE_SERVERS; i++) {
        slot(i)->cost = i == 3 ? -1.0 : (double)i;
    }
    expect_pick("s3");
    stage.servers[3]->max_connections = 1;
    ck_assert(server_acquire(stage.servers[3]));
    expect_pick("s0");
    server_release(stage.servers[3]);
    tried_add(&request.attempt.tried, stage.servers[3]->id);
    tried_add(&request.attempt.tried, stage.servers[0]->id);
    expect_pick("s1");
    ck_assert_uint_eq(first_data.total, 3);
}

UNIT_TEST(no_number_is_a_fault)
{
    for (unsigned i = 0; i < STAGE_SERVERS; i++) {
        slot(i)->cost = i == 2 ? 100 : (double)NAN;
    }
    expect_pick("s2");
    ck_assert_uint_ge(metered_strikes(&stage.metered), STAGE_SERVERS - 1);
}

/* Explain: the same number, and no turn is taken. */
UNIT_LOOP_TEST(a_dry_run_changes_nothing, 2)
{
    struct weir_score score;
    struct server *session;
    adopt(make(&second, _i == 0 ? &ops : &turns, &second_data));
    for (unsigned i = 0; i < STAGE_SERVERS; i++) {
        struct server_local *would = pool_would_pick(stage.local, &request.attempt, &session);
        ck_assert_ptr_eq(would, pool_would_pick(stage.local, &request.attempt, &session));
        ck_assert(pool_score(stage.local, &request.attempt, would->server, &score));
        ck_assert_ptr_nonnull(strstr(score.text, _i == 0 ? "costs 0" : "then one every 1.00"));
        expect_pick(would->server->name);
    }
    if (_i == 0) {
        slot(1)->cost = 2.5;
        ck_assert(pool_score(stage.local, &request.attempt, stage.servers[1], &score));
        ck_assert_double_eq(score.value, 2.5);
    }
}

/* ---- slots ---- */

UNIT_TEST(slots_stay_as_long_as_the_server)
{
    struct learnt *mine = slot(1);
    ck_assert(mine->sent == 0 && mine->done == 0 && mine->cost == 0);
    mine->cost = 7;
    server_set_health(stage.servers[1], HEALTH_DOWN, "down");
    stage_refresh(&stage);
    server_set_health(stage.servers[1], HEALTH_UP, "up");
    stage_refresh(&stage);
    adopt(NULL); /* another plan, with the same balancer */
    ck_assert_ptr_eq(slot(1), mine);
    ck_assert_double_eq(mine->cost, 7);
    ck_assert_ptr_eq(stage.local->own.candidates.items[1].slot, mine);
    pool_local_adopt(stage.local, NULL);
    ck_assert_ptr_null(slot(1));
    adopt(make(&first, &ops, &first_data));
    ck_assert_double_eq(slot(1)->cost, 0);
}

UNIT_TEST(feedback_has_the_slot)
{
    struct stage_request other;
    expect_pick("s0");
    ck_assert(slot(0)->sent == 1 && slot(0)->done == 1);
    stage_request(&other);
    ck_assert_str_eq(stage_pick(&stage, &other, true), "s1");
    adopt(make(&second, &ops, &second_data));
    stage_give_back(&stage, &other); /* told to whom it was sent by; its slot is another's now */
    ck_assert_uint_eq(first_data.lost_slots, 1);
    ck_assert_uint_eq(second_data.lost_slots, 0);
    adopt(make(&first, &turns, NULL));
    ck_assert_ptr_null(slot(0));
}

/* ---- answers that begin ---- */

static void begin(struct stage_request *of, unsigned status, uint64_t retry_after_ns)
{
    of->attempt.first_byte_ns = 5;
    of->attempt.retry_after_ns = retry_after_ns;
    ck_assert(of->attempt.tells_head);
    pool_head(stage.local, &of->attempt, status);
    ck_assert(!of->attempt.tells_head);
}

UNIT_TEST(an_answer_that_begins_is_told_once)
{
    ck_assert_str_eq(stage_pick(&stage, &request, true), "s0");
    ck_assert_uint_eq(first_data.heads, 0);
    begin(&request, 503, 7);
    ck_assert(first_data.heads == 1 && first_data.head.status == 503);
    ck_assert(first_data.head.outcome == WEIR_OUTCOME_ERROR && first_data.head.first_byte_ns == 5);
    ck_assert(first_data.head.retry_after_ns == 7 && first_data.head.total_ns == 0);
    ck_assert_ptr_eq(first_data.head.slot, slot(0));
    for (unsigned i = 0; i < STAGE_SERVERS - 1; i++) { /* its cost has changed at once */
        struct stage_request other;
        stage_request(&other);
        ck_assert_str_ne(stage_pick(&stage, &other, false), "s0");
    }
    stage_give_back(&stage, &request);
    ck_assert_uint_eq(first_data.last.retry_after_ns, 7);
    /* The next server's answer is another one. */
    stage_request(&request);
    stage_pick(&stage, &request, true);
    begin(&request, 200, 0);
    ck_assert(first_data.heads == 2 && first_data.head.outcome == WEIR_OUTCOME_SUCCESS);
    stage_give_back(&stage, &request);
    ck_assert_uint_eq(first_data.last.retry_after_ns, 0);
}

UNIT_TEST(an_answer_is_told_to_who_sent_the_request)
{
    ck_assert_str_eq(stage_pick(&stage, &request, true), "s0");
    adopt(make(&second, &ops, &second_data));
    begin(&request, 200, 0);
    ck_assert(first_data.heads == 1 && second_data.heads == 0);
    ck_assert_ptr_null(first_data.head.slot);
    ck_assert_uint_eq(first_data.head.index, WEIR_PICK_NONE);
    stage_give_back(&stage, &request);
    adopt(make(&second, &turns, NULL)); /* without that hook */
    stage_request(&request);
    stage_pick(&stage, &request, true);
    ck_assert(!request.attempt.tells_head);
    stage_give_back(&stage, &request);
}

/* ---- what passes over ---- */

UNIT_TEST(what_was_learnt_passes_over)
{
    expect_pick("s0");
    expect_pick("s1");
    slot(0)->cost = 9;
    adopt(make(&second, &ops, &second_data));
    ck_assert_uint_eq(first_data.saved, 3); /* the instance, and two of the slots */
    ck_assert_uint_eq(second_data.restored, 3);
    ck_assert_uint_eq(second_data.total, 2);
    ck_assert_double_eq(slot(0)->cost, 9);
    ck_assert_uint_eq(slot(1)->done, 1);
    ck_assert_uint_eq(slot(2)->sent, 0);
    adopt(NULL); /* the same one: nothing is saved */
    ck_assert_uint_eq(second_data.saved, 0);
}

UNIT_TEST(refused_states_begin_anew)
{
    expect_pick("s0");
    second_data.refuses = 1;
    adopt(make(&second, &ops, &second_data));
    ck_assert_uint_eq(second_data.restored, 2);
    ck_assert_uint_eq(slot(0)->sent, 0); /* though restore had written there */
    ck_assert_uint_eq(metered_strikes(&stage.metered), 0);
}

UNIT_LOOP_TEST(states_have_a_limit, 2)
{
    expect_pick("s0");
    first_data.len = _i == 0 ? WEIR_STATE_MAX + 1 : WEIR_STATE_SLOT_MAX + 1;
    adopt(make(&second, &ops, &second_data));
    /* 1025 bytes are too many for a slot, and not for an instance, which says what it reads. */
    ck_assert_uint_eq(metered_strikes(&stage.metered), _i == 0 ? 2 : 1);
    ck_assert_uint_eq(slot(0)->sent, 0);
}

/* A copy that is tried begins with what the other has learnt, has slots of its own, and is asked
 * for its share of the picks; promoted, it goes on with all that, and the other is gone. */
UNIT_TEST(a_tried_copy_has_its_own_slots)
{
    struct balancer *canaries[2] = {make(&second, &ops, &second_data), NULL};
    struct use tried = stage.use;
    struct trial *trial = trial_new(2, 0.5);
    uint64_t picks[2] = {0, 0};
    struct trial_counts counts[TRIAL_CLASSES] = {{0}};

    slot(2)->sent = 1;
    slot(2)->cost = 5;
    second.refs = 1001;
    stage.plan.canary = &tried;
    stage.plan.canaries = canaries;
    stage.plan.trial = trial;
    adopt(&first);
    ck_assert_ptr_nonnull(stage.local->canary);
    struct learnt *mine = stage.servers[2]->locals[0].slots[1];
    ck_assert_ptr_ne(mine, slot(2));
    ck_assert_double_eq(mine->cost, 5);
    for (unsigned i = 0; i < 10; i++) {
        stage_pick(&stage, &request, false);
    }
    trial_sum(trial, ARM_OLD, &picks[ARM_OLD], counts);
    trial_sum(trial, ARM_NEW, &picks[ARM_NEW], counts);
    ck_assert_uint_eq(picks[ARM_OLD], 5);
    ck_assert_uint_eq(picks[ARM_NEW], 5);
    ck_assert_uint_eq(counts[0].requests, 10);
    /* Promoted: its instance and slots are the pool's. */
    stage.plan.canary = NULL;
    stage.plan.trial = NULL;
    second.refs++;
    adopt(&second);
    ck_assert_ptr_null(stage.local->canary);
    ck_assert_ptr_eq(stage.local->own.balancer, &second);
    ck_assert_ptr_eq(stage.local->own.candidates.items[2].slot, mine);
    ck_assert_ptr_null(slot(2));
    ck_assert_str_ne(stage_pick(&stage, &request, false), "s2");
    trial_unref(&trial);
}

UNIT_TEST(another_module_gets_nothing)
{
    struct module other = {.name = (char[]){"balance_other"}};
    struct use use = stage.use;
    expect_pick("s0");
    use.module = &other;
    make(&second, &ops, &second_data)->use = &use;
    adopt(&second);
    ck_assert_uint_eq(second_data.restored, 0);
    ck_assert_uint_eq(slot(0)->sent, 0);
    adopt(&first);
}

UNIT_FIXTURE(set_up, tear_down);
