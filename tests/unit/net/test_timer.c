/* SPDX-License-Identifier: MIT */
/* The timer wheel, on a clock that the tests set. */
#include <stdlib.h>

#include "net/timer.h"
#include "net_help.h"
#include "runner.h"

#define TICK_NS (LOOP_TICK_MS * NS_PER_MS)
/* A clock that does not begin on a tick. */
#define START_NS (UINT64_C(987654321) * NS_PER_MS + 123456)

static struct loop *loop;

/* A timer, and when it came. */
struct alarm {
    struct timer timer;
    uint64_t wanted_ns;
    uint64_t fired_ns; /* 0: not yet */
    unsigned fired;
};

static void set_clock(uint64_t now_ns)
{
    loop->now_ns_ = now_ns;
    loop->now_fresh = true;
}

static void advance_to(uint64_t now_ns)
{
    set_clock(now_ns);
    timer_wheel_advance(loop);
}

static void on_alarm(struct timer *timer)
{
    struct alarm *alarm = container_of(timer, struct alarm, timer);
    ck_assert(!timer_is_set(timer));
    alarm->fired++;
    alarm->fired_ns = loop_now_ns(loop);
}

static void set_alarm(struct alarm *alarm, uint64_t delay_ns)
{
    alarm->timer.fn = on_alarm;
    alarm->wanted_ns = loop_now_ns(loop) + delay_ns;
    timer_set(loop, &alarm->timer, delay_ns);
}

static void setup(void)
{
    loop = loop_new(0);
    ck_assert_ptr_nonnull(loop);
    /* The wheel was made on the real clock; a new one begins on ours. */
    timer_wheel_free(&loop->wheel);
    set_clock(START_NS);
    loop->wheel = timer_wheel_new(loop);
}

static void teardown(void)
{
    loop_free(&loop);
}

static void check_came_in_time(const struct alarm *alarm)
{
    ck_assert_uint_eq(alarm->fired, 1);
    ck_assert_uint_ge(alarm->fired_ns, alarm->wanted_ns);
    ck_assert_uint_lt(alarm->fired_ns, alarm->wanted_ns + 2 * TICK_NS);
}

UNIT_TEST(test_never_early_and_a_tick_late_at_most)
{
    /* All levels, and the borders between them. */
    static const uint64_t delays_ms[] = {0,     1,     15,      16,      17,      1000,
                                         1023,  1024,  1025,    60000,   65535,   65536,
                                         65537, 70000, 4194303, 4194304, 4200000, 7200000};
    struct alarm alarms[ARRAY_COUNT(delays_ms)] = {0};

    for (size_t i = 0; i < ARRAY_COUNT(delays_ms); i++) {
        set_alarm(&alarms[i], delays_ms[i] * NS_PER_MS);
    }
    for (uint64_t now = START_NS; now < START_NS + 7300 * NS_PER_SECOND; now += TICK_NS) {
        advance_to(now);
    }
    for (size_t i = 0; i < ARRAY_COUNT(delays_ms); i++) {
        check_came_in_time(&alarms[i]);
    }
}

UNIT_TEST(test_random_timers_all_come_in_time)
{
    const size_t count = 100000;
    struct alarm *alarms = calloc(count, sizeof(*alarms));
    size_t lookups = 0;

    srand(7);
    for (size_t i = 0; i < count; i++) {
        set_alarm(&alarms[i], (uint64_t)(rand() % 100000) * NS_PER_MS + (uint64_t)(rand() % 999));
    }
    /* Sleeps as the loop would: to the time that the wheel asks for. */
    uint64_t next;
    while ((next = timer_wheel_next_ns(loop->wheel)) != TIMER_NEVER) {
        advance_to(next);
        ck_assert_uint_lt(++lookups, 10000);
    }
    for (size_t i = 0; i < count; i++) {
        check_came_in_time(&alarms[i]);
    }
    free(alarms);
}

UNIT_TEST(test_pushing_on_does_not_file_anew)
{
    struct alarm alarm = {0};

    set_alarm(&alarm, 10 * NS_PER_SECOND);
    uint64_t filed = alarm.timer.filed_tick;
    struct list *neighbour = alarm.timer.link.next;
    for (unsigned i = 1; i <= 50; i++) {
        set_clock(START_NS + i * 100 * NS_PER_MS);
        set_alarm(&alarm, 10 * NS_PER_SECOND);
        ck_assert_uint_eq(alarm.timer.filed_tick, filed);
        ck_assert_ptr_eq(alarm.timer.link.next, neighbour);
    }
    advance_to(START_NS + 14 * NS_PER_SECOND);
    ck_assert_uint_eq(alarm.fired, 0);
    ck_assert(timer_is_set(&alarm.timer));
    advance_to(START_NS + 15 * NS_PER_SECOND + TICK_NS);
    check_came_in_time(&alarm);
}

UNIT_TEST(test_pulling_in_comes_earlier)
{
    struct alarm alarm = {0};

    set_alarm(&alarm, 600 * NS_PER_SECOND);
    set_alarm(&alarm, 20 * NS_PER_MS);
    advance_to(START_NS + 20 * NS_PER_MS + TICK_NS);
    check_came_in_time(&alarm);
    advance_to(START_NS + 700 * NS_PER_SECOND);
    ck_assert_uint_eq(alarm.fired, 1);
}

UNIT_TEST(test_cancelled_does_not_come)
{
    struct alarm *alarm = calloc(1, sizeof(*alarm)), other = {0};

    set_alarm(alarm, 50 * NS_PER_MS);
    set_alarm(&other, 50 * NS_PER_MS);
    timer_cancel(loop, &alarm->timer);
    ck_assert(!timer_is_set(&alarm->timer));
    timer_cancel(loop, &alarm->timer); /* nothing */
    free(alarm);                       /* nobody looks at it any more */
    advance_to(START_NS + NS_PER_SECOND);
    ck_assert_uint_eq(other.fired, 1);
}

static struct alarm victim;

static void cancel_victim(struct timer *timer)
{
    (void)timer;
    timer_cancel(loop, &victim.timer);
}

UNIT_TEST(test_callback_cancels_one_of_the_same_slot)
{
    struct timer killer = {.fn = cancel_victim};

    victim = (struct alarm){0};
    timer_set(loop, &killer, 30 * NS_PER_MS);
    set_alarm(&victim, 30 * NS_PER_MS);
    advance_to(START_NS + NS_PER_SECOND);
    ck_assert_uint_eq(victim.fired, 0);
    ck_assert(!timer_is_set(&killer));
}

static unsigned repeats;

static void again_at_once(struct timer *timer)
{
    repeats++;
    timer_set(loop, timer, 0);
}

UNIT_TEST(test_setting_itself_does_not_hold_the_loop)
{
    struct timer timer = {.fn = again_at_once};

    repeats = 0;
    timer_set(loop, &timer, 0);
    advance_to(START_NS + 3600 * NS_PER_SECOND); /* a long sleep */
    ck_assert_uint_eq(repeats, 1);
    advance_to(START_NS + 3600 * NS_PER_SECOND + TICK_NS);
    ck_assert_uint_eq(repeats, 2);
    timer_cancel(loop, &timer);
}

UNIT_TEST(test_an_idle_wheel_sleeps_long)
{
    struct alarm alarm = {0};

    ck_assert_uint_eq(timer_wheel_next_ns(loop->wheel), TIMER_NEVER);
    set_alarm(&alarm, 60 * NS_PER_SECOND);
    /* At most one look on the way, where a coarse slot begins. */
    unsigned looks = 0;
    while (alarm.fired == 0) {
        advance_to(timer_wheel_next_ns(loop->wheel));
        looks++;
    }
    ck_assert_uint_le(looks, 2);
    check_came_in_time(&alarm);
    ck_assert_uint_eq(timer_wheel_next_ns(loop->wheel), TIMER_NEVER);
}

UNIT_TEST(test_after_idle_hours_a_timer_is_still_exact)
{
    struct alarm alarm = {0};

    set_clock(START_NS + 30 * 3600 * NS_PER_SECOND);
    set_alarm(&alarm, 500 * NS_PER_MS);
    uint64_t next = timer_wheel_next_ns(loop->wheel);
    ck_assert_uint_ge(next, alarm.wanted_ns);
    ck_assert_uint_lt(next, alarm.wanted_ns + TICK_NS);
    advance_to(next);
    check_came_in_time(&alarm);
}

UNIT_TEST(test_beyond_the_last_level)
{
    struct alarm alarm = {0};
    const uint64_t days = 30;

    set_alarm(&alarm, days * 86400 * NS_PER_SECOND);
    for (unsigned looks = 0; alarm.fired == 0; looks++) {
        ck_assert_uint_lt(looks, 100);
        advance_to(timer_wheel_next_ns(loop->wheel));
    }
    check_came_in_time(&alarm);
}

UNIT_TEST(test_on_the_real_clock)
{
    struct alarm alarm = {0};
    uint64_t begin;

    timer_wheel_free(&loop->wheel);
    begin = loop_now_refresh(loop);
    loop->wheel = timer_wheel_new(loop);
    set_alarm(&alarm, 40 * NS_PER_MS);
    alarm.timer.fn = on_alarm;
    while (alarm.fired == 0) {
        run_turns(loop, 1);
    }
    ck_assert_uint_ge(alarm.fired_ns, begin + 40 * NS_PER_MS);
}

UNIT_FIXTURE(setup, teardown);
UNIT_TIMEOUT(60);
