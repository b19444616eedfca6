/* SPDX-License-Identifier: MIT */
/* events.c: each is told once, in order, and the kept ones again to whoever asks. */
#include "runner.h"

#include "control/api/events.h"

static struct loop *loop;
static struct events events;

static void begin(void)
{
    loop = loop_new(0);
    events_init(&events, loop);
}

static void end(void)
{
    events_end(&events);
    while (loop_settle(loop)) {}
    loop_free(&loop);
}

struct heard {
    unsigned count, statistics;
    uint64_t first, last;
    struct weir_subscription *subscription;
    unsigned enough; /* ends after so many; 0: never */
};

static void hear(void *arg, const struct weir_event *event)
{
    struct heard *heard = arg;

    if (event->id == 0) {
        heard->statistics++;
        return;
    }
    ck_assert(heard->count == 0 || event->id == heard->last + 1);
    heard->first = heard->count == 0 ? event->id : heard->first;
    heard->last = event->id;
    if (++heard->count == heard->enough) {
        events_unsubscribe(heard->subscription);
    }
}

static void tell(unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        events_tell(&events, "news", cJSON_CreateObject());
    }
}

static void settle(void)
{
    while (loop_settle(loop)) {}
}

UNIT_TEST(news_come_once)
{
    struct heard heard = {0};

    tell(3); /* before anyone listens */
    heard.subscription = events_subscribe(&events, 0, hear, &heard);
    tell(1); /* before its replay: heard in it, and not twice */
    settle();
    ck_assert_uint_eq(heard.count, 1);
    tell(2);
    events_tell_statistics(&events, "{}");
    settle();
    ck_assert_uint_eq(heard.count, 3);
    ck_assert_uint_eq(heard.statistics, 1);
    events_unsubscribe(heard.subscription);
    tell(1);
    ck_assert_uint_eq(heard.count, 3);
}

UNIT_TEST(kept_ones_come_again)
{
    struct heard first = {0}, again = {0}, old = {0};

    first.subscription = events_subscribe(&events, 0, hear, &first);
    settle();
    tell(300);
    ck_assert_uint_eq(first.count, 300);
    again.subscription = events_subscribe(&events, first.last - 10, hear, &again);
    old.subscription = events_subscribe(&events, first.first - 1, hear, &old);
    settle();
    ck_assert_uint_eq(again.count, 10);
    ck_assert_uint_eq(again.last, first.last);
    ck_assert_uint_eq(old.count, EVENTS_KEPT);
    events_unsubscribe(first.subscription);
    events_unsubscribe(again.subscription);
    events_unsubscribe(old.subscription);
}

UNIT_TEST(one_may_end_inside_its_own)
{
    struct heard heard = {.enough = 2}, other = {0};

    heard.subscription = events_subscribe(&events, 0, hear, &heard);
    other.subscription = events_subscribe(&events, 0, hear, &other);
    settle();
    tell(5);
    settle();
    ck_assert_uint_eq(heard.count, 2);
    ck_assert_uint_eq(other.count, 5);
    heard = (struct heard){.enough = 3};
    heard.subscription = events_subscribe(&events, other.first - 1, hear, &heard);
    settle(); /* in the replay */
    ck_assert_uint_eq(heard.count, 3);
    events_unsubscribe(other.subscription);
}

UNIT_FIXTURE(begin, end);
