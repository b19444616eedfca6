/* SPDX-License-Identifier: MIT */
/* stream_connect.c: streams that wait for a place at a server. */
#include "../pool/pool_stage.h"
#include "proxy/stream/stream.h"
#include "runner.h"

static struct stage stage;
static struct stream streams[2];
static struct stream_home home;
static struct batch batch;

static void set_up(void)
{
    stage_begin(&stage);
    stream_home_init(&home, stage.loop, &batch);
}

static void tear_down(void)
{
    stage_end(&stage);
}

static void choose_anew(struct stream *stream)
{
    queue_leave(&stream->wait);
    stream->wait.events->hopeless(&stream->wait);
}

/* A request assigned again keeps its deadline and its position. */
UNIT_TEST(waiting_goes_on)
{
    struct stream *first = &streams[0], *second = &streams[1];
    for (unsigned i = 0; i < ARRAY_COUNT(streams); i++) {
        memset(&streams[i], 0, sizeof(streams[i]));
        streams[i].pool = &stage.plan;
        streams[i].home = &home;
        streams[i].wait.events = &stream_waiter_events;
        streams[i].wait.tried = &streams[i].attempt.tried;
    }
    stage.settings.queue_timeout = NS_PER_SECOND;
    for (unsigned i = 0; i < STAGE_SERVERS; i++) {
        stage.servers[i]->max_connections = 1;
        ck_assert(server_acquire(stage.servers[i]));
    }
    stage_refresh(&stage);
    first->exchange.request_whole = second->exchange.request_whole = true;
    stream_assign(first);
    stream_assign(second);
    ck_assert(queue_waits(&first->wait) && queue_waits(&second->wait));
    uint64_t deadline_ns = first->timer.deadline_ns;
    while (loop_now_refresh(stage.loop) < deadline_ns - NS_PER_SECOND + 30 * NS_PER_MS) {
        continue;
    }
    choose_anew(first);
    ck_assert(queue_waits(&first->wait));
    ck_assert_uint_le(first->timer.deadline_ns, deadline_ns);
    ck_assert_ptr_eq(stage.pool->queue.any.next, &first->wait.link);
    ck_assert_ptr_eq(stage.pool->queue.any.prev, &second->wait.link);
    while (loop_now_refresh(stage.loop) < deadline_ns) {
        continue;
    }
    choose_anew(first); /* its time is over: the timer says so at once */
    ck_assert_uint_lt(first->timer.deadline_ns,
                      deadline_ns + NS_PER_SECOND / 2); /* no new second */
    stream_leave_server(first, WEIR_OUTCOME_CANCELED);
    stream_leave_server(second, WEIR_OUTCOME_CANCELED);
    for (unsigned i = 0; i < STAGE_SERVERS; i++) {
        server_release(stage.servers[i]);
    }
}

UNIT_FIXTURE(set_up, tear_down);
