/* SPDX-License-Identifier: MIT */
/* connections.c: which connections to a server are kept, with a codec that takes three exchanges at
 * a time. */
#include "proxy/pool/connections.h"

#include "../../http/fake_up.h"
#include "net/net_help.h"
#include "pool_stage.h"
#include "runner.h"

#include <unistd.h>

static struct stage stage;
static struct batch batch;
static struct server_local *mine;
static struct exchange exchange;
static struct up_conn *c;
static bool over; /* `c` has ended */
static int peer;

static void closed(struct up_conn *ended)
{
    connections_closed(ended);
    over = true;
}

static const struct up_owner owner = {
    .on_open = connections_opened, .on_room = connections_room, .on_closed = closed};

/* A connection, which is `c`. */
static void begin(void)
{
    const struct http_limits limits = {.head = 1, .fields = 1, .target = 1};
    int fds[2];

    if (over) {
        close(peer);
    }
    over = false;
    unix_pair(fds);
    peer = fds[0];
    c = up_conn_open(&fake_up_codec, conn_accept(stage.loop, fds[1], NULL, NULL, NULL), &batch,
                     &limits, &owner, mine);
    ck_assert_ptr_nonnull(c);
    c->address_epoch = stage.servers[0]->address_epoch;
    owner.on_open(c, 1);
}

static void set_up(void)
{
    stage_begin(&stage);
    stage.settings.keepalive_timeout = NS_PER_SECOND;
    batch = (struct batch){0};
    mine = &stage.servers[0]->locals[0];
    mine->keep_limit = 1;
    over = fake_up_refuses = fake_up_winds_down = false;
    begin();
}

static void tear_down(void)
{
    if (!over) {
        fake_up_break(c);
    }
    ck_assert(over);
    close(peer);
    while (loop_settle(stage.loop)) {
        continue;
    }
    stage_end(&stage);
}

static struct up_conn *use(void)
{
    return connections_use(mine, NULL, &exchange, false, NS_PER_SECOND);
}

UNIT_TEST(one_with_room_serves_until_it_is_full)
{
    ck_assert_ptr_null(use());
    owner.on_room(c);
    for (unsigned i = 0; i < FAKE_UP_ROOM; i++) {
        ck_assert_ptr_eq(use(), c);
    }
    ck_assert_ptr_null(use());
    fake_up_let_go(c);
    ck_assert_ptr_eq(use(), c);
}

/* Connections of HTTP/2 and what runs on them, as far as they have come and not gone. */
UNIT_TEST(http_2_is_counted)
{
    const struct traffic *traffic = &mine->traffic;

    ck_assert_uint_eq(traffic->h2_connections, 1);
    ck_assert_uint_eq(traffic->h2_open, 1);
    owner.on_room(c);
    ck_assert_ptr_eq(use(), c);
    ck_assert_ptr_eq(use(), c);
    ck_assert_uint_eq(traffic->h2_streams, 2);
    ck_assert_uint_eq(traffic->protocols[HTTP_2], 2);
    fake_up_let_go(c);
    ck_assert_uint_eq(traffic->h2_streams, 1);
    fake_up_refuses = true;
    ck_assert_ptr_null(use());
    ck_assert_uint_eq(traffic->protocols[HTTP_2], 2);
    fake_up_break(c);
    ck_assert(over);
    ck_assert_uint_eq(traffic->h2_streams, 0);
    ck_assert_uint_eq(traffic->h2_open, 0);
    ck_assert_uint_eq(traffic->h2_connections, 1);
}

/* As many as its last protocol takes wait for the server's next one, whatever ALPN may bring. */
UNIT_TEST(what_the_server_speaks_is_remembered)
{
    ck_assert_uint_eq(mine->expected_room, FAKE_UP_ROOM);
    connections_drop(mine); /* other TLS settings: another ALPN */
    ck_assert_uint_eq(mine->expected_room, 0);
}

/* One that was made before a reload says nothing of those that are made now. */
UNIT_TEST(what_was_spoken_on_other_terms_is_forgotten)
{
    owner.on_room(c);
    ck_assert_ptr_eq(use(), c);
    ck_assert_ptr_eq(use(), c);
    c->most = FAKE_UP_ROOM;
    mine->terms++;
    connections_drop(mine);
    fake_up_let_go(c);
    ck_assert_uint_eq(mine->expected_room, 0);
    owner.on_open(c, 1); /* it had only begun by then */
    ck_assert_uint_eq(mine->expected_room, 0);
    mine->open--;
    fake_up_let_go(c);
}

/* Its peer takes no more (as by GOAWAY): those that run go on. */
UNIT_TEST(one_that_ends_in_peace_serves_nobody_else)
{
    owner.on_room(c);
    ck_assert_ptr_eq(use(), c);
    fake_up_set_room(c, 0);
    ck_assert_ptr_null(use());
    ck_assert(!over && mine->spares.idle == 0);
    fake_up_set_room(c, 2); /* it has been a lower limit only */
    ck_assert_ptr_eq(use(), c);
    fake_up_set_room(c, 0);
    fake_up_winds_down = true;
    fake_up_let_go(c);
    ck_assert(!over);
    fake_up_let_go(c);
    ck_assert(over);
}

UNIT_TEST(an_idle_one_that_takes_no_more_is_closed)
{
    owner.on_room(c);
    ck_assert_uint_eq(mine->spares.idle, 1);
    fake_up_set_room(c, 0);
    ck_assert(over);
    ck_assert_uint_eq(mine->spares.idle, 0);
}

/* An idle one whose server allows more or fewer at once is not one more. */
UNIT_TEST(an_idle_one_stays_as_its_room_changes)
{
    owner.on_room(c);
    ck_assert_uint_eq(mine->spares.idle, 1);
    fake_up_set_room(c, 2);
    ck_assert(!over && mine->spares.idle == 1);
    ck_assert_ptr_eq(use(), c);
    fake_up_let_go(c);
    ck_assert(!over && mine->spares.idle == 1);
}

/* It begins no other exchange, and stays open for those it has. */
UNIT_TEST(one_that_refuses_is_no_spare)
{
    owner.on_room(c);
    ck_assert_ptr_eq(use(), c);
    fake_up_refuses = true;
    ck_assert_ptr_null(use());
    fake_up_refuses = false;
    ck_assert_ptr_null(use());
    ck_assert(!over);
}

/* Several run there when the server leaves the plan: the last one closes it. */
UNIT_TEST(a_server_that_is_removed_keeps_none)
{
    owner.on_room(c);
    ck_assert_ptr_eq(use(), c);
    ck_assert_ptr_eq(use(), c);
    mine->adopted = false;
    connections_drop(mine);
    fake_up_let_go(c);
    ck_assert(!over && list_empty(&mine->spares.list));
    fake_up_let_go(c);
    ck_assert(over);
}

/* The pool's settings change: what was made on others ends as soon as nothing runs there, also if
 * it was being established meanwhile. */
UNIT_TEST(other_terms_end_it)
{
    const struct http_limits limits = {.head = 1};
    struct pool_settings settings = {.keepalive = 1};
    struct pool_plan plan = {.settings = &settings, .limits = limits};

    owner.on_room(c);
    connections_adopt(mine, &plan);
    ck_assert(over);
    begin();
    c->terms = mine->terms;
    owner.on_room(c);
    connections_adopt(mine, &plan);
    ck_assert_ptr_eq(use(), c);
    plan.limits.h2_streams = 2;
    connections_adopt(mine, &plan);
    ck_assert(!over);
    ck_assert_ptr_null(use());
    fake_up_let_go(c);
    ck_assert(over);
    begin();
    c->terms = mine->terms;
    settings.protocol = UP_HTTP_2;
    connections_adopt(mine, &plan);
    owner.on_room(c);
    ck_assert(over);
}

UNIT_TEST(a_reload_that_wants_fewer_ends_them)
{
    struct pool_settings settings = {.keepalive = 1};
    struct pool_plan plan = {.settings = &settings};

    connections_adopt(mine, &plan);
    c->terms = mine->terms;
    owner.on_room(c);
    connections_adopt(mine, &plan);
    ck_assert(!over);
    settings.keepalive = 0;
    connections_adopt(mine, &plan);
    ck_assert(over);
}

UNIT_TEST(nobody_begins_on_one_to_an_old_address)
{
    owner.on_room(c);
    ck_assert_ptr_eq(use(), c);
    stage.servers[0]->address_epoch++;
    ck_assert_ptr_null(use());
    fake_up_let_go(c);
    ck_assert(over);
}

/* ---- age ---- */

static void make_older(uint64_t ns)
{
    c->opened_ns -= ns;
}

UNIT_TEST(an_old_one_ends_with_its_last_exchange)
{
    mine->age_ns = 100 * NS_PER_SECOND;
    owner.on_room(c);
    ck_assert_ptr_eq(use(), c);
    make_older(74 * NS_PER_SECOND);
    ck_assert_ptr_eq(use(), c); /* whatever the jitter */
    make_older(26 * NS_PER_SECOND);
    ck_assert_ptr_null(use());
    fake_up_let_go(c);
    ck_assert(!over && list_empty(&mine->spares.list));
    fake_up_let_go(c);
    ck_assert(over);
}

UNIT_TEST(an_old_idle_one_is_not_used)
{
    mine->age_ns = 100 * NS_PER_SECOND;
    owner.on_room(c);
    make_older(100 * NS_PER_SECOND);
    ck_assert_ptr_null(use());
    ck_assert(over);
    ck_assert_uint_eq(mine->open, 0);
}

UNIT_TEST(jitter_takes_a_quarter_at_most)
{
    mine->age_ns = 100 * NS_PER_SECOND;
    owner.on_room(c);
    c->jitter = UINT8_MAX;
    make_older(75 * NS_PER_SECOND);
    ck_assert_ptr_null(use());
    ck_assert(over);
}

UNIT_TEST(none_is_too_old_without_a_limit)
{
    owner.on_room(c);
    make_older(10 * NS_PER_SECOND); /* the loop's clock has only begun */
    ck_assert_ptr_eq(use(), c);
    fake_up_let_go(c);
}

/* ---- how many are kept ---- */

/* One more becomes idle, while that many others are in use and idle. */
static bool kept_beside(size_t in_use, size_t idle)
{
    mine->open = in_use + idle + 1;
    mine->spares.idle = idle;
    owner.on_room(c);
    return !over;
}

/* So that the next look finds it in use; and the numbers are true again. */
static void take_back(void)
{
    mine->spares.idle = 1;
    mine->open = 1;
    ck_assert_ptr_eq(use(), c);
    ck_assert_uint_eq(mine->spares.idle, 0);
    c->running = 0;
    c->room = FAKE_UP_ROOM;
    spares_remove(&mine->spares, c);
}

UNIT_TEST(as_many_are_kept_as_were_in_use_at_once)
{
    mine->keep_limit = 1000;
    ck_assert(kept_beside(255, 0)); /* 256 at once */
    take_back();
    ck_assert(kept_beside(0, 255)); /* all of them are kept */
    take_back();
    ck_assert(kept_beside(100, 155));
    take_back();
    ck_assert(!kept_beside(100, 156));
    mine->spares.idle = 0;
}

UNIT_TEST(what_was_in_use_long_ago_is_forgotten)
{
    mine->keep_limit = 1000;
    ck_assert(kept_beside(255, 0));
    take_back();
    mine->in_use.since_ns -= 30 * NS_PER_SECOND;
    ck_assert(kept_beside(155, 100));
    take_back();
    mine->in_use.since_ns -= 30 * NS_PER_SECOND;
    ck_assert(kept_beside(55, 100)); /* the peak is 156 now */
    take_back();
    ck_assert(!kept_beside(56, 100));
    mine->spares.idle = 0;
}

UNIT_TEST(some_are_kept_whatever_was_in_use)
{
    mine->keep_limit = 1000;
    ck_assert(kept_beside(0, 63));
    take_back();
    ck_assert(!kept_beside(0, 64));
    mine->spares.idle = 0;
}

UNIT_TEST(the_option_bounds_them)
{
    mine->keep_limit = 200;
    ck_assert(kept_beside(499, 0));
    take_back();
    ck_assert(kept_beside(255, 199));
    take_back();
    ck_assert(!kept_beside(255, 200));
    mine->spares.idle = 0;
}

UNIT_FIXTURE(set_up, tear_down);
