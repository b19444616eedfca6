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

static void set_up(void)
{
    const struct http_limits limits = {.head = 1, .fields = 1, .target = 1};
    int fds[2];

    stage_begin(&stage);
    stage.settings.keepalive_timeout = NS_PER_SECOND;
    batch = (struct batch){0};
    mine = &stage.servers[0]->locals[0];
    mine->keep_limit = 1;
    over = fake_up_refuses = fake_up_winds_down = false;
    unix_pair(fds);
    peer = fds[0];
    c = up_conn_open(&fake_up_codec, conn_accept(stage.loop, fds[1], NULL, NULL, NULL), &batch,
                     &limits, &owner, mine);
    ck_assert_ptr_nonnull(c);
    c->address_epoch = stage.servers[0]->address_epoch;
    owner.on_open(c, 1);
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

/* As many as its last protocol takes wait for the server's next one, whatever ALPN may bring. */
UNIT_TEST(what_the_server_speaks_is_remembered)
{
    ck_assert_uint_eq(mine->expected_room, FAKE_UP_ROOM);
    connections_drop(mine); /* other TLS settings: another ALPN */
    ck_assert_uint_eq(mine->expected_room, 0);
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

UNIT_TEST(nobody_begins_on_one_to_an_old_address)
{
    owner.on_room(c);
    ck_assert_ptr_eq(use(), c);
    stage.servers[0]->address_epoch++;
    ck_assert_ptr_null(use());
    fake_up_let_go(c);
    ck_assert(over);
}

UNIT_FIXTURE(set_up, tear_down);
