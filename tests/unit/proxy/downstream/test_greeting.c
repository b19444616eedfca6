/* SPDX-License-Identifier: MIT */
/* PROXY headers in front of connections, on a pair of sockets. */
#include "proxy/downstream/greeting.h"

#include <event2/event.h>
#include <unistd.h>

#include "runner.h"

#define HEADER "PROXY TCP4 192.0.2.1 198.51.100.2 4000 443\r\n"

static struct loop *loop;
static struct greeter greeter;
static struct address peer;
static int theirs, ours;
static unsigned begun, refused;
static struct told_ends told;
static bool was_told;

static void on_begun(struct greeter *of, int fd, const struct address *from, uint16_t port,
                     const struct told_ends *ends)
{
    ck_assert_ptr_eq(of, &greeter);
    ck_assert_int_eq(fd, ours);
    ck_assert(address_equal(from, &peer));
    ck_assert_uint_eq(port, 80);
    was_told = ends != NULL;
    told = ends != NULL ? *ends : told;
    begun++;
}

static void on_refused(struct greeter *of, int fd)
{
    ck_assert_ptr_eq(of, &greeter);
    ck_assert_int_eq(fd, ours);
    refused++;
}

static void set_up(void)
{
    int pair[2];
    ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pair), 0);
    theirs = pair[0];
    ours = pair[1];
    loop = loop_new(0);
    greeter = (struct greeter){
        .loop = loop,
        .listener = "test",
        .timeout_ns = 3600 * NS_PER_SECOND,
        .hurry_ns = 20 * NS_PER_MS,
        .begun = on_begun,
        .refused = on_refused,
    };
    list_init(&greeter.waiting);
    ck_assert(address_from_host(&peer, STR("203.0.113.7"), 5000));
    begun = refused = 0;
    was_told = false;
}

static void tear_down(void)
{
    greeting_close_all(&greeter);
    while (loop_settle(loop)) {}
    loop_free(&loop);
    close(ours);
    if (theirs != -1) {
        close(theirs);
    }
}

static void say(const char *text)
{
    ck_assert_int_eq(write(theirs, text, strlen(text)), (ssize_t)strlen(text));
}

/* Turns until it is over. */
static void wait_over(void)
{
    while (begun + refused == 0) {
        loop->now_fresh = false;
        ck_assert_int_eq(event_base_loop(loop->base, EVLOOP_ONCE), 0);
    }
    ck_assert(list_empty(&greeter.waiting));
    while (loop_settle(loop)) {}
}

static void on_later(struct timer *timer)
{
    (void)timer;
}

static void turn(void)
{
    ck_assert_int_eq(event_base_loop(loop->base, EVLOOP_NONBLOCK), 0);
}

static void begin(void)
{
    greeting_begin(&greeter, ours, &peer, 80);
}

/* What the connection itself will read. */
static void expect_rest(const char *text)
{
    char rest[64] = "";
    ssize_t n = read(ours, rest, sizeof(rest) - 1);
    ck_assert_int_eq(n, (ssize_t)strlen(text));
    ck_assert_str_eq(rest, text);
}

static void expect_told(void)
{
    char text[ADDRESS_TEXT_SIZE + 8];
    ck_assert_uint_eq(begun, 1);
    ck_assert_uint_eq(refused, 0);
    ck_assert(was_told);
    address_text_port(&told.peer, text, sizeof(text));
    ck_assert_str_eq(text, "192.0.2.1:4000");
    address_text_port(&told.local, text, sizeof(text));
    ck_assert_str_eq(text, "198.51.100.2:443");
}

UNIT_TEST(a_header_that_is_here_is_taken_at_once)
{
    say(HEADER "GET /");
    begin();
    expect_told();
    expect_rest("GET /");
}

UNIT_TEST(one_that_comes_in_pieces_is_waited_for)
{
    begin();
    say("PROXY TC");
    turn();
    ck_assert_uint_eq(begun + refused, 0);
    say("P4 192.0.2.1 198.51.100.2 4000 443\r\nrest");
    wait_over();
    expect_told();
    expect_rest("rest");
}

UNIT_TEST(none_is_as_good_where_none_is_required)
{
    say("GET / HTTP/1.1\r\n");
    begin();
    ck_assert_uint_eq(begun, 1);
    ck_assert(!was_told);
    expect_rest("GET / HTTP/1.1\r\n");
}

UNIT_TEST(none_is_refused_where_one_is_required)
{
    greeter.required = true;
    say("GET / HTTP/1.1\r\n");
    begin();
    ck_assert_uint_eq(refused, 1);
    ck_assert_uint_eq(begun, 0);
}

UNIT_TEST(unknown_tells_nothing)
{
    greeter.required = true;
    say("PROXY UNKNOWN\r\n");
    begin();
    ck_assert_uint_eq(begun, 1);
    ck_assert(!was_told);
}

UNIT_TEST(a_bad_one_is_refused)
{
    say("PROXY TCP4 nonsense\r\n");
    begin();
    ck_assert_uint_eq(refused, 1);
}

UNIT_TEST(an_end_before_it_is_refused)
{
    begin();
    close(theirs);
    theirs = -1;
    wait_over();
    ck_assert_uint_eq(refused, 1);
}

UNIT_TEST(a_slow_one_is_refused)
{
    greeter.timeout_ns = 20 * NS_PER_MS;
    say("PROXY ");
    begin();
    wait_over();
    ck_assert_uint_eq(refused, 1);
}

UNIT_TEST(who_has_sent_nothing_is_hurried)
{
    begin();
    greeting_hurry_all(&greeter);
    wait_over();
    ck_assert_uint_eq(refused, 1);
}

UNIT_TEST(who_has_begun_keeps_his_time)
{
    greeter.hurried = true; /* of a leaving listener */
    say("PROXY ");
    begin();
    /* Longer than the hurry. */
    struct timer later = {.fn = on_later};
    timer_set(loop, &later, 3 * greeter.hurry_ns);
    while (timer_is_set(&later)) {
        loop->now_fresh = false;
        ck_assert_int_eq(event_base_loop(loop->base, EVLOOP_ONCE), 0);
    }
    ck_assert_uint_eq(begun + refused, 0);
    say("UNKNOWN\r\n");
    wait_over();
    ck_assert_uint_eq(begun, 1);
}

UNIT_TEST(a_stranger_is_refused)
{
    greeting_refuse(&greeter, ours, &peer);
    ck_assert_uint_eq(refused, 1);
}

UNIT_FIXTURE(set_up, tear_down);
