/* SPDX-License-Identifier: MIT */
/* connecting.c: requests that wait for a connection that is being made, between a listening socket
 * and a codec that takes three exchanges at a time, or HTTP/1's, which takes one. */
#include "proxy/upstream/connecting.h"

#include "../../http/fake_up.h"
#include "net/net_help.h"
#include "net/tcp_watch.h"
#include "runner.h"

#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#define WAITERS 5

enum heard { NOTHING, OPENED, NO_ROOM, FAILED };

struct asker {
    struct connect_waiter waiter;
    struct exchange exchange;
    struct up_conn *c;
    enum heard heard;
    enum conn_error error;
};

static struct loop *loop;
static struct batch batch;
static struct list under_way;
static int listening;
static struct address address;
static struct tcp_watch watch;
static struct http_limits limits;
static struct connect_to to;
static struct asker askers[WAITERS];
static struct up_conn *made[WAITERS]; /* NULL: it has ended */
static unsigned made_count, spare_count;
static bool spoils;              /* the first one that is served breaks its connection */
static struct asker *leaves_too; /* when the first one is served, this one stops waiting */

/* ---- connections ---- */

static void on_open(struct up_conn *c, uint64_t took_ns)
{
    ck_assert_uint_lt(took_ns, 20 * NS_PER_SECOND);
    made[made_count++] = c;
}

static void on_room(struct up_conn *c)
{
    (void)c;
    spare_count++;
}

static void on_closed(struct up_conn *c)
{
    for (unsigned i = 0; i < made_count; i++) {
        made[i] = made[i] == c ? NULL : made[i];
    }
}

static const struct up_owner owner = {
    .on_open = on_open, .on_room = on_room, .on_closed = on_closed};

/* ---- who waits ---- */

static struct asker *asker_of(struct connect_waiter *waiter)
{
    struct asker *asker = container_of(waiter, struct asker, waiter);
    ck_assert_int_eq(asker->heard, NOTHING);
    ck_assert(!connecting_waits(waiter));
    return asker;
}

static void opened(struct connect_waiter *waiter, struct up_conn *c)
{
    struct asker *asker = asker_of(waiter);

    asker->heard = OPENED;
    asker->c = c;
    ck_assert(up_conn_use(c, &asker->exchange, false));
    if (spoils) {
        fake_up_break(c);
    }
    if (leaves_too != NULL) {
        connecting_leave(&leaves_too->waiter);
        leaves_too = NULL;
    }
}

static void no_room(struct connect_waiter *waiter)
{
    asker_of(waiter)->heard = NO_ROOM;
}

static void failed(struct connect_waiter *waiter, enum conn_error error)
{
    struct asker *asker = asker_of(waiter);
    asker->heard = FAILED;
    asker->error = error;
}

static const struct connect_events events = {
    .opened = opened, .no_room = no_room, .failed = failed};

/* ---- the stage ---- */

static void set_up(void)
{
    loop = loop_new(0);
    batch = (struct batch){0};
    list_init(&under_way);
    address = (struct address){.len = sizeof(struct sockaddr_in)};
    struct sockaddr_in *in = (struct sockaddr_in *)&address.u.any;
    in->sin_family = AF_INET;
    in->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    listening = socket(AF_INET, SOCK_STREAM, 0);
    ck_assert_int_eq(bind(listening, &address.u.any, address.len), 0);
    ck_assert_int_eq(listen(listening, 8), 0);
    ck_assert_int_eq(getsockname(listening, &address.u.any, &address.len), 0);
    limits = (struct http_limits){.head = 1024, .fields = 10, .target = 1};
    to = (struct connect_to){
        .address = &address,
        .address_epoch = 7,
        .watch = &watch,
        .limits = &limits,
        .codec = &fake_up_codec,
        .room = FAKE_UP_ROOM,
        .fresh_ns = 20 * NS_PER_SECOND,
        .batch = &batch,
        .owner = &owner,
    };
    memset(askers, 0, sizeof(askers));
    for (unsigned i = 0; i < WAITERS; i++) {
        askers[i].waiter.events = &events;
    }
    made_count = spare_count = 0;
    spoils = false;
    leaves_too = NULL;
}

static void tear_down(void)
{
    for (unsigned i = 0; i < WAITERS; i++) {
        connecting_leave(&askers[i].waiter);
    }
    ck_assert(list_empty(&under_way));
    for (unsigned i = 0; i < made_count; i++) {
        if (made[i] != NULL && made[i]->codec == &fake_up_codec) {
            fake_up_break(made[i]);
        } else if (made[i] != NULL) {
            askers[i].exchange.up->ops->release(askers[i].exchange.up);
        }
    }
    run_turns(loop, 2);
    loop_free(&loop);
    close(listening);
}

/* Joins a connection that is being made, or begins one. */
static bool wait_for_one(struct asker *asker)
{
    if (connecting_join(&under_way, loop, &to, &asker->waiter)) {
        return true;
    }
    ck_assert_int_eq(connecting_begin(&under_way, loop, &to, &asker->waiter), CONN_OK);
    ck_assert(connecting_waits(&asker->waiter));
    return false;
}

static bool none_under_way(void *arg)
{
    (void)arg;
    return list_empty(&under_way);
}

/* ---- tests ---- */

UNIT_TEST(one_connection_serves_all_who_wait)
{
    ck_assert(!wait_for_one(&askers[0]));
    ck_assert(wait_for_one(&askers[1]));
    ck_assert(wait_for_one(&askers[2]));
    ck_assert(!wait_for_one(&askers[3])); /* no room for more */
    run_until(loop, none_under_way, NULL);
    ck_assert_uint_eq(made_count, 2);
    for (unsigned i = 0; i < 4; i++) {
        ck_assert_int_eq(askers[i].heard, OPENED);
    }
    ck_assert_ptr_eq(askers[1].c, askers[0].c);
    ck_assert_ptr_eq(askers[2].c, askers[0].c);
    ck_assert_uint_eq(askers[0].c->running, 3);
    ck_assert_uint_eq(askers[0].c->address_epoch, 7);
    ck_assert_ptr_ne(askers[3].c, askers[0].c);
    ck_assert_uint_eq(spare_count, 1); /* of the second one, for whoever comes */
}

/* It was expected to take three, and speaks a protocol that takes one. */
UNIT_TEST(the_others_look_for_another_one)
{
    to.codec = NULL;
    for (unsigned i = 0; i < 3; i++) {
        ck_assert(wait_for_one(&askers[i]) == (i > 0));
    }
    run_until(loop, none_under_way, NULL);
    ck_assert_int_eq(askers[0].heard, OPENED);
    ck_assert_int_eq(askers[1].heard, NO_ROOM);
    ck_assert_int_eq(askers[2].heard, NO_ROOM);
    ck_assert_uint_eq(made_count, 1);
    ck_assert_uint_eq(spare_count, 0);
}

UNIT_TEST(one_that_breaks_meanwhile_serves_nobody_else)
{
    spoils = true;
    wait_for_one(&askers[0]);
    ck_assert(wait_for_one(&askers[1]));
    run_until(loop, none_under_way, NULL);
    ck_assert_int_eq(askers[0].heard, OPENED);
    ck_assert_int_eq(askers[1].heard, NO_ROOM);
    ck_assert_uint_eq(spare_count, 0);
}

UNIT_TEST(all_hear_of_a_failure)
{
    close(listening);
    wait_for_one(&askers[0]);
    ck_assert(wait_for_one(&askers[1]));
    run_until(loop, none_under_way, NULL);
    for (unsigned i = 0; i < 2; i++) {
        ck_assert_int_eq(askers[i].heard, FAILED);
        ck_assert_int_eq(askers[i].error, CONN_REFUSED);
    }
    ck_assert_uint_eq(made_count, 0);
    listening = -1;
}

UNIT_TEST(it_is_made_as_long_as_one_waits)
{
    wait_for_one(&askers[0]);
    ck_assert(wait_for_one(&askers[1]));
    connecting_leave(&askers[0].waiter);
    ck_assert(!list_empty(&under_way));
    ck_assert(wait_for_one(&askers[2])); /* in place of the one that left */
    ck_assert(wait_for_one(&askers[3]));
    ck_assert(!wait_for_one(&askers[4]));
    connecting_leave(&askers[4].waiter); /* abandoned, without a callback */
    run_until(loop, none_under_way, NULL);
    ck_assert_uint_eq(made_count, 1);
    ck_assert_int_eq(askers[0].heard, NOTHING);
    ck_assert_int_eq(askers[1].heard, OPENED);
    ck_assert_int_eq(askers[2].heard, OPENED);
    ck_assert_int_eq(askers[3].heard, OPENED);
    ck_assert_int_eq(askers[4].heard, NOTHING);
}

UNIT_TEST(who_leaves_while_others_are_served_hears_nothing)
{
    wait_for_one(&askers[0]);
    ck_assert(wait_for_one(&askers[1]));
    leaves_too = &askers[1];
    run_until(loop, none_under_way, NULL);
    ck_assert_int_eq(askers[0].heard, OPENED);
    ck_assert_int_eq(askers[1].heard, NOTHING);
    ck_assert_uint_eq(askers[0].c->running, 1);
    ck_assert_uint_eq(spare_count, 1);
}

/* Another address, other settings; or it begins with somebody's PROXY header. */
UNIT_TEST(what_leads_elsewhere_is_not_joined)
{
    struct pin *pin = (struct pin *)(void *)&watch;

    wait_for_one(&askers[0]);
    to.address_epoch++;
    ck_assert(!connecting_join(&under_way, loop, &to, &askers[1].waiter));
    to.address_epoch--;
    to.tls.ctx = (SSL_CTX *)(void *)&watch;
    ck_assert(!connecting_join(&under_way, loop, &to, &askers[1].waiter));
    to.tls.ctx = NULL;
    to.terms++;
    ck_assert(!connecting_join(&under_way, loop, &to, &askers[1].waiter));
    to.terms--;
    to.pin = pin;
    ck_assert(!connecting_join(&under_way, loop, &to, &askers[1].waiter));
    ck_assert(connecting_begin(&under_way, loop, &to, &askers[1].waiter) == CONN_OK);
    connecting_leave(&askers[0].waiter);
    to.pin = (struct pin *)(void *)&limits;
    ck_assert(!connecting_join(&under_way, loop, &to, &askers[2].waiter));
    to.pin = NULL;
    ck_assert(!connecting_join(&under_way, loop, &to, &askers[2].waiter));
    to.pin = pin; /* the same client's */
    ck_assert(connecting_join(&under_way, loop, &to, &askers[2].waiter));
    run_until(loop, none_under_way, NULL);
    ck_assert_ptr_eq(askers[1].c->pin, pin);
    ck_assert_ptr_eq(askers[2].c, askers[1].c);
}

UNIT_TEST(one_that_hangs_is_not_joined)
{
    wait_for_one(&askers[0]);
    to.fresh_ns = 0;
    ck_assert(!connecting_join(&under_way, loop, &to, &askers[1].waiter));
    to.fresh_ns = 20 * NS_PER_SECOND;
    ck_assert(connecting_join(&under_way, loop, &to, &askers[1].waiter));
}

/* Another one has turned out meanwhile to take one at a time. */
UNIT_TEST(less_is_expected_than_when_it_was_begun)
{
    wait_for_one(&askers[0]);
    to.room = 1;
    ck_assert(!wait_for_one(&askers[1]));
    run_until(loop, none_under_way, NULL);
    ck_assert_uint_eq(made_count, 2);
    ck_assert_int_eq(askers[1].heard, OPENED);
}

UNIT_TEST(a_preface_goes_first)
{
    char text[4] = "";

    to.preface = "PROX";
    to.preface_len = 4;
    wait_for_one(&askers[0]);
    run_until(loop, none_under_way, NULL);
    int fd = accept(listening, NULL, NULL);
    ck_assert_int_eq(recv(fd, text, 4, MSG_WAITALL), 4);
    ck_assert_int_eq(memcmp(text, "PROX", 4), 0);
    close(fd);
}

UNIT_FIXTURE(set_up, tear_down);
