/* SPDX-License-Identifier: MIT */
/* A pool for tests. */
#include "pool_stage.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

/* ---- the balancer ---- */

static uint64_t now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return (uint64_t)now.tv_sec * NS_PER_SECOND + (uint64_t)now.tv_nsec;
}

static enum weir_status on_members(struct weir_context *ctx, void *instance,
                                   const struct weir_candidates *candidates)
{
    struct stage_balancer *fake = instance;
    (void)ctx;
    fake->members = candidates->count;
    fake->told++;
    for (uint64_t end = now_ns() + fake->slow_ns; now_ns() < end;) {
        continue;
    }
    return fake->takes;
}

static uint32_t pick(struct weir_context *ctx, void *instance, const struct weir_pick *asked)
{
    struct stage_balancer *fake = instance;
    (void)ctx;
    fake->picks++;
    if (!fake->asks_usable) {
        return fake->answer;
    }
    for (uint32_t i = 0; i < asked->candidates->count; i++) {
        if (asked->usable(asked, i)) {
            return i;
        }
    }
    return WEIR_PICK_NONE;
}

static void on_assign(struct weir_context *ctx, void *instance, uint32_t index)
{
    struct stage_balancer *fake = instance;
    (void)ctx;
    fake->assigned = index;
}

static enum weir_status score(struct weir_context *ctx, void *instance,
                              const struct weir_pick *asked, uint32_t index, struct weir_score *out)
{
    struct stage_balancer *fake = instance;
    (void)ctx;
    out->value = fake->score + index;
    memset(out->text, fake->endless ? 'x' : '\0', sizeof(out->text));
    return asked->usable(asked, index) ? WEIR_OK : WEIR_DECLINED;
}

static const struct weir_balancer ops = {
    .size = sizeof(ops),
    .on_members = on_members,
    .pick = pick,
    .on_assign = on_assign,
    .score = score,
};

/* ---- the stage ---- */

static struct server *make_server(unsigned number)
{
    char name[8], text[64];
    int len = snprintf(text, sizeof(text), "http://127.0.0.1:%u", 3000 + number);
    struct weir_url url = {.text = {text, (size_t)len},
                           .scheme = {text, 4},
                           .host = {text + 7, 9},
                           .port = (uint16_t)(3000 + number)};
    snprintf(name, sizeof(name), "s%u", number);
    struct server *server = server_new(STR("pool"), str_from(name), &url, 2);
    server_set_health(server, HEALTH_UP, "up");
    return server;
}

static void put_by_id(struct stage *stage, struct server *server)
{
    size_t at = server->id & stage->plan.by_id_mask;
    while (stage->by_id[at] != NULL) {
        at = (at + 1) & stage->plan.by_id_mask;
    }
    stage->by_id[at] = server;
}

static void after(struct pool_home *home)
{
    (void)home;
}

void stage_add_loop(struct stage *stage)
{
    stage->other_loop = loop_new(1);
    pool_home_init(&stage->other_home, stage->other_loop, after);
    stage->other = &stage->pool->locals[1];
    stage->other->home = &stage->other_home;
    stage->next[1] = &stage->balancer;
    pool_local_adopt(stage->other, &stage->plan);
}

static struct loop *turning;

static void stop_loop(struct task *task)
{
    (void)task;
    loop_stop(turning);
}

void stage_turn(struct loop *loop)
{
    struct task task = {.fn = stop_loop};
    turning = loop;
    task_queue(loop, &task);
    loop_run(loop);
}

void stage_begin(struct stage *stage)
{
    memset(stage, 0, sizeof(*stage));
    stage->loop = loop_new(0);
    pool_home_init(&stage->home, stage->loop, after);
    lifetime_init(&stage->life, 2, 0, &(struct lifetime_owner){0});
    stage->life.locals[0].refs = stage->life.locals[1].refs = 1; /* the loops' own */
    stage->whole.life = &stage->life;
    stage->settings.queue_limit = 2;
    stage->settings.keepalive = 4;
    stage->pool = pool_new(STR("pool"), 2);
    stage->local = &stage->pool->locals[0];
    stage->local->home = &stage->home;
    stage->plan = (struct pool_plan){
        .owner = &stage->whole,
        .settings = &stage->settings,
        .pool = stage->pool,
        .servers = stage->servers,
        .server_count = STAGE_SERVERS,
        .by_id = stage->by_id,
        .by_id_mask = ARRAY_COUNT(stage->by_id) - 1,
        .balancers = stage->next,
    };
    for (unsigned i = 0; i < STAGE_SERVERS; i++) {
        stage->servers[i] = make_server(i);
        put_by_id(stage, stage->servers[i]);
    }
    stage->fake = (struct stage_balancer){.asks_usable = true, .assigned = UINT32_MAX};
    stage->use.module = &stage->module;
    stage->balancer.use = &stage->use;
    stage->balancer.ops = &ops;
    stage->balancer.data = &stage->fake;
    stage->balancer.context.component = "fake";
    metered_begin(&stage->metered, &stage->module);
    metered_context(&stage->metered, &stage->balancer.context);
    stage->balancer.refs = 1000; /* nor does this one */
    stage->next[0] = &stage->balancer;
    pool_local_adopt(stage->local, &stage->plan);
}

void stage_end(struct stage *stage)
{
    if (stage->other_loop != NULL) {
        pool_local_adopt(stage->other, NULL);
        pool_home_end(&stage->other_home);
    }
    pool_local_adopt(stage->local, NULL);
    for (unsigned i = 0; i < STAGE_SERVERS; i++) {
        ck_assert_uint_eq(stage->servers[i]->in_flight, 0);
        server_unref(&stage->servers[i]);
    }
    metered_end(&stage->metered);
    pool_unref(&stage->pool);
    pool_home_end(&stage->home);
    lifetime_end(&stage->life);
    loop_free(&stage->loop);
    if (stage->other_loop != NULL) {
        loop_free(&stage->other_loop);
    }
}

void stage_refresh(struct stage *stage)
{
    pool_local_refresh(stage->local);
}

const char *stage_candidates(const struct stage *stage)
{
    static char text[64];
    const struct weir_candidates *candidates = &stage->local->own.candidates.list;
    size_t len = 0;
    text[0] = '\0';
    for (uint32_t i = 0; i < candidates->count; i++) {
        len += (size_t)snprintf(text + len, sizeof(text) - len, "%s%.*s", i > 0 ? " " : "",
                                STR_ARGS(stage->local->own.candidates.items[i].name));
    }
    return text;
}

static void on_granted(struct waiter *waiter, struct server *server, bool session)
{
    struct stage_request *request = container_of(waiter, struct stage_request, wait);
    request->granted++;
    request->session = session;
    pool_assign(waiter->local, &request->attempt, &server->locals[waiter->local->index]);
}

static void on_hopeless(struct waiter *waiter)
{
    container_of(waiter, struct stage_request, wait)->hopeless++;
}

static const struct waiter_events waiter_events = {on_granted, on_hopeless};

void stage_request(struct stage_request *request)
{
    memset(request, 0, sizeof(*request));
    request->wait.events = &waiter_events;
    request->wait.tried = &request->attempt.tried;
}

void stage_give_back(struct stage *stage, struct stage_request *request)
{
    struct attempt_end end = {.outcome = WEIR_OUTCOME_SUCCESS, .status = 200};
    ck_assert_ptr_nonnull(request->attempt.server);
    pool_leave(stage->local, &request->attempt, &end);
    ck_assert_ptr_null(request->attempt.server);
}

const char *stage_pick(struct stage *stage, struct stage_request *request, bool keep)
{
    static char text[32];
    struct server *only = NULL;
    stage->fake.assigned = UINT32_MAX;
    switch (pool_pick(stage->local, &request->attempt, &only)) {
    case PICK_BUSY:
        snprintf(text, sizeof(text), only != NULL ? "busy for %s" : "busy",
                 only != NULL ? only->name : "");
        return text;
    case PICK_NONE: return "none";
    case PICK_SERVER: break;
    }
    struct server *server = request->attempt.server->server;
    ck_assert_uint_eq(request->attempt.served_by, server->id);
    if (!keep) {
        stage_give_back(stage, request);
    }
    snprintf(text, sizeof(text), "%s", server->name);
    return text;
}
