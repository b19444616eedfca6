/* SPDX-License-Identifier: MIT */
/*
 * Coarse timers: a hierarchical wheel of four levels with 64 slots each, driven by one libevent
 * timer.
 *
 * Level k has slots of 64^k ticks: 16 ms, 1 s, 66 s, 70 min. A timer lies in the finest level whose
 * slots reach as far as its deadline. When its slot comes up it fires, or is filed anew: nearer,
 * because the slot was a coarse one, or farther, because its deadline was pushed on meanwhile. A
 * bit a slot tells which are in use, so that an idle loop sleeps until there is something to do.
 * Bits of slots that were emptied by timer_cancel stay set until they come up: one needless look,
 * no search on each cancel.
 */
#include "net/timer.h"

#include <event2/event_struct.h>
#include <stdlib.h>
#include <time.h>

#define LEVELS    4u
#define SLOT_BITS 6u
#define SLOTS     (1u << SLOT_BITS)
#define SLOT_MASK (SLOTS - 1)
#define TICK_NS   (LOOP_TICK_MS * NS_PER_MS)

/* A wheel this late was stopped with the process, or got no CPU. */
#define STOOD_NS (4 * TICK_NS)

/* Invariant: each timer is filed under a tick above `tick`, at a level where that is less than
 * SLOTS slots away. */
struct loop_wheel {
    struct loop *loop;
    uint64_t tick;     /* all slots up to here have been looked at */
    uint64_t armed;    /* the tick that `event` will come for */
    uint64_t grain_ns; /* libevent's clock may lag this much behind ours */
    bool looked;       /* late, and the sockets were asked since */
    uint64_t used[LEVELS];
    struct list slots[LEVELS][SLOTS];
    struct event event;
};

static uint64_t slot_of(uint64_t tick, unsigned level)
{
    return tick >> (SLOT_BITS * level);
}

/* Asks libevent to wake us for `tick`. */
static void arm(struct loop_wheel *wheel, uint64_t tick)
{
    uint64_t now = loop_now_ns(wheel->loop);
    uint64_t at = tick * TICK_NS;
    uint64_t delay = (at > now ? at - now : 0) + wheel->grain_ns;
    struct timeval tv = {
        .tv_sec = (time_t)(delay / NS_PER_SECOND),
        .tv_usec = (suseconds_t)(delay % NS_PER_SECOND / 1000),
    };
    wheel->armed = tick;
    event_add(&wheel->event, &tv);
}

static void file(struct loop_wheel *wheel, struct timer *timer)
{
    uint64_t tick = (timer->deadline_ns + TICK_NS - 1) / TICK_NS;
    unsigned level = 0;

    if (tick <= wheel->tick) {
        tick = wheel->tick + 1;
    }
    while (level < LEVELS && slot_of(tick, level) - slot_of(wheel->tick, level) >= SLOTS) {
        level++;
    }
    uint64_t slot;
    if (level < LEVELS) {
        slot = slot_of(tick, level);
    } else {
        /* Beyond the last level: as far as it goes, and on from there. */
        level = LEVELS - 1;
        slot = slot_of(wheel->tick, level) + SLOTS - 1;
    }
    timer->filed_tick = slot << (SLOT_BITS * level);
    wheel->used[level] |= UINT64_C(1) << (slot & SLOT_MASK);
    list_push_back(&wheel->slots[level][slot & SLOT_MASK], &timer->link);
}

/* The next tick at which a slot in use comes up. */
static uint64_t next_tick(const struct loop_wheel *wheel)
{
    uint64_t next = TIMER_NEVER;

    for (unsigned level = 0; level < LEVELS; level++) {
        uint64_t used = wheel->used[level];
        if (used == 0) {
            continue;
        }
        /* The slot after the present one becomes bit 0. */
        uint64_t slot = slot_of(wheel->tick, level);
        unsigned shift = (unsigned)((slot + 1) & SLOT_MASK);
        uint64_t ahead = shift == 0 ? used : used >> shift | used << (SLOTS - shift);
        uint64_t tick = (slot + 1 + (uint64_t)__builtin_ctzll(ahead)) << (SLOT_BITS * level);
        next = tick < next ? tick : next;
    }
    return next;
}

/* Where nothing was filed in between, time has passed without us: what is filed now must count from
 * the present, or it would lie in a coarser level than it needs. */
static void catch_up(struct loop_wheel *wheel)
{
    uint64_t now_tick = loop_now_ns(wheel->loop) / TICK_NS;

    if (now_tick > wheel->tick && next_tick(wheel) > now_tick) {
        wheel->tick = now_tick;
    }
}

/* Takes the timers of one slot: those that are due at `now` go to `due`, the others are filed
 * anew. */
static void empty_slot(struct loop_wheel *wheel, struct list *slot, struct list *due, uint64_t now)
{
    struct list later, *link;

    list_init(&later);
    while ((link = list_pop_front(slot)) != NULL) {
        struct timer *timer = container_of(link, struct timer, link);
        list_push_back(timer->deadline_ns > now ? &later : due, link);
    }
    while ((link = list_pop_front(&later)) != NULL) {
        file(wheel, container_of(link, struct timer, link));
    }
}

/* Calls those that are due. Callbacks may cancel, push on or free any of them. */
static void fire(struct loop_wheel *wheel, struct list *due, uint64_t now)
{
    struct list *link;

    while ((link = list_pop_front(due)) != NULL) {
        struct timer *timer = container_of(link, struct timer, link);
        if (timer->deadline_ns > now) {
            file(wheel, timer);
            continue;
        }
        timer->deadline_ns = 0;
        timer->fn(timer);
    }
}

void timer_wheel_advance(struct loop *loop)
{
    struct loop_wheel *wheel = loop->wheel;
    /* Not the present: if a module has taken long since the poll, sockets have to be asked first
     * what came meanwhile. */
    uint64_t now = loop_polled_ns(loop);
    uint64_t now_tick = now / TICK_NS;
    uint64_t tick;
    struct list due;

    if (now_tick <= wheel->tick) {
        return;
    }
    list_init(&due);
    while ((tick = next_tick(wheel)) <= now_tick) {
        wheel->tick = tick;
        for (unsigned level = 0; level < LEVELS; level++) {
            uint64_t slot = slot_of(tick, level);
            uint64_t bit = UINT64_C(1) << (slot & SLOT_MASK);
            if (slot << (SLOT_BITS * level) != tick) {
                break;
            }
            if ((wheel->used[level] & bit) != 0) {
                wheel->used[level] &= ~bit;
                empty_slot(wheel, &wheel->slots[level][slot & SLOT_MASK], &due, now);
            }
        }
    }
    /* Only now: what callbacks set comes after the present, however often they set it. */
    wheel->tick = now_tick;
    fire(wheel, &due, now);
}

uint64_t timer_wheel_next_ns(const struct loop_wheel *wheel)
{
    uint64_t tick = next_tick(wheel);
    return tick == TIMER_NEVER ? TIMER_NEVER : tick * TICK_NS;
}

static void on_event(evutil_socket_t fd, short what, void *arg)
{
    struct loop_wheel *wheel = arg;
    (void)fd;
    (void)what;
    /* Input that arrived meanwhile arrived in time, so sockets go first, in the next turn. (A poll
     * interrupted by SIGSTOP reports none.) */
    if (!wheel->looked && loop_now_ns(wheel->loop) > wheel->armed * TICK_NS + STOOD_NS) {
        wheel->looked = true;
        arm(wheel, wheel->armed);
        return;
    }
    wheel->looked = false;
    wheel->armed = TIMER_NEVER;
    timer_wheel_advance(wheel->loop);
    uint64_t tick = next_tick(wheel);
    if (tick < wheel->armed) {
        arm(wheel, tick);
    }
}

struct loop_wheel *timer_wheel_new(struct loop *loop)
{
    struct loop_wheel *wheel = calloc(1, sizeof(*wheel));
    struct timespec grain;

    if (wheel == NULL) {
        return NULL;
    }
    wheel->loop = loop;
    wheel->tick = loop_now_ns(loop) / TICK_NS;
    wheel->armed = TIMER_NEVER;
    if (clock_getres(CLOCK_MONOTONIC_COARSE, &grain) == 0) {
        wheel->grain_ns = (uint64_t)grain.tv_nsec;
    }
    for (unsigned level = 0; level < LEVELS; level++) {
        for (unsigned slot = 0; slot < SLOTS; slot++) {
            list_init(&wheel->slots[level][slot]);
        }
    }
    event_assign(&wheel->event, loop->base, -1, 0, on_event, wheel);
    return wheel;
}

void timer_wheel_free(struct loop_wheel **wheel)
{
    if (*wheel != NULL) {
        event_del(&(*wheel)->event);
        free(*wheel);
        *wheel = NULL;
    }
}

void timer_set(struct loop *loop, struct timer *timer, uint64_t delay_ns)
{
    struct loop_wheel *wheel = loop->wheel;

    timer->deadline_ns = loop_now_ns(loop) + delay_ns;
    if (list_linked(&timer->link)) {
        if (likely(timer->deadline_ns >= timer->filed_tick * TICK_NS)) {
            return;
        }
        list_remove(&timer->link);
    }
    catch_up(wheel);
    file(wheel, timer);
    if (timer->filed_tick < wheel->armed) {
        arm(wheel, timer->filed_tick);
    }
}

void timer_cancel(struct loop *loop, struct timer *timer)
{
    (void)loop;
    timer->deadline_ns = 0;
    list_remove(&timer->link);
}
