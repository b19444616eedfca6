/* SPDX-License-Identifier: MIT */
/* spares.c: connections that have room for another exchange, with a codec that takes three at a
 * time. */
#include "proxy/pool/spares.h"

#include "../../http/fake_up.h"
#include "net/net_help.h"
#include "runner.h"

#include <unistd.h>

#define CONNS 3

static struct loop *loop;
static struct batch batch;
static struct spares spares;
static struct up_conn *conns[CONNS]; /* NULL: it has ended */
static int peers[CONNS];

static void on_room(struct up_conn *c)
{
    spares_settle(&spares, c);
}

static void on_closed(struct up_conn *c)
{
    spares_remove(&spares, c);
    for (unsigned i = 0; i < CONNS; i++) {
        conns[i] = conns[i] == c ? NULL : conns[i];
    }
}

static const struct up_owner owner = {.on_room = on_room, .on_closed = on_closed};

static void set_up(void)
{
    const struct http_limits limits = {.head = 1, .fields = 1, .target = 1};

    loop = loop_new(0);
    batch = (struct batch){0};
    spares = (struct spares){0};
    spares_init(&spares);
    for (unsigned i = 0; i < CONNS; i++) {
        int fds[2];
        unix_pair(fds);
        peers[i] = fds[0];
        conns[i] = up_conn_open(&fake_up_codec, conn_accept(loop, fds[1], NULL, NULL, NULL), &batch,
                                &limits, &owner, NULL);
        ck_assert_ptr_nonnull(conns[i]);
    }
}

static void tear_down(void)
{
    for (unsigned i = 0; i < CONNS; i++) {
        if (conns[i] != NULL) {
            fake_up_break(conns[i]);
        }
        close(peers[i]);
    }
    ck_assert_uint_eq(spares.idle, 0);
    ck_assert(list_empty(&spares.list));
    run_turns(loop, 2);
    loop_free(&loop);
}

/* Takes one for an exchange; NULL: none has room. */
static struct up_conn *take(const struct pin *pin)
{
    struct up_conn *c = spares_find(&spares, pin);

    if (c != NULL) {
        ck_assert(up_conn_use(c, NULL, false));
        spares_settle(&spares, c);
    }
    return c;
}

UNIT_TEST(one_connection_has_room_for_many)
{
    ck_assert_ptr_null(take(NULL));
    spares_settle(&spares, conns[0]);
    ck_assert_uint_eq(spares.idle, 1);
    for (unsigned i = 0; i < FAKE_UP_ROOM; i++) {
        ck_assert_ptr_eq(take(NULL), conns[0]);
        ck_assert_uint_eq(spares.idle, 0);
    }
    ck_assert_ptr_null(take(NULL)); /* full */
    fake_up_let_go(conns[0]);
    ck_assert_ptr_eq(take(NULL), conns[0]);
    fake_up_let_go(conns[0]);
    fake_up_let_go(conns[0]);
    ck_assert_uint_eq(spares.idle, 0);
    fake_up_let_go(conns[0]);
    ck_assert_uint_eq(spares.idle, 1);
}

UNIT_TEST(one_that_ends_is_no_spare)
{
    spares_settle(&spares, conns[0]);
    spares_settle(&spares, conns[1]);
    ck_assert_ptr_eq(take(NULL), conns[1]); /* the most recent */
    fake_up_break(conns[1]);
    ck_assert_ptr_eq(take(NULL), conns[0]);
    fake_up_break(conns[0]);
    ck_assert_ptr_null(take(NULL));
}

UNIT_TEST(only_idle_ones_expire)
{
    for (unsigned i = 0; i < CONNS; i++) {
        conns[i]->idle_since_ns = i + 1;
        spares_settle(&spares, conns[i]);
    }
    ck_assert_ptr_eq(take(NULL), conns[2]);
    ck_assert_uint_eq(spares_expire(&spares, 1), 2);
    ck_assert(conns[0] == NULL && conns[1] != NULL && conns[2] != NULL);
    ck_assert_uint_eq(spares_expire(&spares, UINT64_MAX), UINT64_MAX);
    ck_assert(conns[1] == NULL && conns[2] != NULL);
    ck_assert(!spares_close_one(&spares));
    fake_up_let_go(conns[2]);
    ck_assert(spares_close_one(&spares));
    ck_assert_ptr_null(conns[2]);
}

/* Its exchanges go on, and nobody begins another one on it. */
UNIT_TEST(what_is_dropped_serves_nobody_else)
{
    spares_settle(&spares, conns[0]);
    spares_settle(&spares, conns[1]);
    ck_assert_ptr_eq(take(NULL), conns[1]);
    spares_drop(&spares);
    ck_assert(conns[0] == NULL && conns[1] != NULL);
    ck_assert_ptr_null(take(NULL));
    ck_assert_uint_eq(conns[1]->running, 1);
}

UNIT_TEST(a_pinned_one_is_for_its_client_alone)
{
    struct pin mine = {0}, other = {0};

    conns[0]->pin = conns[1]->pin = &mine;
    spares_settle(&spares, conns[0]);
    ck_assert_ptr_null(take(NULL));
    ck_assert_ptr_null(take(&other));
    ck_assert_ptr_eq(take(&mine), conns[0]);
    fake_up_let_go(conns[0]);
    spares_settle(&spares, conns[1]); /* the last one is kept */
    ck_assert_ptr_null(conns[0]);
    spares_settle(&spares, conns[2]);
    ck_assert_ptr_eq(take(NULL), conns[2]);
    pin_end(&mine);
    ck_assert_ptr_null(conns[1]);
    ck_assert_ptr_null(mine.spare);
}

/* Else it would refer to its client after that is gone. */
UNIT_TEST(of_pinned_ones_that_served_together_one_is_kept)
{
    struct pin mine = {0};

    conns[0]->pin = conns[1]->pin = &mine;
    spares_settle(&spares, conns[0]);
    ck_assert_ptr_eq(take(&mine), conns[0]);
    spares_settle(&spares, conns[1]);
    ck_assert_ptr_eq(take(&mine), conns[1]);
    fake_up_let_go(conns[0]);
    fake_up_let_go(conns[1]);
    ck_assert(conns[0] == NULL && conns[1] != NULL);
    pin_end(&mine);
    ck_assert_ptr_null(conns[1]);
}

UNIT_FIXTURE(set_up, tear_down);
