/* SPDX-License-Identifier: MIT */
/* queue.c: which waiter gets a place, in which order, on which loop. Two loops, one thread. */
#include "pool_stage.h"
#include "runner.h"

static struct stage stage;
static struct stage_request a, b, c;

static void set_up(void)
{
    stage_begin(&stage);
    stage_add_loop(&stage);
    stage.settings.queue_limit = 10;
    stage_request(&a);
    stage_request(&b);
    stage_request(&c);
    for (unsigned i = 0; i < STAGE_SERVERS; i++) {
        stage.servers[i]->max_connections = 1;
        ck_assert(server_acquire(stage.servers[i]));
    }
    stage_refresh(&stage);
    pool_local_refresh(stage.other);
}

static void tear_down(void)
{
    ck_assert_uint_eq(stage.pool->queue.waiting, 0);
    ck_assert_uint_eq(stage.pool->queue.fresh, 0);
    stage_end(&stage);
}

static void join(struct stage_request *request, struct server *only)
{
    ck_assert(queue_join(stage.local, &request->wait, only));
}

/* The request that had the server is over. */
static void release(unsigned server)
{
    queue_release(&stage.pool->queue, stage.servers[server]);
}

static void release_all(void)
{
    for (unsigned i = 0; i < STAGE_SERVERS; i++) {
        release(i);
    }
}

static void expect_at(const struct stage_request *request, int server)
{
    ck_assert_uint_eq(request->granted, server >= 0);
    ck_assert_ptr_eq(request->attempt.server,
                     server < 0 ? NULL
                                : &stage.servers[server]->locals[request->wait.local->index]);
}

/* Gives back what it got, and takes the place for the stage again. */
static void end(struct stage_request *request)
{
    struct server *server = request->attempt.server->server;
    stage_give_back(&stage, request);
    ck_assert(server_acquire(server));
}

UNIT_TEST(first_come_first_served)
{
    join(&a, NULL);
    join(&b, NULL);
    release(3);
    /* The place is taken for it at once; it hears of that on its loop. */
    ck_assert_uint_eq(stage.servers[3]->in_flight, 1);
    expect_at(&a, -1);
    ck_assert(queue_waits(&a.wait));
    stage_turn(stage.loop);
    expect_at(&a, 3);
    expect_at(&b, -1);
    ck_assert(!queue_waits(&a.wait) && queue_waits(&b.wait));
    stage_give_back(&stage, &a); /* whose place is the next one's */
    stage_turn(stage.loop);
    expect_at(&b, 3);
    end(&b);
    release_all();
}

UNIT_TEST(a_free_place_is_had_at_once)
{
    release(2);
    join(&a, NULL); /* it looked for a place before it said that it waits: one was freed between */
    stage_turn(stage.loop);
    expect_at(&a, 2);
    end(&a);
    for (unsigned i = 0; i < STAGE_SERVERS; i++) {
        if (i != 2) {
            release(i);
        }
    }
    server_release(stage.servers[2]);
}

/* A waiter for one server gets no other; for that server, the older of both kinds is first. */
UNIT_TEST(sessions_wait_for_their_server)
{
    join(&a, stage.servers[1]);
    join(&b, NULL);
    release(0);
    stage_turn(stage.loop);
    expect_at(&a, -1);
    expect_at(&b, 0);
    join(&c, NULL);
    release(1);
    stage_turn(stage.loop);
    expect_at(&a, 1);
    ck_assert(a.session && !b.session);
    expect_at(&c, -1);
    stage_give_back(&stage, &a);
    stage_turn(stage.loop);
    expect_at(&c, 1);
    end(&b);
    end(&c);
    release_all();
}

UNIT_TEST(the_oldest_of_all_is_first)
{
    join(&a, NULL);
    join(&b, stage.servers[1]);
    release(1);
    stage_turn(stage.loop);
    expect_at(&a, 1);
    expect_at(&b, -1);
    stage_give_back(&stage, &a);
    stage_turn(stage.loop);
    expect_at(&b, 1);
    end(&b);
    release_all();
}

UNIT_TEST(no_server_is_had_twice)
{
    tried_add(&a.attempt.tried, stage.servers[0]->id);
    join(&a, NULL);
    join(&b, NULL);
    release(0);
    stage_turn(stage.loop);
    expect_at(&a, -1);
    expect_at(&b, 0);
    release(4);
    stage_turn(stage.loop);
    expect_at(&a, 4);
    end(&a);
    end(&b);
    release_all();
}

/* A place freed on one loop goes to a waiter on another, and arrives there. */
UNIT_TEST(places_cross_loops)
{
    ck_assert(queue_join(stage.other, &a.wait, NULL));
    join(&b, NULL);
    release(0);
    stage_turn(stage.loop);
    expect_at(&a, -1);
    expect_at(&b, -1);
    stage_turn(stage.other_loop);
    expect_at(&a, 0);
    ck_assert_ptr_eq(a.attempt.server, &stage.servers[0]->locals[1]);
    release(1);
    stage_turn(stage.loop);
    expect_at(&b, 1);
    pool_leave(stage.other, &a.attempt, &(struct attempt_end){.status = 200});
    stage_give_back(&stage, &b);
    for (unsigned i = 2; i < STAGE_SERVERS; i++) {
        release(i);
    }
}

/* The client leaves while the message about its place is in flight. */
UNIT_TEST(a_place_that_nobody_takes_passes_on)
{
    join(&a, NULL);
    join(&b, NULL);
    release(2);
    queue_leave(&a.wait);
    queue_leave(&a.wait); /* nothing */
    stage_turn(stage.loop);
    expect_at(&a, -1);
    expect_at(&b, 2);
    end(&b);
    release_all();
}

UNIT_TEST(who_comes_back_stands_where_he_stood)
{
    join(&a, NULL);
    join(&b, NULL);
    join(&c, NULL);
    queue_leave(&b.wait);
    queue_leave(&a.wait);
    join(&b, NULL);
    join(&a, NULL);
    release(0);
    release(1);
    stage_turn(stage.loop);
    expect_at(&a, 0);
    expect_at(&b, 1);
    expect_at(&c, -1);
    queue_leave(&c.wait);
    end(&a);
    end(&b);
    release_all();
}

UNIT_TEST(the_hopeless_hear_of_it)
{
    for (unsigned i = 0; i < STAGE_SERVERS; i++) {
        tried_add(&b.attempt.tried, i == 0 ? stage.servers[4]->id : stage.servers[i]->id);
    }
    join(&a, stage.servers[3]);
    join(&b, NULL); /* s0 is left to it */
    join(&c, NULL);
    server_set_admin(stage.servers[3], ADMIN_MAINTENANCE);
    server_set_health(stage.servers[0], HEALTH_DOWN, "down");
    stage_refresh(&stage);
    ck_assert_uint_eq(a.hopeless, 1);
    ck_assert_uint_eq(b.hopeless, 1);
    ck_assert_uint_eq(c.hopeless, 0);
    ck_assert(!queue_waits(&a.wait) && !queue_waits(&b.wait) && queue_waits(&c.wait));
    queue_leave(&c.wait);
    release_all();
}

UNIT_TEST(nobody_waits_in_a_pool_that_is_gone)
{
    join(&a, NULL);
    ck_assert(queue_join(stage.other, &b.wait, NULL));
    pool_local_adopt(stage.local, NULL);
    ck_assert_uint_eq(a.hopeless, 1);
    ck_assert_uint_eq(b.hopeless, 0); /* on its loop the pool is still there */
    stage.next[0] = &stage.balancer;
    stage.balancer.refs++;
    pool_local_adopt(stage.local, &stage.plan);
    queue_leave(&b.wait);
    release_all();
}

/* A loop that is not told of the server yet cannot have it. */
UNIT_TEST(a_loop_gets_what_its_plan_has)
{
    stage.servers[0]->locals[1].adopted = false;
    ck_assert(queue_join(stage.other, &a.wait, NULL));
    join(&b, NULL);
    release(0);
    stage_turn(stage.other_loop);
    stage_turn(stage.loop);
    expect_at(&a, -1);
    expect_at(&b, 0);
    queue_leave(&a.wait);
    end(&b);
    release_all();
    stage.servers[0]->locals[1].adopted = true;
}

UNIT_FIXTURE(set_up, tear_down);
