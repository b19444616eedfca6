/* SPDX-License-Identifier: MIT */
/* Connections of clients: places, counts by address, ends, and events that are handed in. */
#include "proxy/downstream/downstream.h"

#include <event2/event.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "proxy/downstream/listening.h"
#include "proxy/plan/lifetime.h"
#include "runner.h"

static struct loop *loop;
static struct batch batch;
static struct down_home home;
static struct lifetime life;
static struct plan plan;
static struct listener_settings settings;
static struct listener_plan listener_plan;
static struct network trusted;
static struct listener *listener;
static struct listener_local *local;
static struct address peer;
static int theirs[8], ours[8];
static unsigned pairs;
static unsigned opened;
static struct downstream *opened_for;

static struct exchange *on_open(struct down_conn *c)
{
    opened++;
    opened_for = downstream_of(c);
    ck_assert_ptr_eq(opened_for->local->home->user, &opened);
    return NULL; /* as without memory: the connection ends */
}

static const struct down_events events = {.on_open = on_open};

static void on_change(void *arg)
{
    (void)arg;
}

static void set_up(void)
{
    loop = loop_new(0);
    down_home_init(&home, loop, &batch, &events, &opened);
    const struct lifetime_owner owner = {.changed = on_change};
    lifetime_init(&life, 1, 0, &owner);
    lifetime_ref(&life, 0);
    memset(&settings, 0, sizeof(settings));
    plan = (struct plan){.life = &life};
    listener_plan = (struct listener_plan){
        .owner = &plan,
        .settings = &settings,
        .connection_limit = 4,
        .trusted = &trusted,
        .http = {.limits = {.head = 4096, .fields = 16, .target = 1024},
                 .header_timeout_ns = NS_PER_SECOND,
                 .idle_timeout_ns = NS_PER_SECOND},
    };
    settings.name = STR("web");
    ck_assert(network_parse(&trusted, STR("198.51.100.0/24")));
    ck_assert(address_from_host(&peer, STR("203.0.113.7"), 5000));
    listener = listener_new(STR("web"), 1);
    local = &listener->locals[0];
    listener_local_adopt(local, &home, &listener_plan);
    pairs = opened = 0;
}

static void turn(void)
{
    loop->now_fresh = false;
    ck_assert_int_eq(event_base_loop(loop->base, EVLOOP_NONBLOCK), 0);
    while (loop_settle(loop)) {}
}

static void tear_down(void)
{
    list_each(link, &home.connections)
    {
        down_conn_abort(&container_of(link, struct downstream, link)->place.c);
    }
    turn();
    ck_assert_uint_eq(home.count, 0);
    ck_assert_uint_eq(local->count, 0);
    ck_assert_uint_eq(listener->open, 0);
    ck_assert_uint_eq(address_counts_used(listener->addresses), 0);
    ck_assert_uint_eq(life.locals[0].kept, 0);
    listener_local_adopt(local, &home, NULL);
    listening_cut(&home);
    listener_unref(&listener);
    lifetime_unref(&life, 0);
    lifetime_end(&life);
    for (unsigned i = 0; i < pairs; i++) {
        close(theirs[i]);
    }
    loop_free(&loop);
}

/* One more that has been accepted. false: there is no place. */
static bool come(const struct told_ends *told)
{
    int pair[2];
    if (!listener_place_take(NULL, local)) {
        return false;
    }
    ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pair), 0);
    theirs[pairs] = pair[0];
    ours[pairs++] = pair[1];
    downstream_open(local, pair[1], &peer, 80, told);
    return true;
}

static struct downstream *newest(void)
{
    return container_of(home.connections.prev, struct downstream, link);
}

UNIT_TEST(requests_become_the_events_that_were_handed_in)
{
    ck_assert(come(NULL));
    struct downstream *mine = newest();
    ck_assert(str_equal(downstream_peer_text(mine), STR("203.0.113.7")));
    ck_assert_uint_eq(mine->peer_port, 5000);
    ck_assert_uint_eq(mine->port, 80);
    ck_assert(!mine->trusted && !mine->tls && !downstream_is_told(mine));
    ck_assert_uint_eq(local->traffic.connections, 1);
    ck_assert_uint_eq(life.locals[0].kept, 1);
    ck_assert_int_eq(write(theirs[0], "GET / HTTP/1.1\r\n", 16), 16);
    turn();
    ck_assert_uint_eq(opened, 1);
    ck_assert_ptr_eq(opened_for, mine);
    turn();
    ck_assert_uint_eq(home.count, 0);
}

UNIT_TEST(an_address_has_so_many)
{
    settings.connections_per_address = 2;
    ck_assert(come(NULL) && come(NULL) && come(NULL));
    ck_assert_uint_eq(home.count, 2);
    ck_assert_uint_eq(local->traffic.refused, 1);
    ck_assert_uint_eq(listener->open, 2);
    char byte;
    ck_assert_int_eq(read(theirs[2], &byte, 1), 0); /* it was closed */
    down_conn_abort(&newest()->place.c);
    ck_assert(come(NULL));
    ck_assert_uint_eq(home.count, 2);
}

UNIT_TEST(a_trusted_proxy_has_as_many_as_it_likes)
{
    settings.connections_per_address = 1;
    listener_plan.trusted_count = 1;
    ck_assert(address_from_host(&peer, STR("198.51.100.9"), 5000));
    ck_assert(come(NULL) && come(NULL));
    ck_assert_uint_eq(home.count, 2);
    ck_assert(newest()->trusted);
}

UNIT_TEST(a_proxy_header_tells_the_ends)
{
    struct told_ends told;
    struct address from, to;
    ck_assert(address_from_host(&told.peer, STR("192.0.2.1"), 4000));
    ck_assert(address_from_host(&told.local, STR("192.0.2.2"), 443));
    ck_assert(come(&told));
    ck_assert(downstream_is_told(newest()));
    ck_assert(str_equal(downstream_peer_text(newest()), STR("192.0.2.1")));
    ck_assert_uint_eq(newest()->port, 443);
    downstream_ends(newest(), &from, &to);
    ck_assert(address_equal(&from, &told.peer) && address_equal(&to, &told.local));
}

UNIT_TEST(the_limit_makes_the_next_ones_wait)
{
    for (unsigned i = 0; i < listener_plan.connection_limit; i++) {
        ck_assert(come(NULL));
    }
    ck_assert(!come(NULL));
    ck_assert(local->full);
    ck_assert(timer_is_set(&local->full_timer));
    down_conn_abort(&newest()->place.c);
    ck_assert(!local->full);
    ck_assert(come(NULL));
    ck_assert(!come(NULL));
    listener_plan.connection_limit = 5; /* a reload */
    listener_local_adopt(local, &home, &listener_plan);
    ck_assert(!local->full);
    ck_assert(come(NULL));
}

UNIT_TEST(a_listener_that_goes_waits_for_its_last_client)
{
    ck_assert(come(NULL));
    listener_local_adopt(local, &home, NULL);
    ck_assert(local->gone);
    ck_assert(listening_goes_on(&home, NULL) && listening_goes_on(&home, &plan));
    ck_assert(newest()->place.c.draining);
    down_conn_abort(&newest()->place.c);
    listening_cut(&home);
    ck_assert(!listening_goes_on(&home, NULL));
    ck_assert(listening_is_over(&home));
    ck_assert_ptr_null(local->plan);
}

UNIT_FIXTURE(set_up, tear_down);
